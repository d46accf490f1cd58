"""Records the source of every stage beside its version, so that no change of results slips past the cache.

    make stage-versions                                              after raising a version in registry.py
    make stage-versions ARGS='--accept-same-results "only renamed"'  after a change that leaves all results as they were

A stage's source is its module and every module of ours that it imports, directly or not, as syntax trees without
docstrings: comments, layout and docstrings are free. Modules that cannot change a result are left out, see `_LEFT_OUT`.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from sptar_engine.artifacts import write_json
from sptar_engine.registry import STAGES

LOCK = Path(__file__).with_suffix(".json")
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = "sptar_engine"
_LEFT_OUT = {
    f"{_PACKAGE}.{module}"
    for module in (
        "errors",  # words for people
        "registry",  # holds the versions themselves
        "configs",  # every setting's value is in the cache key
        "catalog",  # every model's revision is in the cache key
        "stage",  # how a stage talks, not what it computes
        "artifacts",  # how files are written: a stage's digest is over what was written
    )
}

Lock = Mapping[str, Mapping[str, str | int]]


class UnchangedVersion(Exception):
    """A stage's source changed and its version did not."""


def fingerprint(stage: str, root: Path = _ROOT) -> str:
    """SHA-256 over the syntax trees of a stage's source, module names included."""
    digest = hashlib.sha256()
    for module, tree in sorted(_sources(f"{_PACKAGE}.stages.{stage}", root).items()):
        digest.update(f"{module}\n{ast.dump(_without_docstrings(tree))}\n".encode())
    return digest.hexdigest()


def current() -> dict[str, dict[str, str | int]]:
    """Version and fingerprint of every stage as the source stands."""
    return {name: {"version": spec.version, "sha256": fingerprint(name)} for name, spec in STAGES.items()}


def stale(lock: Lock, now: Lock) -> list[str]:
    """Stages whose source changed while their version did not rise, in the order of the registry."""
    return [
        stage
        for stage, row in now.items()
        if stage in lock and row["sha256"] != lock[stage]["sha256"] and row["version"] <= lock[stage]["version"]
    ]


def renew(lock: Lock, now: Lock, reason: str | None) -> dict[str, dict[str, str | int]]:
    """The new lock. A `reason` accepts changed source without a higher version and is kept beside it.

    Raises UnchangedVersion, naming the stages, when there is no reason.
    """
    changed = stale(lock, now)
    if changed and not reason:
        raise UnchangedVersion(
            f"the source of {', '.join(changed)} changed: raise the version in registry.py, or give "
            "--accept-same-results REASON when every result is the same as before"
        )
    notes = {stage: {"same_results": reason} for stage in changed if reason}
    return {stage: {**row, **notes.get(stage, {})} for stage, row in now.items()}


def read_lock() -> Lock:
    """The recorded versions and fingerprints."""
    lock: Lock = json.loads(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}
    return lock


def main() -> None:
    """Write the lock file, or exit with the reason why not."""
    parser = argparse.ArgumentParser(prog="stage_versions", description="Record the stages' versions and source.")
    parser.add_argument("--accept-same-results", metavar="REASON", help="the change leaves every result as it was")
    arguments = parser.parse_args()
    try:
        write_json(LOCK, renew(read_lock(), current(), arguments.accept_same_results))
    except UnchangedVersion as error:
        parser.error(str(error))


def _sources(start: str, root: Path) -> dict[str, ast.Module]:
    found: dict[str, ast.Module] = {}
    waiting = [start]
    while waiting:
        module = waiting.pop()
        path = _path(module, root)
        if module in found or module in _LEFT_OUT or path is None:
            continue
        found[module] = ast.parse(path.read_text(encoding="utf-8"))
        waiting += _imports(found[module])
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    """Names of our modules that a module imports anywhere. `from package import name` may mean either of two."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] == _PACKAGE)


def _path(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return tree


if __name__ == "__main__":
    main()

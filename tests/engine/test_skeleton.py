"""The halves stay apart, light modules stay light, and the documents name what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sptar_engine.cli import main

_ROOT = Path(__file__).resolve().parents[2]
_LIGHT = (
    "ablation", "arms", "artifacts", "campaign", "catalog", "cli", "comparison", "configs", "course", "errors",
    "experiment", "fit", "pipeline", "presets", "prompt_ladder", "records", "registry", "stage", "steps", "tables",
    "terminal", "workspace", "data.beir", "data.health", "data.seeds", "data.weak", "data.sample.builder",
    "serving.wire",
)  # fmt: skip
_HEAVY = {
    "torch", "transformers", "peft", "sentence_transformers", "pyserini", "jnius", "scipy", "sklearn", "pandas",
    "ir_measures", "datasets",
}  # fmt: skip
_WEB = {"django", "rq", "redis", "webapp"}
_DOCUMENTS = ("README.md", "CONVENTIONS.md")


@pytest.mark.parametrize("module", _LIGHT)
def test_light_module_loads_no_heavy_library_and_no_web(module: str) -> None:
    assert _loaded_by([f"sptar_engine.{module}"]) & (_HEAVY | _WEB) == set()


def test_every_module_of_the_engine_imports_without_the_web() -> None:
    names = [
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in sorted((_ROOT / "sptar_engine").rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    assert _loaded_by(names) & _WEB == set()


def _loaded_by(modules: list[str]) -> set[str]:
    """Top-level packages in memory after a fresh interpreter imported the modules."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_make_targets_of_the_documents_exist(document: str) -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))
    named = set(
        re.findall(r"(?:`|^ {4}|&& )make ([a-z-]+)", (_ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert named
    assert named <= targets


def test_commands_and_options_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = (_ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    named = re.findall(r"(?:`|^ {4})sptar ((?:models )?[a-z]+)([^`\n]*)", text, re.MULTILINE)
    assert {command.split()[0] for command, _ in named} >= {
        "stages", "run", "experiment", "compare", "health", "search", "models", "sample",
    }  # fmt: skip
    for command, rest in named:
        with pytest.raises(SystemExit) as end:
            main([*command.split(), "--help"])
        help_text = capsys.readouterr().out
        assert end.value.code == 0, f"`sptar {command}` of the README does not exist"
        for option in re.findall(r"--[a-z][a-z-]*", rest):
            assert option in help_text, f"`sptar {command}` has no {option}"


def test_no_file_names_a_place_on_somebody_s_machine() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git checkout")
    places = [f"/{top}/" for top in ("work", "root", "home")] + ["/".join(("", "tmp", "venv"))]
    files = (_ROOT / name for name in listing.stdout.split("\0") if name)
    hits = [
        f"{path.relative_to(_ROOT)}: {place}"
        for path in files
        if path.is_file()
        for place in places
        if place.encode() in path.read_bytes()
    ]
    assert hits == []

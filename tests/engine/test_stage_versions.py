from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.registry import STAGES
from tests.engine import stage_versions


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of an engine with one stage that imports one method."""
    files = {
        "sptar_engine/__init__.py": "",
        "sptar_engine/stages/__init__.py": "",
        "sptar_engine/stages/tune.py": "from sptar_engine.training import loop\n\ndef run(c):\n    return loop.go(c)\n",
        "sptar_engine/training/__init__.py": "",
        "sptar_engine/training/loop.py": '"""Loop."""\n\ndef go(c):\n    """Go."""\n    return c + 1\n',
        "sptar_engine/training/other.py": "x = 1\n",
        "sptar_engine/errors.py": "class Oops(Exception):\n    pass\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("stage", STAGES)
def test_changed_source_has_a_higher_version(stage: str) -> None:
    lock, now = stage_versions.read_lock(), stage_versions.current()
    assert stage not in stage_versions.stale(lock, now), (
        f"the source of {stage} changed and its version did not: see `make stage-versions` in CONVENTIONS.md"
    )
    recorded = {name: lock.get(stage, {}).get(name) for name in now[stage]}
    assert recorded == now[stage], "run `make stage-versions`"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("sptar_engine/training/loop.py", "c + 1", "c + 2"),
        ("sptar_engine/stages/tune.py", "loop.go(c)", "loop.go(c) or 3"),
    ],
)
def test_fingerprint_changes_with_code_that_a_stage_reaches(source: Path, path: str, old: str, new: str) -> None:
    before = stage_versions.fingerprint("tune", source)
    _replace(source / path, old, new)
    assert stage_versions.fingerprint("tune", source) != before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("sptar_engine/training/loop.py", '"""Go."""', '"""Go on, with care."""'),
        ("sptar_engine/training/loop.py", "    return c + 1", "    # a comment\n\n    return (c + 1)"),
        ("sptar_engine/training/other.py", "x = 1", "x = 2"),
        ("sptar_engine/errors.py", "pass", "code = 3"),
    ],
)
def test_fingerprint_ignores_words_and_code_out_of_reach(source: Path, path: str, old: str, new: str) -> None:
    _replace(source / "sptar_engine/stages/tune.py", "from", "from sptar_engine.errors import Oops\nfrom")
    before = stage_versions.fingerprint("tune", source)
    _replace(source / path, old, new)
    assert stage_versions.fingerprint("tune", source) == before


def test_renew_refuses_changed_source_with_the_same_version() -> None:
    lock, now = {"tune": {"version": 1, "sha256": "a"}}, {"tune": {"version": 1, "sha256": "b"}}
    with pytest.raises(stage_versions.UnchangedVersion, match="tune"):
        stage_versions.renew(lock, now, None)


def test_renew_takes_a_higher_version_or_a_reason() -> None:
    lock = {"tune": {"version": 1, "sha256": "a"}, "filter": {"version": 4, "sha256": "c"}}
    raised = {"tune": {"version": 2, "sha256": "b"}, "filter": {"version": 4, "sha256": "c"}}
    assert stage_versions.renew(lock, raised, None) == raised
    changed = {**lock, "tune": {"version": 1, "sha256": "b"}}
    renewed = stage_versions.renew(lock, changed, "only renamed")
    assert renewed["tune"] == {"version": 1, "sha256": "b", "same_results": "only renamed"}
    assert renewed["filter"] == lock["filter"]


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))

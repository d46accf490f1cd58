"""The peak of a piece of work: what was held before it does not count, what it held and let go does."""

import subprocess
import sys

from sptar_engine import memory
from sptar_engine.memory import PeakMemory

_SHOW = "from sptar_engine.memory import PeakMemory\n"
_WORK = "meter = PeakMemory(); held = bytearray(96 << 20); del held; print(meter.mib())"


def measured(code: str) -> int:
    """What a fresh process prints."""
    return int(subprocess.run([sys.executable, "-c", _SHOW + code], capture_output=True, text=True, check=True).stdout)


def test_what_was_let_go_again_counts() -> None:
    assert 96 < measured(_WORK) < 400


def test_what_was_held_before_does_not_count() -> None:
    assert measured("held = bytearray(512 << 20); del held; " + _WORK) < 400


def test_child_counts_when_it_took_more() -> None:
    child = f"import subprocess, sys; meter = PeakMemory(); subprocess.run([sys.executable, '-c', {_SHOW + _WORK!r}], "
    child += "stdout=subprocess.DEVNULL); print(meter.mib())"
    assert 96 < measured(child) < 400


def test_system_that_tells_nothing_of_its_processes_still_has_a_peak(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "none")
    assert 10 < PeakMemory().mib() < 64 * 1024

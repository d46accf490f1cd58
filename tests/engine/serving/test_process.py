"""A real process of its own: stopping in the middle of a build, being killed, and being started twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sptar_engine.artifacts import sha256_file
from sptar_engine.serving.wire import Unreachable, ask
from tests.engine.serving.stand_ins import subject_texts, write_corpus

_PROGRAM = """
import os, sys, time
from pathlib import Path
from sptar_engine.errors import SptarError
from sptar_engine.serving.process import Options, run
from tests.engine.serving.stand_ins import build_words, light_backends

root = Path(sys.argv[1])

def slow(corpus, cache, tick):
    while not (root / "may-go").exists():
        time.sleep(0.02)
        if sys.argv[2] == "reports":
            tick(1)
    return build_words(corpus, cache, tick)

options = Options(root / "s.sock", root, root / "cache", root / "models", "none")
try:
    run(options, light_backends(build_index=slow))
except SptarError as error:
    sys.exit(str(error))
os._exit(0)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def launch(root: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []
    write_corpus(root, subject_texts(20))

    def make(how: str = "reports") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _PROGRAM, str(root), how]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield make
    for process in processes:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def say(root: Path, do: str, **values: object) -> dict:
    named = {"corpus": str(root / "corpus.jsonl"), "sha256": sha256_file(root / "corpus.jsonl")}
    return ask(root / "s.sock", {"do": do, **named, **values}, connect_seconds=5, answer_seconds=10)


def wait_for(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def answers(root: Path) -> bool:
    try:
        say(root, "ping")
    except Unreachable:
        return False
    return True


def builds(root: Path) -> bool:
    return say(root, "state", what="bm25")["done"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_seconds_in_the_middle_of_a_build(root: Path, launch: Start, number: signal.Signals) -> None:
    process = launch()
    wait_for(lambda: answers(root))
    say(root, "prepare", what="bm25")
    wait_for(lambda: builds(root))
    process.send_signal(number)
    assert process.wait(8) == 0
    assert not (root / "s.sock").exists()


def test_it_leaves_a_build_that_does_not_report_behind(root: Path, launch: Start) -> None:
    process = launch("silent")
    wait_for(lambda: answers(root))
    say(root, "prepare", what="bm25")
    wait_for(lambda: say(root, "state", what="bm25")["message"].startswith("Reading"))
    process.terminate()
    assert process.wait(8) == 0


def test_after_a_kill_the_next_one_takes_the_place_and_builds(root: Path, launch: Start) -> None:
    process = launch()
    wait_for(lambda: answers(root))
    say(root, "prepare", what="bm25")
    wait_for(lambda: builds(root))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (root / "s.sock").exists()
    with pytest.raises(Unreachable, match="not running"):
        say(root, "ping")
    (root / "may-go").touch()
    launch()
    wait_for(lambda: answers(root))
    assert say(root, "state", what="bm25")["state"] == "absent"
    say(root, "prepare", what="bm25")
    wait_for(lambda: say(root, "state", what="bm25")["state"] == "ready")
    assert say(root, "search", text="heat number1")["hits"][0][0] == "d001"


def test_second_service_says_that_there_is_one(root: Path, launch: Start) -> None:
    launch()
    wait_for(lambda: answers(root))
    second = launch()
    assert second.wait(30) == 1
    assert second.stderr is not None
    assert "Another search service answers at" in second.stderr.read()
    assert answers(root)

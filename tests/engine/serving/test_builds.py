"""Builds: one at a time, the urgent one first, called off at the next report, tried again after a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator

import pytest

from sptar_engine.errors import StageError
from sptar_engine.serving import builds
from sptar_engine.serving.builds import ABSENT, BUILDING, FAILED, Builds, State, Tick

Steps = Generator[None, None, None]

UNFORESEEN = (
    "Something went wrong that we did not foresee. Try again; if it happens once more, tell the person who runs this "
    "machine, who finds the reason in the log of the search service."
)


@pytest.fixture
def queue() -> Iterator[Builds]:
    made = Builds()
    made.start()
    yield made
    made.stop(10)


class Work:
    """Steps that wait to be let on, and what was done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.begun = threading.Event()
        self.may_go = threading.Event()

    def steps(self, name: str, count: int, *, waits: bool = False) -> Callable[[Tick], Steps]:
        def run(tick: Tick) -> Steps:
            for number in range(count):
                if waits:
                    self.begun.set()
                    self.may_go.wait(10)
                tick(number, count, name)
                self.done.append(f"{name}{number}")
                yield

        return run


def test_urgent_build_goes_first_between_two_steps_of_another(queue) -> None:
    work = Work()
    queue.ask(("a", "vectors"), 2, work.steps("v", 3, waits=True))
    assert work.begun.wait(10)
    queue.ask(("b", "bm25"), 0, work.steps("x", 2))
    work.may_go.set()
    assert queue.idle(10)
    assert work.done == ["v0", "x0", "x1", "v1", "v2"]


def test_equally_urgent_builds_are_done_in_turn(queue) -> None:
    work = Work()
    queue.ask(("a", "vectors"), 2, work.steps("a", 2, waits=True))
    queue.ask(("b", "vectors"), 2, work.steps("b", 1))
    work.may_go.set()
    assert queue.idle(10)
    assert work.done == ["a0", "a1", "b0"]


def test_progress_is_seen_and_what_is_done_is_forgotten(queue) -> None:
    work = Work()

    def run(tick: Tick) -> Steps:
        tick(1, 4, "counting")
        work.begun.set()
        work.may_go.wait(10)
        yield

    assert queue.ask(("a", "bm25"), 0, run).state == BUILDING
    assert work.begun.wait(10)
    assert queue.state(("a", "bm25")) == State(BUILDING, 1, 4, "counting")
    assert queue.ask(("a", "bm25"), 0, run) == State(BUILDING, 1, 4, "counting")
    work.may_go.set()
    assert queue.idle(10)
    assert queue.state(("a", "bm25")).state == ABSENT


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StageError("Lucene failed."), "Lucene failed."),
        (OSError(28, "No space left on device"), "The disk is full; free some space and try again."),
        (RuntimeError("torch says no"), UNFORESEEN),
        (PermissionError(13, "Permission denied", "/data/search"), UNFORESEEN),
        (MemoryError(), "There is not enough memory; close other programs and try again."),
    ],
)
def test_failure_is_kept_with_its_sentence_and_others_go_on(queue, error: Exception, sentence: str) -> None:
    def fail(tick: Tick) -> Steps:
        raise error
        yield

    work = Work()
    queue.ask(("a", "bm25"), 0, fail)
    queue.ask(("b", "bm25"), 0, work.steps("b", 1))
    assert queue.idle(10)
    assert queue.state(("a", "bm25")) == State(FAILED, message=sentence)
    assert work.done == ["b0"]


def test_failed_build_is_tried_again_when_asked_to_or_after_a_while(queue, monkeypatch) -> None:
    calls: list[int] = []

    def fail(tick: Tick) -> Steps:
        calls.append(1)
        raise StageError("no")
        yield

    key = ("a", "bm25")
    queue.ask(key, 0, fail)
    assert queue.idle(10)
    assert queue.ask(key, 0, fail).state == FAILED
    assert len(calls) == 1
    assert queue.ask(key, 0, fail, again=True).state == BUILDING
    assert queue.idle(10)
    monkeypatch.setattr(builds, "_RETRY", 0.0)
    assert queue.ask(key, 0, fail).state == BUILDING
    assert queue.idle(10)
    assert len(calls) == 3


def test_cancelled_build_ends_at_its_next_report_and_can_be_asked_for_again(queue) -> None:
    work = Work()
    key = ("a", "vectors")
    queue.ask(key, 2, work.steps("a", 3, waits=True))
    assert work.begun.wait(10)
    queue.cancel(lambda one: one == key)
    work.may_go.set()
    assert queue.idle(10)
    assert work.done == []
    assert queue.state(key).state == ABSENT
    queue.ask(key, 2, work.steps("a", 1))
    assert queue.idle(10)
    assert work.done == ["a0"]


def test_cancelling_forgets_a_failure(queue) -> None:
    def fail(tick: Tick) -> Steps:
        raise StageError("no")
        yield

    queue.ask(("a", "bm25"), 0, fail)
    assert queue.idle(10)
    queue.cancel(lambda one: one[0] == "a")
    assert queue.all() == {}


def test_stop_ends_a_build_at_its_next_report() -> None:
    queue, work = Builds(), Work()
    queue.start()
    queue.ask(("a", "vectors"), 2, work.steps("a", 1000, waits=True))
    assert work.begun.wait(10)
    assert not queue.stop(0.05)  # it is between two reports
    work.may_go.set()
    assert queue.stop(10)
    assert not queue.alive
    assert work.done == []

"""The errands that follow the search service: to the end, over its restarts, and not in the way of others."""

from __future__ import annotations

from typing import Any

import pytest

from sptar_engine.errors import Cancelled, StageError, StaleAttempt
from sptar_engine.serving.wire import Refusal
from webapp.errands import KINDS, corpus_index, corpus_topics, making_room
from webapp.jobs.attempt import Attempt, Stop
from webapp.models import Corpus, Errand, Event, Project, State
from webapp.search import following
from webapp.services import topics as topics_service

_TOPICS = [{"id": 0, "label": "wing, flow", "size": 40}, {"id": 1, "label": "heat", "size": 20}]


def stands(state: str, done: int = 0, total: int = 0, message: str = "") -> dict[str, Any]:
    return {"state": state, "done": done, "total": total, "message": message}


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr(following, "PAUSE", 0)


@pytest.fixture
def attempt(corpus) -> Attempt:
    """A claimed errand `corpus.index` of the corpus."""
    return claim(corpus, "corpus.index")


def claim(corpus: Corpus, kind: str) -> Attempt:
    row = Errand.objects.create(kind=kind, project=corpus.project, subject=corpus.pk, state=State.QUEUED, attempt=1)
    claimed = Attempt.claim(Errand, row.pk, 1)
    assert claimed is not None
    return claimed


def test_kinds_are_registered() -> None:
    assert KINDS["corpus.index"] == "webapp.errands.corpus_index"
    assert KINDS["corpus.topics"] == "webapp.errands.corpus_topics"


def test_everything_is_prepared_in_order_and_the_topics_are_kept(corpus, attempt, script) -> None:
    ready, building = stands("ready"), stands("building", 5, 60, "Encoding the documents")
    script.says("prepare", ready, building, ready)
    script.says("state", building, ready)
    script.says("topics", {"topics": _TOPICS})
    assert corpus_index.run(attempt.row, attempt) == {"documents": 60, "topics": 2}
    assert script.kinds() == ["prepare bm25", "prepare base", "state base", "state base", "prepare topics", "topics"]
    attempt.flush()
    seen = Errand.objects.get()
    assert (seen.done, seen.total, seen.message) == (5, 60, "Encoding the documents")
    assert Project.objects.get().topics == {"corpus": 1, "topics": _TOPICS}
    assert Event.objects.get().verb == "corpus.topics_found"


def test_index_that_cannot_be_built_is_a_sentence(attempt, script) -> None:
    script.says("prepare", stands("building"))
    script.says("state", stands("failed", message="The disk is full; free some space and try again."))
    with pytest.raises(StageError, match="The disk is full"):
        corpus_index.run(attempt.row, attempt)


def test_refusal_is_a_sentence(attempt, script) -> None:
    script.says("prepare", Refusal("failed", "The file with these documents is gone."))
    with pytest.raises(StageError, match="is gone"):
        corpus_index.run(attempt.row, attempt)


def test_service_that_was_started_anew_is_asked_again(attempt, script) -> None:
    script.says("prepare", stands("building", 5, 60), stands("ready"))
    script.says("state", stands("absent"))
    script.says("topics", {"topics": _TOPICS})
    assert corpus_index.run(attempt.row, attempt)["topics"] == 2
    assert script.kinds()[:4] == ["prepare bm25", "state bm25", "prepare bm25", "prepare base"]


def test_it_waits_for_a_service_that_is_not_there(attempt, monkeypatch) -> None:
    reports = []

    def tick(done: int, total: int, message: str) -> None:
        reports.append(message)
        if len(reports) == 3:
            raise Cancelled("stop")

    monkeypatch.setattr(attempt, "tick", tick)
    with pytest.raises(Cancelled):
        corpus_index.run(attempt.row, attempt)
    assert reports == ["Waiting for the search service, which is not running"] * 3


def test_calling_it_off_stops_the_build_in_the_service(attempt, script) -> None:
    script.says("prepare", stands("building"))
    script.says("stop", {})
    attempt.stop = Stop.CANCEL
    with pytest.raises(Cancelled):
        corpus_index.run(attempt.row, attempt)
    assert script.kinds() == ["prepare bm25", "stop bm25", "stop base", "stop topics"]


def test_worker_that_shuts_down_leaves_the_build_going(attempt, script) -> None:
    script.says("prepare", stands("building"))
    attempt.stop = Stop.SHUTDOWN
    with pytest.raises(Cancelled):
        corpus_index.run(attempt.row, attempt)
    assert script.kinds() == ["prepare bm25"]


def test_version_that_is_not_the_current_one_gets_no_vectors(corpus, attempt, script) -> None:
    Project.objects.update(corpus=Corpus.objects.create(project=corpus.project, number=2))
    script.says("prepare", stands("ready"))
    assert corpus_index.run(attempt.row, attempt) == {"superseded": 1}
    assert script.kinds() == ["prepare bm25"]


def test_version_that_is_gone_is_nothing_to_do(corpus, attempt) -> None:
    corpus.delete()
    assert corpus_index.run(attempt.row, attempt) == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("kind", "after", "makes_room"),
    [("upload.check", 6, True), ("upload.check", 4, False), ("corpus.index", 6, False), ("corpus.index", 61, True),
     (None, 61, False), (None, 1801, True)],
)  # fmt: skip
def test_it_makes_room_for_others(attempt, script, monkeypatch, kind: str | None, after: int, makes_room: bool) -> None:
    now = [1000.0]
    monkeypatch.setattr(making_room.time, "monotonic", lambda: now[0])
    turn = making_room.Turn(attempt)
    if kind:
        Errand.objects.create(kind=kind, subject=99, state=State.QUEUED, attempt=1)
    now[0] += after
    if not makes_room:
        turn.report(3, 60, "Encoding the documents")
        return
    with pytest.raises(StaleAttempt, match="made room"):
        turn.report(3, 60, "Encoding the documents")
    row = Errand.objects.get(subject=attempt.row.subject)
    assert (row.state, row.attempt, row.done, row.total) == (State.QUEUED, 2, 3, 60)


def test_topics_are_kept_when_they_are_found(corpus, script) -> None:
    attempt = claim(corpus, "corpus.topics")
    script.says("state", stands("building"), stands("ready"))
    script.says("topics", {"topics": _TOPICS})
    assert corpus_topics.run(attempt.row, attempt) == {"topics": 2}
    assert Project.objects.get().topics["topics"] == _TOPICS


def test_topics_that_nobody_looks_for_are_not_waited_for(corpus, script) -> None:
    attempt = claim(corpus, "corpus.topics")
    script.says("state", stands("absent"))
    assert corpus_topics.run(attempt.row, attempt) == {}
    assert Project.objects.get().topics == {}


def test_topics_are_left_to_the_errand_that_indexes(corpus, attempt, script) -> None:
    other = claim(corpus, "corpus.topics")
    assert corpus_topics.run(other.row, other) == {}
    assert script.asked == []


def test_topics_of_an_old_version_are_not_kept(corpus) -> None:
    Project.objects.update(corpus=Corpus.objects.create(project=corpus.project, number=2))
    assert not topics_service.store(corpus=corpus, topics=[])
    assert Project.objects.get().topics == {}
    assert not Event.objects.exists()


def test_topics_found_again_are_no_second_event(corpus) -> None:
    assert topics_service.store(corpus=corpus, topics=[])
    assert topics_service.store(corpus=corpus, topics=[])
    assert Event.objects.count() == 1

"""The columns: movement, letters, what is not ready."""

from __future__ import annotations

import shutil
import threading

import pytest

from webapp.models import Errand, State
from webapp.search import client
from webapp.search.client import SearchUnavailable
from webapp.selectors import playground_searches
from webapp.selectors.playground import column_of, move_of, screen_of
from webapp.services import playground as service


def columns(project, model, text="renewed book"):
    return {column.key: column for column in screen_of(project, text, model).columns}


@pytest.mark.parametrize(
    ("before", "now", "kind", "words"),
    [
        (5, 2, "up", "moved up 3 places, from 5 to 2"),
        (1, 2, "down", "moved down 1 place, from 1 to 2"),
        (4, 4, "same", "in the same place as before training"),
        (None, 3, "new", "new here: not among the first 100 before training"),
    ],
)
def test_movement_in_words(before: int | None, now: int, kind: str, words: str) -> None:
    move = move_of(before, now)
    assert (move.kind, move.words) == (kind, words)


def test_after_training_documents_move_against_before_training(project, model, search) -> None:
    after = columns(project, model)["after"]
    assert [(hit.doc_id, hit.move.kind) for hit in after.hits] == [("d4", "up"), ("d3", "down"), ("d9", "new")]
    assert all(hit.move is None for hit in columns(project, model)["before"].hits)


def test_without_the_untrained_search_nothing_is_said_to_have_moved(project, model, search) -> None:
    search.says["base"] = SearchUnavailable("It is being built (40 %).", "building", 4, 10)
    found = columns(project, model)
    assert [hit.move for hit in found["after"].hits] == [None, None, None]
    assert (found["before"].percent, found["before"].waits) == (40, True)
    assert len(found["bm25"].hits) == 3


def test_same_document_has_the_same_letter_in_each_column(project, model, search) -> None:
    found = columns(project, model)
    letters = {key: {hit.doc_id: hit.letter for hit in column.hits} for key, column in found.items()}
    assert letters == {
        "bm25": {"d1": "A", "d2": "", "d3": "B"},
        "before": {"d3": "B", "d4": "C", "d1": "A"},
        "after": {"d4": "C", "d3": "B", "d9": ""},
    }
    hit = found["bm25"].hits[2]
    assert [(other.key, other.rank, other.shown) for other in hit.also] == [("before", 1, True), ("after", 2, True)]
    assert hit.where == ["before", "after"]


def test_document_below_those_shown_is_named_with_its_place(project, model, search) -> None:
    search.rankings["base"] = [f"d{at}" for at in range(5, 20)] + ["d4"]
    after = columns(project, model)["after"]
    hit = after.hits[0]
    assert (hit.doc_id, hit.move.words) == ("d4", "moved up 15 places, from 16 to 1")
    assert [(other.key, other.rank, other.shown) for other in hit.also] == [("before", 16, False)]


def test_words_of_the_question_are_marked(project, model, search) -> None:
    hit = columns(project, model)["bm25"].hits[0]
    assert [part.text for part in hit.excerpt if part.hit] == ["book", "renewed"]


def test_each_search_is_asked_once_and_only_keyword_search_may_begin_to_be_built(project, model, search) -> None:
    columns(project, model)
    assert sorted(search.asked) == sorted(
        [("bm25", "renewed book", True), ("base", "renewed book", False), (str(model.folder), "renewed book", False)]
    )


def test_model_with_the_untrained_weights_is_searched_once(project, model, search) -> None:
    model.stage.metrics = {"kept_untrained": True}
    found = columns(project, model)
    assert [retriever for retriever, _, _ in search.asked].count("base") == 1
    assert [hit.move.kind for hit in found["after"].hits] == ["same"] * 3


def test_model_whose_files_are_gone_is_said_to_be_missing(project, model, search) -> None:
    shutil.rmtree(model.folder)
    assert columns(project, model)["after"].outcome.state == "missing"


def test_without_a_model_there_are_two_columns_to_search(project, corpus, search) -> None:
    found = columns(project, None)
    assert (len(found["bm25"].hits), len(found["before"].hits)) == (3, 3)
    assert found["after"].outcome.state == "missing"


def test_without_documents_nothing_is_asked(project, search) -> None:
    assert {column.outcome.state for column in columns(project, None).values()} == {"absent"}
    assert search.asked == []


def test_slow_search_holds_up_no_other(project, model, search, monkeypatch) -> None:
    may_go = threading.Event()
    quick = search.find

    def find(corpus, text, *, retriever, **options):
        if retriever == client.BASE:
            may_go.wait(10)
        return quick(corpus, text, retriever=retriever, **options)

    monkeypatch.setattr(client, "find", find)
    monkeypatch.setattr(playground_searches, "_PATIENT", 0.05)
    found = columns(project, model)
    may_go.set()
    assert (found["before"].outcome.state, found["before"].waits) == ("slow", True)
    assert len(found["bm25"].hits) == 3


@pytest.mark.parametrize("reason", ["down", "busy", "failed", "absent"])
def test_service_that_cannot_answer_is_said_so_in_its_column(project, model, search, reason: str) -> None:
    search.says["after"] = SearchUnavailable("That is why.", reason)
    column = columns(project, model)["after"]
    assert (column.outcome.state, column.outcome.problem, column.hits) == (reason, "That is why.", [])
    assert column.waits == (reason in ("down", "busy"))


def test_index_that_somebody_asked_for_is_waited_for(project, model, search) -> None:
    search.says["after"] = SearchUnavailable("It has not been built yet.", "absent")
    assert not column_of(project, "after", model).waits
    Errand.objects.create(kind="model.index", project=project, subject=model.stage.pk, state=State.QUEUED)
    column = column_of(project, "after", model)
    assert column.preparing
    assert column.waits


def test_grades_that_were_given_are_shown_in_each_column(project, model, search, owner) -> None:
    service.grade(project=project, text="renewed book", doc_id="d3", grade=3, actor=owner)
    found = columns(project, model, "Renewed  book")
    grades = {key: {hit.doc_id: hit.graded.grade for hit in column.hits} for key, column in found.items()}
    assert grades["bm25"] == {"d1": None, "d2": None, "d3": 3}
    assert grades["after"]["d3"] == 3


def test_screen_costs_few_queries(project, model, search, owner, django_assert_max_num_queries) -> None:
    service.grade(project=project, text="renewed book", doc_id="d3", grade=3, actor=owner)
    with django_assert_max_num_queries(4):
        columns(project, model)

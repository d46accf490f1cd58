"""Grades and questions of the playground: they take part in nothing until somebody saves the question."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from webapp.models import Decision, Event, Judgement, Project, Query, Split
from webapp.selectors.judgements import counting, effective
from webapp.selectors.steps import steps_of
from webapp.services import playground, queries, snapshots, undo
from webapp.services import splits as splits_service
from webapp.services.decisions import Conflict

TEXT = "how often may a book be renewed"


def give(project, owner, doc_id="d1", grade=2, **more) -> Query:
    return playground.grade(project=project, text=TEXT, doc_id=doc_id, grade=grade, actor=owner, **more)


@pytest.fixture
def version(project) -> object:
    """Return the number by which experiments notice changed examples."""
    return lambda: Project.objects.get(pk=project.pk).labels_version


def test_graded_question_is_kept_aside(project, corpus, owner, version) -> None:
    before = version()
    query = give(project, owner)
    query.refresh_from_db()
    assert (query.status, query.skip_reason, query.origin, query.split) == ("skipped", "playground", "playground", "")
    assert (query.relevant, query.judged) == (1, 1)
    row = Judgement.objects.get()
    assert (row.doc_id, row.grade, row.source, row.judge) == ("d1", 2, "playground", owner)
    assert version() == before
    assert list(Event.objects.values_list("verb", flat=True)) == ["query.tried", "judgement.given"]


def test_tried_question_is_no_example_for_anything(project, corpus, owner) -> None:
    give(project, owner, grade=3)
    splits_service.assign(project)
    assert not splits_service.usable(project.queries.all()).exists()
    steps = {step.key: step.label for step in steps_of(project)}
    assert steps["examples"] == "Not started"
    queries_, qrels, _ = snapshots._labels(project, corpus)
    assert queries_ == []
    assert not any(one.grades for one in qrels.values())


def test_second_document_and_another_spelling_go_to_the_same_question(project, corpus, owner) -> None:
    first = give(project, owner)
    second = playground.grade(
        project=project, text=" How often MAY a book be renewed", doc_id="d2", grade=0, actor=owner
    )
    assert first.pk == second.pk
    assert Judgement.objects.filter(query=first).count() == 2


def test_grade_is_changed_only_by_who_saw_it(project, corpus, owner, member) -> None:
    query = give(project, owner)
    other = member("reviewer")
    with pytest.raises(Conflict, match="changed this meanwhile"):
        give(project, other, grade=0)
    row = Judgement.objects.get()
    give(project, other, grade=0, seen=f"{row.pk}.{row.revision}")
    assert Judgement.objects.get(query=query).grade == 0


def test_grade_is_taken_off(project, corpus, owner) -> None:
    give(project, owner)
    row = Judgement.objects.get()
    give(project, owner, grade=None, seen=f"{row.pk}.{row.revision}")
    assert not Judgement.objects.exists()


def test_example_is_judged_on_its_own_page(project, corpus, owner) -> None:
    queries.add(project=project, texts=[TEXT], actor=owner)
    with pytest.raises(ValidationError, match="one of the examples"):
        give(project, owner)
    assert not Judgement.objects.exists()


@pytest.mark.parametrize(("doc_id", "grade"), [("nobody", 2), ("d1", 4), ("d1", -1)])
def test_bad_grade_leaves_no_question_behind(project, corpus, owner, doc_id: str, grade: int) -> None:
    with pytest.raises(ValidationError):
        give(project, owner, doc_id=doc_id, grade=grade)
    assert not Query.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
def test_bad_question_is_refused(project, corpus, owner, text: str) -> None:
    with pytest.raises(ValidationError):
        playground.grade(project=project, text=text, doc_id="d1", grade=1, actor=owner)
    with pytest.raises(ValidationError):
        playground.save(project=project, text=text, split=Split.TEST, actor=owner)
    assert not Query.objects.exists()


def test_saved_as_test_question_its_grades_count(project, corpus, owner, version) -> None:
    before = version()
    give(project, owner)
    row = playground.save(project=project, text=TEXT, split=Split.TEST, actor=owner)
    row.refresh_from_db()
    assert (row.status, row.split, row.split_fixed, row.skip_reason) == ("done", "test", True, "")
    assert row.origin == "playground"
    assert version() > before
    assert Judgement.objects.get().source == "labelling"
    _, qrels, _ = snapshots._labels(project, corpus)
    assert qrels["test"].grades == {row.query_id: {"d1": 2}}
    assert not qrels["train"].grades


def test_saved_as_example_it_is_for_training(project, corpus, owner) -> None:
    give(project, owner)
    row = playground.save(project=project, text=TEXT, split=Split.TRAIN, actor=owner)
    assert (row.split, row.split_fixed) == ("train", True)
    assert Event.objects.get(verb="query.saved").facts["used"] == "an example to learn from"


def test_saved_without_a_relevant_document_it_waits_to_be_judged(project, corpus, owner) -> None:
    row = playground.save(project=project, text=TEXT, split=Split.TEST, actor=owner)
    assert (row.status, row.split) == ("open", "test")


def test_question_that_is_an_example_is_not_saved_again(project, corpus, owner) -> None:
    playground.save(project=project, text=TEXT, split=Split.TEST, actor=owner)
    with pytest.raises(ValidationError, match="one of the examples already"):
        playground.save(project=project, text=TEXT, split=Split.TRAIN, actor=owner)
    assert Query.objects.get().split == "test"


@pytest.mark.parametrize("split", ["dev", "", "nonsense"])
def test_it_is_saved_for_test_or_training_only(project, corpus, owner, split: str) -> None:
    with pytest.raises(ValidationError, match="Choose what to save it as"):
        playground.save(project=project, text=TEXT, split=split, actor=owner)


def test_saving_can_be_taken_back(project, corpus, owner) -> None:
    give(project, owner)
    playground.save(project=project, text=TEXT, split=Split.TEST, actor=owner)
    undo.undo(project=project, decision=Decision.objects.latest("pk"), actor=owner)
    row = Query.objects.get()
    assert (row.status, row.split, row.skip_reason) == ("skipped", "", "playground")
    assert Judgement.objects.get().source == "playground"


@pytest.mark.parametrize("take_up", [queries.reopen, queries.finish])
def test_taken_up_on_its_page_its_grades_count_too(project, corpus, owner, take_up) -> None:
    query = give(project, owner)
    take_up(query=query, actor=owner)
    assert Judgement.objects.get().source == "labelling"


def test_grade_that_was_only_tried_counts_for_no_data(project, corpus, owner) -> None:
    queries.add(project=project, texts=[TEXT], actor=owner)
    query = Query.objects.get()
    Judgement.objects.create(query=query, doc_id="d1", grade=0, judge=owner, source="playground")
    other = Judgement.objects.create(query=query, doc_id="d1", grade=2, judge=None)
    assert [(row.doc_id, row.grade) for row in effective(Judgement.objects.all())] == [("d1", 2)]
    assert counting(list(Judgement.objects.order_by("pk"))) == other
    other.delete()
    assert list(effective(Judgement.objects.all())) == []


def test_saving_a_new_question_can_be_taken_back(project, corpus, owner) -> None:
    playground.save(project=project, text=TEXT, split=Split.TEST, actor=owner)
    undo.undo(project=project, decision=Decision.objects.latest("pk"), actor=owner)
    assert not Query.objects.exists()

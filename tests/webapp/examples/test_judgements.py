"""Grades: given, changed, in conflict, taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from tests.webapp.examples.conftest import FakeSearch
from webapp.models import Corpus, Decision, Document, Event, Judgement, Project, Query, User
from webapp.selectors.agreement import disagreements
from webapp.selectors.gauge import gauge_of
from webapp.selectors.judgements import effective, state_of
from webapp.services import agreement, guidelines, judgements, queries, splits
from webapp.services.decisions import Conflict
from webapp.services.judgements import version_of
from webapp.services.undo import undo

Write = Callable[..., Query]


def give(query: Query, doc_id: str, grade: int | None, actor: User, seen: str = "") -> None:
    judgements.grade(query=query, doc_id=doc_id, grade=grade, actor=actor, seen=seen)


def seen_of(query: Query, doc_id: str) -> str:
    rows = Judgement.objects.filter(query=query, doc_id=doc_id).order_by("-settled", "id")
    return version_of(list(rows))


def all_seen_of(query: Query, doc_id: str) -> str:
    return state_of(list(Judgement.objects.filter(query=query, doc_id=doc_id).order_by("-settled", "id")))


def state(query: Query) -> list[tuple[str, int, int]]:
    return list(Judgement.objects.filter(query=query).order_by("pk").values_list("doc_id", "grade", "judge_id"))


def take_back(project: Project, actor: User) -> list[int]:
    return undo(project=project, decision=Decision.objects.filter(undone=None).latest("pk"), actor=actor)


def test_a_grade_is_kept_counted_and_logged(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan")
    before = Project.objects.get(pk=project.pk).labels_version
    give(query, "d1", 3, owner)
    query.refresh_from_db()
    assert (query.relevant, query.judged, query.disputed) == (1, 1, False)
    assert Project.objects.get(pk=project.pk).labels_version == before + 1
    event = Event.objects.latest("pk")
    assert (event.verb, event.actor) == ("judgement.given", owner)
    assert event.facts == {"query": query.query_id, "text": query.text, "grade": 3}


def test_the_same_grade_again_changes_nothing(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan")
    give(query, "d1", 3, owner)
    version, steps = Project.objects.get(pk=project.pk).labels_version, Decision.objects.count()
    give(query, "d1", 3, owner)
    assert (Project.objects.get(pk=project.pk).labels_version, Decision.objects.count()) == (version, steps)


def test_two_people_who_judge_the_same_document_notice_each_other(
    write: Write, owner: User, member: Callable[[str], User]
) -> None:
    query, other = write("may I renew a loan"), member("editor")
    give(query, "d1", 3, owner)
    with pytest.raises(Conflict, match="Olga Owner has changed this meanwhile: it is “exactly this” now"):
        give(query, "d1", 0, other, seen="")
    assert state(query) == [("d1", 3, owner.pk)]
    give(query, "d1", 0, other, seen=seen_of(query, "d1"))
    assert state(query) == [("d1", 0, other.pk)]
    with pytest.raises(Conflict, match="changed this meanwhile"):
        give(query, "d1", 2, owner, seen="999.1")


def test_an_older_version_of_a_grade_is_stale(write: Write, owner: User) -> None:
    query = write("may I renew a loan", d1=3)
    seen = seen_of(query, "d1")
    give(query, "d1", 2, owner, seen)
    with pytest.raises(Conflict, match="in another window"):
        give(query, "d1", 1, owner, seen)


def test_a_grade_is_taken_off(write: Write, owner: User) -> None:
    query = write("may I renew a loan", d1=3)
    give(query, "d1", None, owner, seen_of(query, "d1"))
    query.refresh_from_db()
    assert (state(query), query.relevant) == ([], 0)


@pytest.mark.parametrize("grade", [-1, 4, 99])
def test_a_grade_beyond_three_is_refused(write: Write, owner: User, grade: int) -> None:
    with pytest.raises(ValidationError, match="no grade"):
        give(write("may I renew a loan"), "d1", grade, owner)


def test_a_document_of_another_project_is_refused(write: Write, owner: User) -> None:
    elsewhere = Project.objects.create(name="Other")
    Document.objects.create(corpus=Corpus.objects.create(project=elsewhere, number=1), doc_id="secret", text="x")
    with pytest.raises(ValidationError, match="no document"):
        give(write("may I renew a loan"), "secret", 2, owner)


def test_none_of_the_rest_marks_only_what_nobody_judged(write: Write, owner: User) -> None:
    query = write("may I renew a loan", d1=3)
    count = judgements.rest_is_not_relevant(query=query, doc_ids=["d1", "d2", "d3"], actor=owner)
    assert count == 2
    assert [row[:2] for row in state(query)] == [("d1", 3), ("d2", 0), ("d3", 0)]


def test_a_judgement_keeps_the_version_of_the_guidelines(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan")
    give(query, "d1", 2, owner)
    first = guidelines.write(project=project, text="Be strict.", seen=0, actor=owner)
    give(query, "d2", 2, owner)
    assert list(Judgement.objects.order_by("pk").values_list("guideline_id", flat=True)) == [None, first.pk]


def test_guidelines_written_by_two_at_once_do_not_overwrite(project: Project, owner: User) -> None:
    guidelines.write(project=project, text="Be strict.", seen=0, actor=owner)
    with pytest.raises(Conflict, match="Olga Owner wrote version 1 meanwhile"):
        guidelines.write(project=project, text="Be mild.", seen=0, actor=owner)
    assert guidelines.write(project=project, text="Be strict.", seen=1, actor=owner).number == 1
    assert guidelines.write(project=project, text="Be mild.", seen=1, actor=owner).number == 2


def test_undo_puts_every_kind_of_step_back(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan", d1=3)
    start = (state(query), Query.objects.filter(pk=query.pk).values(*FIELDS).get())
    for act in (
        lambda: give(query, "d1", 0, owner, seen_of(query, "d1")),
        lambda: give(query, "d2", 1, owner),
        lambda: give(query, "d1", None, owner, seen_of(query, "d1")),
        lambda: judgements.rest_is_not_relevant(query=query, doc_ids=["d2", "d3", "d4"], actor=owner),
        lambda: queries.skip(query=query, actor=owner, reason="unclear"),
        lambda: queries.flag(query=query, actor=owner, flagged=True),
        lambda: queries.finish(query=query, actor=owner),
        lambda: queries.annotate(query=query, actor=owner, seen=revision(query), note="look again"),
        lambda: queries.edit(query=query, actor=owner, seen=revision(query), text="renewing loans", split="test"),
        lambda: queries.delete(query=query, actor=owner),
    ):
        act()
        assert (state(query), Query.objects.filter(pk=query.pk).values(*FIELDS).first()) != start
        assert take_back(project, owner) == [query.pk]
        assert (state(query), Query.objects.filter(pk=query.pk).values(*FIELDS).get()) == start


FIELDS = (
    "text", "normalised", "query_id", "status", "split", "split_fixed", "skip_reason", "note", "flagged", "relevant",
    "judged", "origin", "author_id", "created",
)  # fmt: skip


def revision(query: Query) -> int:
    return Query.objects.values_list("revision", flat=True).get(pk=query.pk)


def test_steps_are_taken_back_one_after_the_other(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan")
    for grade in (1, 2, 3):
        give(query, "d1", grade, owner, seen_of(query, "d1"))
    for grade in (2, 1):
        take_back(project, owner)
        assert state(query) == [("d1", grade, owner.pk)]
    take_back(project, owner)
    assert state(query) == []


def test_undo_refuses_what_somebody_changed_since(
    write: Write, owner: User, member: Callable[[str], User], project: Project
) -> None:
    query, other = write("may I renew a loan"), member("editor")
    give(query, "d1", 1, owner)
    mine = Decision.objects.latest("pk")
    give(query, "d1", 3, other, seen_of(query, "d1"))
    with pytest.raises(Conflict, match="cannot be taken back: it was changed again"):
        undo(project=project, decision=mine, actor=owner)
    assert state(query) == [("d1", 3, other.pk)]
    assert Decision.objects.get(pk=mine.pk).undone is None


def test_a_step_is_taken_back_once(write: Write, owner: User, project: Project) -> None:
    give(write("may I renew a loan"), "d1", 1, owner)
    decision = Decision.objects.latest("pk")
    undo(project=project, decision=decision, actor=owner)
    with pytest.raises(Conflict, match="already"):
        undo(project=project, decision=decision, actor=owner)


def test_a_question_that_others_judged_is_not_undone_away(
    project: Project, corpus: Corpus, owner: User, member: Callable[[str], User]
) -> None:
    query = queries.add(project=project, texts=["may I renew a loan"], actor=owner).made[0]
    written = Decision.objects.latest("pk")
    give(query, "d1", 2, member("reviewer"))
    with pytest.raises(Conflict, match="were judged since"):
        undo(project=project, decision=written, actor=owner)
    assert Query.objects.filter(pk=query.pk).exists()


def test_undoing_a_deletion_is_refused_when_the_text_is_taken(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan")
    queries.delete(query=query, actor=owner)
    deleted = Decision.objects.latest("pk")
    queries.add(project=project, texts=["May I renew a loan?"], actor=owner)
    with pytest.raises(Conflict, match="same text has been written since"):
        undo(project=project, decision=deleted, actor=owner)
    assert Decision.objects.get(pk=deleted.pk).undone is None


def test_a_remark_makes_no_experiment_out_of_date(write: Write, owner: User, project: Project) -> None:
    query = write("may I renew a loan", d1=2)
    before = Project.objects.get(pk=project.pk).labels_version
    queries.flag(query=query, actor=owner, flagged=True)
    queries.annotate(query=query, actor=owner, seen=revision(query), note="hm")
    assert Project.objects.get(pk=project.pk).labels_version == before
    assert Decision.objects.filter(kind__in=["query.flagged", "query.annotated"]).count() == 2


def test_only_what_a_snapshot_reads_makes_results_out_of_date(
    write: Write, owner: User, project: Project, search: FakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = write("may I renew a loan", d1=3, d2=0)
    project.refresh_from_db()
    assert gauge_of(project).counts.open == 1
    before = project.labels_version
    with monkeypatch.context() as patched:
        patched.setattr(splits, "assign", lambda project: pytest.fail("looked at every example"))
        queries.finish(query=query, actor=owner)
        take_back(project, owner)
        queries.finish(query=query, actor=owner)
        queries.add(project=project, texts=["another one"], actor=owner)
        give(query, "d2", 1, owner, seen_of(query, "d2"))
    project.refresh_from_db()
    assert project.labels_version == before + 1  # by the grade
    assert gauge_of(project).counts.open == 1  # the new one
    queries.finish(query=Query.objects.get(text="another one"), actor=owner)
    assert gauge_of(project).counts.open == 0
    queries.edit(query=query, actor=owner, seen=revision(query), text="may I renew it", split="")
    queries.skip(query=query, actor=owner, reason="unclear")
    take_back(project, owner)
    assert Project.objects.get(pk=project.pk).labels_version == before + 4


def test_the_settled_grade_counts_else_the_first(
    write: Write, owner: User, member: Callable[[str], User], project: Project
) -> None:
    query, other = write("may I renew a loan", d1=3, d2=1), member("reviewer")
    queries.finish(query=query, actor=owner)
    agreement.give_second(query=query, doc_id="d1", grade=0, actor=other)
    agreement.give_second(query=query, doc_id="d2", grade=1, actor=other)
    assert {(row.doc_id, row.grade) for row in effective(Judgement.objects.all())} == {("d1", 3), ("d2", 1)}
    query.refresh_from_db()
    assert query.disputed
    judgements.settle(query=query, doc_id="d1", grade=0, actor=owner, seen=all_seen_of(query, "d1"))
    assert {(row.doc_id, row.grade) for row in effective(Judgement.objects.all())} == {("d1", 0), ("d2", 1)}
    query.refresh_from_db()
    assert (query.disputed, query.relevant, query.judged) == (False, 1, 2)
    assert Judgement.objects.filter(query=query, doc_id="d1", settled=False).count() == 2
    take_back(project, owner)
    query.refresh_from_db()
    assert query.disputed


def test_a_grade_on_the_screen_settles_what_two_judged(
    write: Write, owner: User, member: Callable[[str], User]
) -> None:
    query, other = write("may I renew a loan", d1=3), member("reviewer")
    queries.finish(query=query, actor=owner)
    agreement.give_second(query=query, doc_id="d1", grade=0, actor=other)
    give(query, "d1", 1, owner, seen_of(query, "d1"))
    assert list(Judgement.objects.filter(settled=True).values_list("grade", "judge_id")) == [(1, owner.pk)]
    give(query, "d1", 2, other, seen_of(query, "d1"))
    assert list(Judgement.objects.filter(settled=True).values_list("grade", "judge_id")) == [(2, other.pk)]
    assert Judgement.objects.filter(settled=False).count() == 2


def test_settling_needs_two_people(write: Write, owner: User) -> None:
    query = write("may I renew a loan", d1=3)
    with pytest.raises(ValidationError, match="nothing to settle"):
        judgements.settle(query=query, doc_id="d1", grade=0, actor=owner, seen=all_seen_of(query, "d1"))


def test_settling_notices_a_second_opinion_that_was_changed(
    write: Write, owner: User, member: Callable[[str], User]
) -> None:
    query, other = write("may I renew a loan", d1=3, d2=0), member("reviewer")
    queries.finish(query=query, actor=owner)
    agreement.give_second(query=query, doc_id="d1", grade=0, actor=other)
    [shown] = disagreements(query)
    agreement.give_second(query=query, doc_id="d1", grade=2, actor=other)
    with pytest.raises(Conflict, match="have changed meanwhile"):
        judgements.settle(query=query, doc_id="d1", grade=0, actor=owner, seen=shown.seen)
    judgements.settle(query=query, doc_id="d1", grade=0, actor=owner, seen=disagreements(query)[0].seen)


def test_a_second_opinion_is_fixed_once_all_are_given(write: Write, owner: User, member: Callable[[str], User]) -> None:
    query, other = write("may I renew a loan", d1=3, d2=0), member("reviewer")
    agreement.give_second(query=query, doc_id="d1", grade=1, actor=other)
    agreement.give_second(query=query, doc_id="d1", grade=2, actor=other)
    agreement.give_second(query=query, doc_id="d2", grade=0, actor=other)
    with pytest.raises(Conflict, match="have seen the other grades"):
        agreement.give_second(query=query, doc_id="d1", grade=3, actor=other)
    with pytest.raises(ValidationError, match="Nobody else"):
        agreement.give_second(query=query, doc_id="d3", grade=3, actor=other)

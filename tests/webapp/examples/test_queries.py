"""Questions: cleaning, repetition, edits by two people, bulk actions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from webapp.models import Corpus, Decision, Judgement, Project, Query, SkippedDocument, User
from webapp.selectors.examples import Filter, page
from webapp.services import bulk, queries, skipped_documents
from webapp.services.decisions import Conflict
from webapp.services.undo import undo

Write = Callable[..., Query]


def test_several_lines_are_several_questions_and_one_written_twice_is_one(project: Project, owner: User) -> None:
    added = queries.add(project=project, texts=["a  b\tc", "", "A b c?", "second one"], actor=owner)
    assert [row.text for row in added.made] == ["a b c", "second one"]
    again = queries.add(project=project, texts=["Second  ONE?", "third"], actor=owner)
    assert ([row.text for row in again.made], [row.text for row in again.known]) == (["third"], ["second one"])


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001])
def test_an_empty_or_endless_question_is_refused(project: Project, owner: User, text: str) -> None:
    with pytest.raises(ValidationError):
        queries.add(project=project, texts=[text], actor=owner)
    assert not Query.objects.exists()


def test_nul_and_lone_surrogates_are_replaced(project: Project, owner: User) -> None:
    made = queries.add(project=project, texts=["a\0b \ud800 c"], actor=owner).made[0]
    assert made.text == "a\ufffdb \ufffd c"


def test_a_text_freed_by_an_edit_gets_another_id(project: Project, owner: User) -> None:
    first = queries.add(project=project, texts=["first"], actor=owner).made[0]
    queries.edit(query=first, actor=owner, seen=1, text="changed", split="")
    second = queries.add(project=project, texts=["first"], actor=owner).made[0]
    assert second.query_id == f"{first.query_id}-2"


def test_an_edit_of_an_older_version_is_refused_with_the_present_text(
    write: Write, owner: User, member: Callable[[str], User]
) -> None:
    query = write("may I renew a loan")
    queries.edit(query=query, actor=owner, seen=1, text="may I renew my loan", split="")
    with pytest.raises(
        Conflict, match=r"Olga Owner changed this question meanwhile; it now reads “may I renew my loan”"
    ):
        queries.edit(query=query, actor=member("editor"), seen=1, text="renewing", split="")
    assert Query.objects.get(pk=query.pk).text == "may I renew my loan"


def test_an_edit_into_another_examples_text_is_refused(write: Write, owner: User) -> None:
    write("first question")
    second = write("second question")
    with pytest.raises(ValidationError, match="has this text already"):
        queries.edit(query=second, actor=owner, seen=1, text="First question?", split="")


def test_a_question_for_a_document_is_an_example_at_once(project: Project, owner: User, corpus: Corpus) -> None:
    query = queries.add_for_document(project=project, text="what if I lose my card", doc_id="d3", actor=owner)
    query.refresh_from_db()
    assert (query.origin, query.status, query.relevant) == ("document", "done", 1)
    assert Judgement.objects.values_list("doc_id", "grade").get(query=query) == ("d3", 2)
    with pytest.raises(ValidationError, match="among the examples already"):
        queries.add_for_document(project=project, text="What if I lose my card?", doc_id="d1", actor=owner)


def test_a_skipped_document_can_be_taken_back(project: Project, owner: User, corpus: Corpus) -> None:
    skipped_documents.skip(project=project, doc_id="d1", reason="empty", actor=owner)
    skipped_documents.skip(project=project, doc_id="d1", reason="empty", actor=owner)
    assert SkippedDocument.objects.get().doc_id == "d1"
    undo(project=project, decision=Decision.objects.get(), actor=owner)
    assert not SkippedDocument.objects.exists()


def test_a_bulk_action_goes_over_the_whole_filter_and_back(write: Write, project: Project, owner: User) -> None:
    for number in range(60):
        write(f"question number {number}", d1=number % 3)
    chosen = Filter(text="question number 1")
    before = _snapshot()
    count = bulk.preview(project=project, chosen=chosen, action="delete")
    assert count == 11  # 1 and 10 to 19
    bulk.apply(project=project, chosen=chosen, action="delete", expected=11, actor=owner)
    assert Query.objects.count() == 49
    undo(project=project, decision=Decision.objects.latest("pk"), actor=owner)
    assert _snapshot() == before


@pytest.mark.parametrize("action", sorted(bulk.ACTIONS))
def test_every_bulk_action_can_be_taken_back(write: Write, project: Project, owner: User, action: str) -> None:
    for number in range(20):
        write(f"question number {number}", d1=2)
    if action == "split-auto":
        bulk.apply(project=project, chosen=Filter(), action="split-test", expected=20, actor=owner)
    if action == "reopen":
        bulk.apply(project=project, chosen=Filter(), action="finish", expected=20, actor=owner)
    if action == "unflag":
        bulk.apply(project=project, chosen=Filter(), action="flag", expected=20, actor=owner)
    before = _snapshot()
    bulk.apply(project=project, chosen=Filter(), action=action, expected=20, actor=owner)
    assert _snapshot() != before
    undo(project=project, decision=Decision.objects.latest("pk"), actor=owner)
    assert _snapshot() == before


def _snapshot() -> list[object]:
    fields = ("pk", "text", "split", "split_fixed", "status", "flagged", "relevant", "judged", "created")
    return [
        *Query.objects.order_by("pk").values_list(*fields),
        *Judgement.objects.order_by("pk").values_list("pk", "query_id", "doc_id", "grade", "judge_id"),
    ]


def test_a_bulk_action_refuses_another_number_than_was_shown(write: Write, project: Project, owner: User) -> None:
    write("first question")
    count = bulk.preview(project=project, chosen=Filter(), action="delete")
    write("second question")
    with pytest.raises(Conflict, match="matched 1 examples when you looked and matches 2 now"):
        bulk.apply(project=project, chosen=Filter(), action="delete", expected=count, actor=owner)
    assert Query.objects.count() == 2


def test_pages_join_without_gap_or_repetition(project: Project, owner: User) -> None:
    texts = [f"question {number}" for number in range(120)]
    queries.add(project=project, texts=texts, actor=owner)
    seen, before = [], None
    while True:
        found = page(project, Filter(), before=before)
        seen += [row.pk for row in found.rows]
        if found.older is None:
            break
        before = found.older
    assert seen == sorted(Query.objects.values_list("pk", flat=True), reverse=True)
    last = page(project, Filter(), before=seen[99])
    back = page(project, Filter(), after=last.newer)
    assert [row.pk for row in back.rows] == seen[50:100]

"""Accepted questions become training examples, once, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError

from webapp.models import Decision, Event, Experiment, Judgement, Project, Query, User, WeakQuery
from webapp.selectors.step_facts import is_outdated
from webapp.services import promotion, splits, undo
from webapp.services.queries import text_key

pytestmark = pytest.mark.django_db
Say = Callable[..., WeakQuery]


def test_an_accepted_question_becomes_a_training_example(
    written: Experiment, say: Say, owner: User, member: Callable[[str], User]
) -> None:
    reviewer = member("reviewer")
    weak = say("w0", "accept", reviewer=reviewer)
    made = promotion.promote(project=written.project, actor=owner, weak=weak)
    assert (made.text, made.origin, made.split, made.split_fixed) == (
        "what is title 20 about",
        "promoted",
        "train",
        True,
    )
    assert (made.status, made.relevant, made.author) == ("done", 1, owner)
    judgement = Judgement.objects.get(query=made)
    assert (judgement.doc_id, judgement.grade, judgement.judge, judgement.source) == ("d20", 2, reviewer, "promoted")
    weak.refresh_from_db()
    assert weak.promoted == made
    assert Event.objects.get(verb="query.promoted").facts["questions"] == 1
    written.project.refresh_from_db()
    assert is_outdated(written, written.project)


def test_a_reworded_question_is_taken_with_its_new_words(written: Experiment, say: Say, owner: User) -> None:
    weak = say("w0", "edit", "where is title 20 explained")
    assert promotion.promote(project=written.project, actor=owner, weak=weak).text == "where is title 20 explained"


@pytest.mark.parametrize(
    ("verdict", "more", "words"),
    [
        ("", {}, "accepted or edited"),
        ("reject", {}, "accepted or edited"),
        ("unsure", {}, "accepted or edited"),
        ("accept", {"disputed": True}, "People disagree"),
        ("accept", {"doc_id": "gone"}, "not in the version"),
        ("accept", {"text": "What is q0?"}, "among the examples already"),
    ],
)
def test_what_cannot_become_an_example_says_why(
    written: Experiment, say: Say, owner: User, verdict: str, more: dict[str, object], words: str
) -> None:
    Query.objects.filter(query_id="q0").update(normalised=text_key("What is q0?"))
    before = Query.objects.count()
    with pytest.raises(ValidationError, match=words):
        promotion.promote(project=written.project, actor=owner, weak=say("w0", verdict, **more))
    assert Query.objects.count() == before


def test_a_question_of_another_project_is_refused(
    written: Experiment, say: Say, owner: User, other_project: Project
) -> None:
    with pytest.raises(ValidationError, match="no such question"):
        promotion.promote(project=other_project, actor=owner, weak=say("w0", "accept"))


def test_twice_is_once(written: Experiment, say: Say, owner: User) -> None:
    weak = say("w0", "accept")
    first = promotion.promote(project=written.project, actor=owner, weak=weak)
    assert promotion.promote(project=written.project, actor=owner, weak=weak) == first
    assert Query.objects.filter(origin="promoted").count() == 1


def test_all_accepted_ones_at_once_each_text_once(written: Experiment, say: Say, owner: User) -> None:
    say("w0", "accept")
    say("w1", "accept", text="WHAT is title 20 about?")
    say("w2", "edit", "a new question")
    say("w3", "accept", doc_id="gone")
    say("w4", "accept", disputed=True)
    say("w5", "reject")
    done = promotion.promote_all(project=written.project, actor=owner, batch="generate-s")
    assert (done.made, done.known) == (2, 1)
    texts = Query.objects.filter(origin="promoted").order_by("id").values_list("text", flat=True)
    assert list(texts) == ["what is title 20 about", "a new question"]


def test_no_more_than_a_bulk_at_once(
    written: Experiment, say: Say, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "MAX_AT_ONCE", 2)
    for number in range(3):
        say(f"w{number}", "accept")
    done = [promotion.promote_all(project=written.project, actor=owner, batch="generate-s").made for _ in range(3)]
    assert done == [2, 1, 0]


def test_what_cannot_become_an_example_keeps_nothing_else_from_it(
    written: Experiment, say: Say, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promotion, "MAX_AT_ONCE", 1)
    known = Query.objects.get(query_id="q0")
    Query.objects.filter(pk=known.pk).update(normalised=text_key("What is q0?"))
    lost = say("w0", "accept", doc_id="gone")
    there = say("w1", "accept", text="What is q0?")
    say("w2", "accept")
    done = [promotion.promote_all(project=written.project, actor=owner, batch="generate-s") for _ in range(3)]
    assert [(one.made, one.known) for one in done] == [(0, 1), (1, 0), (0, 0)]
    there.refresh_from_db()
    lost.refresh_from_db()
    assert (there.promoted, lost.promoted) == (known, None)


def test_the_step_can_be_taken_back(written: Experiment, say: Say, owner: User) -> None:
    weak = say("w0", "accept")
    promotion.promote(project=written.project, actor=owner, weak=weak)
    undo.undo(project=written.project, decision=Decision.objects.get(), actor=owner)
    weak.refresh_from_db()
    assert weak.promoted is None and not Query.objects.filter(origin="promoted").exists()
    assert promotion.promote(project=written.project, actor=owner, weak=weak).origin == "promoted"


def test_promoted_questions_push_no_written_one_out_of_the_training(written: Experiment, say: Say, owner: User) -> None:
    project = written.project
    Query.objects.filter(project=project).update(split_fixed=False)
    splits.assign(project)
    before = dict(Query.objects.filter(project=project).values_list("query_id", "split"))
    assert set(before.values()) == {"train", "dev", "test"}
    for number in range(9):
        say(f"w{number}", "accept")
    assert promotion.promote_all(project=project, actor=owner, batch="generate-s").made == 9
    after = Query.objects.filter(project=project).exclude(origin="promoted")
    assert dict(after.values_list("query_id", "split")) == before

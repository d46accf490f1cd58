"""Blind comparisons: sides by lot, choices that stand, and the sign test."""

from __future__ import annotations

import secrets

import pytest
from django.core.exceptions import ValidationError

from webapp.models import Event, Preference
from webapp.selectors.preferences import sign_test, tally, tally_of
from webapp.services import preferences
from webapp.services.decisions import Conflict


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [
        (1, 0, 1.0),  # 2 * 1/2
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (9, 2, 2 * (1 + 11 + 55) / 2048),
        (3, 3, 1.0),  # 2 * 42/64 is cut at 1
        (2, 9, 2 * (1 + 11 + 55) / 2048),
        (20, 5, 0.004077315330505371),
    ],
)
def test_sign_test_is_exact_and_two_sided(one: int, other: int, p: float) -> None:
    assert sign_test(one, other) == pytest.approx(p, rel=1e-12)


def test_sign_test_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for one in range(1, 30):
        for other in range(0, 30, 3):
            assert sign_test(one, other) == pytest.approx(stats.binomtest(one, one + other).pvalue, rel=1e-9)


def test_sentence_without_choices() -> None:
    assert tally(0, 0, 0).sentence == "Nobody has compared these two without their names yet."
    assert tally(0, 0, 0).p is None


def test_sentence_for_ties_alone_and_for_too_few() -> None:
    assert tally(0, 0, 2).p is None
    assert tally(0, 5, 1).sentence == (
        "The trained model was preferred for 5 questions, the other search for 0; 1 made no difference. "
        "Too few to tell: at least 6 questions with a clear preference are needed."
    )


def test_sentence_that_cannot_tell() -> None:
    assert tally(2, 9, 3).sentence == (
        "The trained model was preferred for 9 questions, the other search for 2; 3 made no difference. "
        "If both were equally good, so uneven a count would come about by chance in 6.5 % of such series "
        "(exact sign test, p 0.065, n = 11): cannot tell yet."
    )


@pytest.mark.parametrize(("before", "after", "who"), [(0, 6, "the trained model"), (6, 0, "the other search")])
def test_sentence_with_a_verdict(before: int, after: int, who: str) -> None:
    assert tally(before, after, 0).sentence.endswith(
        f"by chance in 3.1 % of such series (exact sign test, p 0.031, n = 6): people likely do prefer {who}."
    )


def test_overwhelming_choices_are_written_readably() -> None:
    assert "less than 0.1 % of such series (exact sign test, p < 0.001" in tally(0, 20, 0).sentence


def begin(project, model, owner, text="which book", against="base") -> Preference:
    return preferences.begin(project=project, model=model, against=against, text=text, actor=owner)


@pytest.mark.parametrize(
    ("after_left", "side", "choice"),
    [
        (True, "left", "after"), (True, "right", "before"), (False, "left", "before"), (False, "right", "after"),
        (True, "same", "same"),
    ],
)  # fmt: skip
def test_choice_is_kept_by_the_search_behind_the_side(
    project, model, owner, monkeypatch, after_left: bool, side: str, choice: str
) -> None:
    monkeypatch.setattr(secrets, "choice", lambda sides: after_left)
    row = begin(project, model, owner)
    assert (row.after_left, row.choice) == (after_left, "")
    preferences.choose(preference=row, side=side, actor=owner)
    assert Preference.objects.get().choice == choice
    assert Event.objects.get(verb="preference.given").facts == {"words": "which book", "experiment": 1}


def test_asking_again_before_the_choice_turns_nothing_round(project, model, owner, member) -> None:
    rows = [begin(project, model, owner).pk for _ in range(8)]
    assert len(set(rows)) == 1
    other = member("reviewer")
    assert begin(project, model, other).pk != rows[0]
    assert begin(project, model, owner, against="bm25").pk != rows[0]


def test_choice_stands(project, model, owner) -> None:
    row = begin(project, model, owner)
    preferences.choose(preference=row, side="same", actor=owner)
    with pytest.raises(Conflict, match="the first choice stands"):
        preferences.choose(preference=row, side="left", actor=owner)
    assert Preference.objects.get().choice == "same"
    assert Event.objects.filter(verb="preference.given").count() == 1


def test_nobody_chooses_for_another(project, model, owner, member) -> None:
    row = begin(project, model, owner)
    with pytest.raises(Conflict):
        preferences.choose(preference=row, side="left", actor=member("reviewer"))
    assert Preference.objects.get().choice == ""


@pytest.mark.parametrize("side", ["", "after", "nonsense"])
def test_only_sides_are_chosen(project, model, owner, side: str) -> None:
    with pytest.raises(ValidationError):
        preferences.choose(preference=begin(project, model, owner), side=side, actor=owner)


@pytest.mark.parametrize(("text", "against"), [("", "base"), ("x", "sptar"), ("x", ""), ("x" * 2001, "base")])
def test_comparison_needs_a_question_and_a_search(project, model, owner, text: str, against: str) -> None:
    with pytest.raises(ValidationError):
        begin(project, model, owner, text=text, against=against)
    assert not Preference.objects.exists()


def test_each_question_counts_once_for_the_side_that_most_prefer(project, model, owner, member) -> None:
    other = member("reviewer")
    for person, text, choice in (
        (owner, "one", "after"), (owner, "One", "before"), (owner, "two", "same"), (other, "one", "after"),
        (owner, "three", ""), (owner, "four", "before"), (other, "four", "after"), (owner, "five", "before"),
        (other, "five", "same"),
    ):  # fmt: skip
        Preference.objects.create(
            project=project, experiment=model.experiment, arm="sptar", before="base", text=text, after_left=True,
            choice=choice, person=person,
        )  # fmt: skip
    found = tally_of(model.experiment, "sptar", "base")
    # one: both for the trained model; two: no difference; four: one each; five: one against it.
    assert (found.after, found.before, found.same, found.total) == (1, 1, 2, 4)
    assert tally_of(model.experiment, "sptar", "bm25").total == 0
    assert tally_of(model.experiment, "seeds_only", "base").total == 0

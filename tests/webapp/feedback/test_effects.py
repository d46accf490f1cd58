"""What verdicts change: before a training by counting, after one by what it said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from webapp.models import Experiment, Query, Role, State, User, WeakQuery
from webapp.selectors.review_batches import Batch, find
from webapp.selectors.review_effects import effect_of, retrained
from webapp.services import derive

pytestmark = pytest.mark.django_db
Say = Callable[..., WeakQuery]
Login = Callable[[User], Client]


def train(experiment: Experiment, owner: User, **metrics: int) -> Experiment:
    """With the verdicts as they are, as if its training were done."""
    made = derive.with_verdicts(experiment=experiment, actor=owner, request_token=str(experiment.number))
    made.stages.filter(step_id="generate.sptar").update(folder="generate-s", state=State.DONE)
    made.stages.filter(step_id="train.sptar").update(state=State.DONE, metrics=metrics)
    made.stages.filter(step_id="evaluate.sptar").update(state=State.DONE)
    return made


def test_the_sentence_counts_what_the_training_set_loses_and_gains(batch: Batch, say: Say) -> None:
    # 7 kept questions and 20 pairs of examples: 27.
    for weak_id in ("w0", "w1", "w2"):
        say(weak_id, "reject")
    say("w3", "edit", "better")
    say("w7", "accept")
    say("w8", "edit", "better")
    say("w9", "reject")
    say("w4", "accept")
    say("w5", "unsure")
    effect = effect_of(batch)
    assert (effect.before, effect.after) == (27, 26)
    assert (effect.removed, effect.replaced, effect.added, effect.confirmed, effect.pointless, effect.flagged) == (
        3, 1, 2, 1, 1, 1
    )  # fmt: skip
    assert effect.sentence == (
        "Your 8 verdicts remove 11 % of the training set (3 questions), edit 1 question and bring back 2 that the "
        "filter had dropped."
    )
    assert effect.promotable == 4


def test_kept_is_by_the_threshold_of_the_experiment_itself(batch: Batch, say: Say, written: Experiment) -> None:
    # Another experiment with the threshold 3 has filtered the same questions since: w3, of rank 5, is dropped there.
    WeakQuery.objects.filter(rank__gt=3, dropped="").update(dropped="rank")
    say("w3", "reject")
    say("w4", "accept")
    effect = effect_of(batch)
    assert effect is not None
    assert (effect.before, effect.after, effect.removed, effect.confirmed) == (27, 26, 1, 1)
    assert (effect.added, effect.pointless) == (0, 0)


def test_what_clean_up_dropped_comes_back_by_no_verdict(batch: Batch, say: Say) -> None:
    say("w14", "edit", "longer words")
    effect = effect_of(batch)
    assert effect is not None
    assert (effect.added, effect.decided, effect.promotable) == (0, 0, 0)


def test_before_the_filter_nobody_knows(written: Experiment, say: Say) -> None:
    written.stages.filter(stage="filter").update(state=State.RUNNING)
    say("w0", "reject")
    batch = find(written.project, written.number, "sptar")
    assert batch is not None and effect_of(batch) is None


def test_without_verdicts_nothing_changes(batch: Batch) -> None:
    assert effect_of(batch).sentence == "There is no verdict yet, so nothing changes."


def test_verdicts_that_agree_with_the_filter_say_so(batch: Batch, say: Say) -> None:
    say("w0", "accept")
    say("w9", "reject")
    assert effect_of(batch).sentence == "Your 2 verdicts confirm the training set as it is."


def test_one_effect_is_one_clause(batch: Batch, say: Say) -> None:
    say("w0", "reject")
    assert effect_of(batch).sentence == "Your 1 verdict removes 4 % of the training set (1 question)."


def test_a_training_says_what_it_did_with_the_verdicts(
    batch: Batch, say: Say, owner: User, written: Experiment
) -> None:
    written.stages.filter(step_id="train.sptar").update(metrics={"seed_pairs": 20, "weak_pairs": 7})
    say("w0", "reject")
    made = train(
        written, owner, seed_pairs=20, weak_pairs=4, accepted_pairs=1, edited_pairs=1, rejected_pairs=1,
        rejected_negatives=1,
    )  # fmt: skip
    (found,) = retrained(batch)
    assert (found.experiment, found.base, found.is_measured, found.is_current) == (made, written, True, True)
    assert found.sentence == (
        "Trained on 26 pairs instead of 27: 1 rejected (1 as hard negative), 1 edited, 1 accepted."
    )
    say("w1", "reject")
    assert [one.is_current for one in retrained(batch)] == [False]


class TestPages:
    def path(self, experiment: Experiment, tail: str = "effect/") -> str:
        return f"/p/{experiment.project.slug}/review/{experiment.number}/sptar/{tail}"

    def retrain_path(self, experiment: Experiment) -> str:
        return f"/p/{experiment.project.slug}/experiments/{experiment.number}/retrain/"

    def test_the_panel_teaches_while_there_is_no_verdict(self, written: Experiment, client: Client) -> None:
        page = client.get(self.path(written)).content.decode()
        assert "There is no verdict yet" in page and "Train again" not in page

    def test_the_panel_leads_to_a_training_and_to_the_comparison(
        self, written: Experiment, say: Say, client: Client, owner: User
    ) -> None:
        say("w0", "reject")
        train(written, owner, seed_pairs=20)
        page = client.get(self.path(written)).content.decode()
        assert "Your 1 verdict removes" in page
        assert f'href="/p/{written.project.slug}/compare/runs/?a=1&amp;b=2"' in page
        assert page.count("btn-primary") <= 1
        part = client.get(self.path(written), headers={"HX-Request": "true"}).content.decode()
        assert part.lstrip().startswith('<section id="effect"') and "<h1" not in part

    def test_training_again_is_asked_first(self, written: Experiment, say: Say, client: Client) -> None:
        say("w0", "reject")
        say("w1", "edit", "better")
        page = client.get(self.retrain_path(written)).content.decode()
        # The plan has 20 steps; teaching, training, measuring and packing of one arm are done anew.
        assert "16 of 20 steps" in page
        assert "Train the search model; Measure; Pack the download" in page
        first = client.post(self.retrain_path(written), {"after": "1"})
        assert first["Location"].endswith("/experiments/2/")
        assert client.post(self.retrain_path(written), {"after": "1"})["Location"] == first["Location"]

    def test_training_again_leaves_the_comparison_at_equal_numbers_out(
        self, written: Experiment, say: Say, client: Client
    ) -> None:
        say("w0", "reject")
        Experiment.objects.update(arms=["inpars", "sptar"], equal_pairs=True)
        page = client.get(self.retrain_path(written)).content.decode()
        assert "equal numbers" not in page and "btn-primary" in page
        made = client.post(self.retrain_path(written), {"after": "1"})
        assert made["Location"].endswith("/experiments/2/")

    def test_training_again_without_a_verdict_leads_to_the_review(self, written: Experiment, client: Client) -> None:
        page = client.get(self.retrain_path(written)).content.decode()
        assert "no verdict on the questions" in page and f'href="{self.path(written, "")}"' in page
        answer = client.post(self.retrain_path(written), follow=True)
        assert "There is no verdict yet" in answer.content.decode()

    def test_before_the_filter_the_pages_say_what_is_missing(
        self, written: Experiment, say: Say, client: Client
    ) -> None:
        written.stages.filter(stage="filter").update(state=State.RUNNING)
        say("w0", "reject")
        page = client.get(self.path(written)).content.decode()
        assert "known as soon as the questions are written and filtered" in page and "Train again" not in page
        assert "not written and filtered yet" in client.get(self.retrain_path(written)).content.decode()

    def test_accepted_questions_become_examples_after_a_look(
        self, written: Experiment, say: Say, client: Client
    ) -> None:
        assert "or none is accepted yet" in client.get(self.path(written, "promote/")).content.decode()
        for number in range(3):
            say(f"w{number}", "accept")
        page = client.get(self.path(written, "promote/")).content.decode()
        assert "3 accepted or edited questions" in page and "what is title 20 about" in page
        answer = client.post(self.path(written, "promote/"), follow=True).content.decode()
        assert "3 questions became training examples." in answer
        assert Query.objects.filter(origin="promoted").count() == 3

    def test_one_question_becomes_an_example_and_the_page_stays(
        self, written: Experiment, say: Say, client: Client
    ) -> None:
        weak = say("w0", "accept")
        path = self.path(written, f"questions/{weak.pk}/promote/")
        back = self.path(written, "list/")
        answer = client.post(path, {"next": back})
        assert answer["Location"] == back
        assert Query.objects.filter(origin="promoted").count() == 1
        for bad in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
            assert client.post(path, {"next": bad})["Location"] == self.path(written)

    def test_a_question_that_is_not_accepted_is_a_sentence(self, written: Experiment, client: Client) -> None:
        pk = WeakQuery.objects.get(weak_id="w0").pk
        answer = client.post(self.path(written, f"questions/{pk}/promote/"), follow=True)
        assert "Only a question that somebody accepted" in answer.content.decode()

    def test_a_question_of_another_batch_is_not_there(self, written: Experiment, client: Client) -> None:
        other = WeakQuery.objects.create(
            project=written.project, batch="generate-i", weak_id="x", doc_id="d1", text="t", verdict="accept"
        )
        assert client.post(self.path(written, f"questions/{other.pk}/promote/")).status_code == 404

    def test_a_reviewer_sees_the_effect_and_starts_nothing(
        self, written: Experiment, say: Say, member: Callable[[str], User], login: Login
    ) -> None:
        weak = say("w0", "accept")
        browser = login(member(Role.REVIEWER))
        page = browser.get(self.path(written)).content.decode()
        assert "Train again" not in page and "Your 1 verdict" in page
        for path in (
            self.retrain_path(written), self.path(written, "promote/"),
            self.path(written, f"questions/{weak.pk}/promote/"),
        ):  # fmt: skip
            assert browser.post(path).status_code == 403
        assert Experiment.objects.count() == 1

    def test_wrong_methods_are_refused(self, written: Experiment, client: Client) -> None:
        assert client.post(self.path(written)).status_code == 405
        assert client.put(self.retrain_path(written)).status_code == 405
        assert client.get(self.path(written, "questions/1/promote/")).status_code == 405

"""The pages of the review as people use them, with and without htmx."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.webapp.review.conftest import BATCH
from webapp.models import (
    BulkReview,
    Document,
    Experiment,
    Project,
    Review,
    ReviewLease,
    ReviewStep,
    StageRun,
    User,
    WeakQuery,
)
from webapp.selectors.review_batches import latest, newest
from webapp.services import reviews

At = Callable[..., str]
HTMX = {"HX-Request": "true"}


def page_of(client: Client, address: str, **asked: Any) -> str:
    answer = client.get(address, **asked)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def shown(page: str) -> int:
    """The question on the desk."""
    found = re.search(r'data-weak="(\d+)"', page)
    return int(found[1]) if found else 0


def press(client: Client, address: str, **values: Any) -> str:
    answer = client.post(address, values, headers=HTMX)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_without_questions_the_page_says_what_brings_them(client: Client, project: Project) -> None:
    page = page_of(client, f"/p/{project.slug}/review/")
    assert "There are no generated questions yet" in page


def test_the_step_leads_to_the_newest_tuned_question_writer(
    client: Client, project: Project, experiment: Experiment
) -> None:
    second = Experiment.objects.create(
        project=project, number=2, request_token="2", preset="fast", corpus=experiment.corpus, labels_version=1,
        dataset="0" * 32,
    )  # fmt: skip
    for position, (arm, folder) in enumerate([("inpars", "generate-i"), ("sptar", "generate-s"), ("other", "")]):
        StageRun.objects.create(
            experiment=second, position=position, step_id=f"generate.{arm}", stage="generate", queue="gpu", arms=[arm],
            folder=folder,
        )  # fmt: skip
    found = newest(project)
    assert found and (found.experiment.number, found.arm, found.folder) == (2, "sptar", "generate-s")
    assert [batch.folder for batch in latest(project)] == ["generate-i", "generate-s", BATCH]
    assert client.get(f"/p/{project.slug}/review/")["Location"] == f"/p/{project.slug}/review/2/sptar/"
    assert "still being written" in page_of(client, f"/p/{project.slug}/review/2/sptar/")


@pytest.mark.parametrize("path", ["9/sptar/", "1/inpars/", "1/sptar/cards/other/", f"{10**30}/sptar/"])
def test_what_is_not_there_is_not_found(client: Client, project: Project, experiment: Experiment, path: str) -> None:
    assert client.get(f"/p/{project.slug}/review/{path}").status_code == 404


def test_the_overview_tells_how_good_they_are(client: Client, weak: list[WeakQuery], at: At, owner: User) -> None:
    page = page_of(client, at("review_batch"))
    assert "Look at 12 random questions" in page
    for row in weak:
        reviews.give(project=row.project, actor=owner, weak=row, verdict="accept" if row.pk % 4 else "reject")
    page = page_of(client, at("review_batch"))
    assert re.search(r"75 % good \(47-91 %\)", page)
    assert "Olga Owner" in page and "<strong>" in page


def test_looking_takes_no_card_and_pressing_does(client: Client, weak: list[WeakQuery], at: At) -> None:
    page = page_of(client, at("review_cards", "queue"))
    assert "The riskiest questions" in page and not shown(page)
    assert not ReviewLease.objects.exists()
    page = press(client, at("review_next", "queue"))
    assert shown(page) == weak[0].pk
    assert "12 kept questions without a verdict" in page
    assert shown(page_of(client, at("review_cards", "queue"))) == weak[0].pk


def test_a_card_shows_the_document_with_the_words_of_the_question_marked(
    client: Client, weak: list[WeakQuery], at: At
) -> None:
    page = press(client, at("review_next", "queue"))
    assert "A <mark>book</mark> is <mark>lent</mark> for <mark>0</mark> weeks." in page
    assert f'href="/p/{weak[0].project.slug}/documents/{Document.objects.get(doc_id="d0").pk}/"' in page


def test_scores_are_hidden_unless_asked_for_and_the_wish_stays(client: Client, weak: list[WeakQuery], at: At) -> None:
    page = press(client, at("review_next", "queue"))
    assert "Surprise of the question writer" not in page
    page = press(client, at("review_next", "queue"), scores="1")
    assert "Surprise of the question writer" in page
    page = press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue", scores="1")
    assert "Surprise of the question writer" in page and shown(page) == weak[1].pk
    answer = client.post(at("review_give", weak[1].pk), {"verdict": "accept", "queue": "queue", "scores": "1"})
    assert answer["Location"] == f"{at('review_cards', 'queue')}?scores=1"


def test_verdicts_lead_from_card_to_card(client: Client, weak: list[WeakQuery], at: At, owner: User) -> None:
    page = press(client, at("review_next", "queue"))
    for verdict, more in [
        ("accept", {}), ("reject", {"reason": "vague"}), ("edit", {"text": "how long do I keep it"}), ("unsure", {}),
    ]:  # fmt: skip
        page = press(client, at("review_give", shown(page)), verdict=verdict, queue="queue", **more)
    assert shown(page) == weak[4].pk
    assert list(Review.objects.order_by("pk").values_list("verdict", "reason", "text", "source")) == [
        ("accept", "", "", "queue"), ("reject", "vague", "", "queue"), ("edit", "", "how long do I keep it", "queue"),
        ("unsure", "", "", "queue"),
    ]  # fmt: skip
    assert page.count('class="undo"') == 4
    assert page.count('data-key="u"') == 1


def test_a_second_click_of_a_double_click_says_nothing_of_the_next_card(
    client: Client, weak: list[WeakQuery], at: At
) -> None:
    press(client, at("review_next", "queue"))
    press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    page = press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    assert shown(page) == weak[1].pk
    assert (Review.objects.count(), ReviewStep.objects.count()) == (1, 1)


def test_without_javascript_the_forms_do_the_same(client: Client, weak: list[WeakQuery], at: At) -> None:
    cards = at("review_cards", "queue")
    assert client.post(at("review_next", "queue"))["Location"] == cards
    assert shown(page_of(client, cards)) == weak[0].pk
    assert client.post(at("review_give", weak[0].pk), {"verdict": "accept", "queue": "queue"})["Location"] == cards
    assert shown(page_of(client, cards)) == weak[1].pk
    assert client.post(at("review_skip", weak[1].pk), {"queue": "queue"})["Location"] == cards
    assert shown(page_of(client, cards)) == weak[2].pk
    step = ReviewStep.objects.get()
    assert client.post(at("review_undo", step.pk), {"queue": "queue"})["Location"] == cards
    assert shown(page_of(client, cards)) == weak[0].pk


def test_undo_brings_the_card_back(client: Client, weak: list[WeakQuery], at: At) -> None:
    press(client, at("review_next", "queue"))
    press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    page = press(client, at("review_undo", ReviewStep.objects.get().pk), queue="queue")
    assert shown(page) == weak[0].pk
    answer = client.post(at("review_undo", ReviewStep.objects.get().pk), {"queue": "queue"}, headers=HTMX)
    assert (answer.status_code, b"taken back already" in answer.content) == (422, True)


def test_nobody_undoes_the_verdicts_of_others(
    client: Client, weak: list[WeakQuery], at: At, reviewer: User, login: Callable[[User], Client]
) -> None:
    press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    assert login(reviewer).post(at("review_undo", ReviewStep.objects.get().pk)).status_code == 404


def test_what_cannot_be_kept_stays_in_the_field_with_the_reason(client: Client, weak: list[WeakQuery], at: At) -> None:
    press(client, at("review_next", "queue"))
    values = {"verdict": "edit", "text": "x" * 2500, "queue": "queue"}
    answer = client.post(at("review_give", weak[0].pk), values, headers=HTMX)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The question has 2500 characters" in page and "x" * 2500 in page
    for values in ({"verdict": "splendid"}, {}, {"verdict": "reject", "reason": "../.."}):
        answer = client.post(at("review_give", weak[0].pk), {**values, "queue": "queue"}, headers=HTMX)
        assert answer.status_code == 422
        assert shown(answer.content.decode()) == weak[0].pk
    assert not Review.objects.exists()


def test_two_people_get_different_cards(
    client: Client, weak: list[WeakQuery], at: At, reviewer: User, login: Callable[[User], Client]
) -> None:
    other = login(reviewer)
    seen = [shown(press(one, at("review_next", "queue"))) for one in (client, other)]
    for _ in range(5):
        for one in (client, other):
            seen.append(shown(press(one, at("review_give", seen[-2]), verdict="accept", queue="queue")))
    assert len(seen) == len(set(seen)) == 12


def test_the_end_of_a_queue_says_what_there_is_to_do(client: Client, weak: list[WeakQuery], at: At) -> None:
    page = press(client, at("review_next", "queue"))
    for _ in weak:
        page = press(client, at("review_skip", shown(page)), queue="queue")
    assert "Only what you skipped is left" in page
    page = press(client, at("review_next", "queue"), again="1")
    assert shown(page) == weak[0].pk
    for _ in weak:
        page = press(client, at("review_give", shown(page)), verdict="accept", queue="queue")
    assert "Nothing is left to review" in page
    assert "The sample is reviewed" in page_of(client, at("review_cards", "sample"))
    assert "100 % good (76-100 %): enough to train." in page_of(client, at("review_cards", "sample"))


def test_a_second_opinion_is_blind(
    client: Client, weak: list[WeakQuery], at: At, reviewer: User, login: Callable[[User], Client]
) -> None:
    other = login(reviewer)
    assert "Nothing waits for your second opinion" in page_of(other, at("review_cards", "second"))
    press(client, at("review_give", weak[3].pk), verdict="reject", reason="garbled", queue="queue")
    page = press(other, at("review_next", "second"))
    assert shown(page) == weak[3].pk
    assert "Rejected" not in page and "Olga" not in page
    press(other, at("review_give", weak[3].pk), verdict="accept", queue="second")
    assert Review.objects.get(reviewer=reviewer).source == "second"


def test_a_question_has_a_page_with_everybodys_verdicts(
    client: Client, weak: list[WeakQuery], at: At, reviewer: User, project: Project
) -> None:
    reviews.give(project=project, actor=reviewer, weak=weak[0], verdict="reject", reason="vague")
    page = page_of(client, at("review_question", weak[0].pk))
    assert "(too vague: many documents would answer it)" in page
    answer = client.post(at("review_give", weak[0].pk), {"verdict": "accept", "queue": "question"})
    assert answer["Location"] == at("review_question", weak[0].pk)
    assert Review.objects.filter(source="list").count() == 1
    assert "Settle the disagreement" in page_of(client, at("review_question", weak[0].pk))


def test_a_viewer_sees_and_has_no_buttons(
    weak: list[WeakQuery], at: At, member: Callable[[str], User], login: Callable[[User], Client]
) -> None:
    browser = login(member("viewer"))
    for address in (at("review_cards", "queue"), at("review_list"), at("review_question", weak[0].pk)):
        page = page_of(browser, address)
        assert 'name="verdict" value="accept"' not in page and 'name="action"' not in page


def test_disagreements_are_settled_on_their_page(
    client: Client, weak: list[WeakQuery], at: At, reviewer: User, owner: User, project: Project
) -> None:
    assert "No disagreements" in page_of(client, at("review_disagreements"))
    reviews.give(project=project, actor=owner, weak=weak[0], verdict="accept")
    reviews.give(project=project, actor=reviewer, weak=weak[0], verdict="edit", text="<b>better</b>", source="second")
    page = page_of(client, at("review_disagreements"))
    assert "&lt;b&gt;better&lt;/b&gt;" in page and "<b>better" not in page
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen
    old = {"verdict": "edit", "text": "<b>better</b>", "seen": "0" * 16}
    client.post(at("review_settle", weak[0].pk), old)
    assert not Review.objects.filter(settled=True).exists()
    client.post(at("review_settle", weak[0].pk), {**old, "seen": seen[1]})
    weak[0].refresh_from_db()
    assert (weak[0].edited, weak[0].disputed) == ("<b>better</b>", False)
    assert "0 of 1" in page_of(client, at("review_agreement"))


def test_the_list_keeps_its_filter_in_the_address(client: Client, weak: list[WeakQuery], at: At, owner: User) -> None:
    reviews.give(project=weak[0].project, actor=owner, weak=weak[7], verdict="reject", reason="copied")
    page = page_of(client, at("review_list"), data={"verdict": "reject", "who": owner.pk, "kept": "yes"})
    assert "book 7" in page and "book 6" not in page
    assert '<input type="hidden" name="verdict" value="reject">' in page
    odd = {"verdict": "x", "who": "1e9", "rank": "-1", "kept": "../..", "like": "x", "how": "rank", "after": "-1"}
    assert "book 11" in page_of(client, at("review_list"), data=odd)


def test_a_bulk_action_is_previewed_begun_and_undone(
    client: Client, weak: list[WeakQuery], at: At, owner: User
) -> None:
    reviews.give(project=weak[0].project, actor=owner, weak=weak[1], verdict="accept")
    page = page_of(client, at("review_bulk"), data={"text": "book 1", "action": "reject-vague"})
    assert "Reject: Too vague: many documents would answer it: 2 questions" in page
    assert "Questions that have a verdict already stay as they are" in page
    assert not BulkReview.objects.exists()
    answer = client.post(at("review_bulk"), {"text": "book 1", "action": "reject-vague"})
    made = BulkReview.objects.get()
    assert (made.filters, made.verdict, made.reason) == ({"text": "book 1"}, "reject", "vague")
    assert answer["Location"] == at("review_bulk_status", made.pk)
    page = page_of(client, at("review_bulk_status", made.pk))
    assert 'hx-trigger="every 2s"' in page and "Stop and undo" in page
    client.post(at("review_bulk_undo", made.pk))
    assert "Being taken back" in page_of(client, at("review_bulk_status", made.pk))
    client.post(at("review_bulk_undo", made.pk))
    assert "taken back already" in page_of(client, at("review_bulk_status", made.pk))


@pytest.mark.parametrize("action", ["", "edit", "reject-because", "delete"])
def test_a_bulk_action_that_is_none_leads_back_to_the_list(
    client: Client, weak: list[WeakQuery], at: At, action: str
) -> None:
    for ask in (client.get, client.post):
        assert ask(at("review_bulk"), {"text": "book", "action": action})["Location"].startswith(at("review_list"))
    assert not BulkReview.objects.exists()


def test_reviewers_may_not_act_in_bulk(
    weak: list[WeakQuery], at: At, reviewer: User, login: Callable[[User], Client]
) -> None:
    assert login(reviewer).post(at("review_bulk"), {"action": "reject"}).status_code == 403
    assert "Preview" not in page_of(login(reviewer), at("review_list"))


@pytest.mark.parametrize(
    "values",
    [
        {"text": "x" * 201}, {"rank": "100001"}, {"who": "999999"}, {"kept": "nix"}, {"like": "5", "how": "bogus"},
        {"like": "5"}, {"how": "near"},
    ],
)  # fmt: skip
def test_a_filter_that_is_not_allowed_widens_no_bulk_action(
    client: Client, at: At, weak: list[WeakQuery], values: dict[str, str]
) -> None:
    for ask in (client.get, client.post):
        answer = ask(at("review_bulk"), {**values, "action": "reject"})
        assert answer["Location"].startswith(at("review_list"))
        assert "A filter is not allowed" in client.get(answer["Location"]).content.decode()
    assert not BulkReview.objects.exists()


def test_all_like_this_are_counted_and_lead_to_the_preview(
    client: Client, weak: list[WeakQuery], at: At, write: Callable[..., list[WeakQuery]], owner: User
) -> None:
    write("HOW LONG is book 0 lent ?")
    reviews.give(project=weak[0].project, actor=owner, weak=weak[0], verdict="reject", reason="unnatural")
    page = page_of(client, at("review_like", weak[0].pk))
    assert page.index("Begins with the same three words: “how long is …”") < page.index("Asks the same")
    found = re.findall(r'<td class="numeric">([\d,]+)</td><td><a class="btn btn-plain btn-sm" href="([^"]+)"', page)
    assert ("12", f"{at('review_bulk')}?like={weak[0].pk}&amp;how=start&amp;action=reject-unnatural") in found
    assert ("1", f"{at('review_bulk')}?like={weak[0].pk}&amp;how=same&amp;action=reject-unnatural") in found
    page = page_of(client, at("review_bulk"), data={"like": weak[0].pk, "how": "same", "action": "reject"})
    assert "Reject: 1 question<" in page and "HOW LONG" in page


def test_another_projects_question_is_not_found_through_ones_own(client: Client, weak: list[WeakQuery], at: At) -> None:
    other = WeakQuery.objects.create(project=Project.objects.create(name="Other"), batch=BATCH, weak_id="w", text="x")
    sibling = WeakQuery.objects.create(project=weak[0].project, batch="another", weak_id="w", text="x")
    for row in (other, sibling):
        for route in ("review_give", "review_skip", "review_settle"):
            assert client.post(at(route, row.pk), {"verdict": "accept"}).status_code == 404
        for route in ("review_question", "review_like"):
            assert client.get(at(route, row.pk)).status_code == 404
    page = page_of(client, at("review_list"), data={"like": other.pk, "how": "same"})
    assert "Nothing matches this filter" in page


def test_markup_in_a_generated_question_is_text(client: Client, write: Callable[..., list[WeakQuery]], at: At) -> None:
    evil = '<img src=x onerror=alert(1)> "><svg hx-get=/x hx-trigger=load> {{7*7}}'
    [row] = write(evil)
    pages = [press(client, at("review_next", "queue"))]
    press(client, at("review_give", row.pk), verdict="edit", text=evil + "!", queue="queue")
    pages += [
        page_of(client, at(name, *ids))
        for name, ids in [
            ("review_list", ()), ("review_question", (row.pk,)), ("review_like", (row.pk,)), ("review_batch", ()),
            ("review_cards", ("queue",)),
        ]
    ]  # fmt: skip
    for page in pages:
        assert "<img src=x" not in page and "<svg hx-get" not in page


def test_a_card_takes_few_queries(
    client: Client, weak: list[WeakQuery], at: At, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    press(client, at("review_next", "queue"))
    with django_assert_max_num_queries(35):
        press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    with django_assert_max_num_queries(15):
        page_of(client, at("review_list"))


def test_the_pages_say_whose_threshold_keeps(client: Client, weak: list[WeakQuery], at: At, project: Project) -> None:
    first = Experiment.objects.get()
    assert "by the threshold 30 of" in page_of(client, at("review_batch"))
    second = Experiment.objects.create(
        project=project, number=2, request_token="2", preset="fast", corpus=first.corpus, labels_version=1,
        dataset="0" * 32,
    )  # fmt: skip
    for position, (stage, folder) in enumerate([("generate", BATCH), ("filter", "filter-y")]):
        StageRun.objects.create(
            experiment=second, position=position, step_id=f"{stage}.sptar", stage=stage, queue="cpu", arms=["sptar"],
            state="done", folder=folder, config={"top_k": 10} if stage == "filter" else {},
        )  # fmt: skip
    for address in (at("review_batch"), at("review_cards", "queue"), at("review_list")):
        page = page_of(client, address)
        assert "by the threshold 10 of" in page and "experiment 1 itself has the threshold 30" in page
    assert "experiment 1 itself" in page_of(client, at("review_bulk") + "?action=reject")


def test_what_clean_up_dropped_is_offered_for_rejection_alone(client: Client, weak: list[WeakQuery], at: At) -> None:
    WeakQuery.objects.filter(pk=weak[0].pk).update(dropped="short")
    page = page_of(client, at("review_question", weak[0].pk))
    assert "no training can use it" in page and 'value="reject"' in page
    assert 'id="accept"' not in page and 'id="save-edit"' not in page


def test_every_button_of_the_desk_waits_for_the_answer_of_the_last_one(
    client: Client, weak: list[WeakQuery], at: At
) -> None:
    press(client, at("review_next", "queue"))
    page = press(client, at("review_give", weak[0].pk), verdict="accept", queue="queue")
    assert page.count("hx-post=") == page.count('hx-sync="#desk:drop"') > 5
    empty = page_of(client, at("review_cards", "sample"))
    assert empty.count("hx-post=") == empty.count('hx-sync="#desk:drop"') > 0


def test_learning_curves_push_no_questions_out(client: Client, project: Project, experiment: Experiment) -> None:
    for number in range(2, 24):
        point = Experiment.objects.create(
            project=project, number=number, series="curve", request_token=str(number), preset="fast", labels_version=1,
            corpus=experiment.corpus, dataset="0" * 32,
        )  # fmt: skip
        StageRun.objects.create(
            experiment=point, position=0, step_id="generate.sptar", stage="generate", queue="gpu", arms=["sptar"],
            folder=f"generate-{number}",
        )  # fmt: skip
    assert [batch.folder for batch in latest(project)] == [BATCH]
    found = newest(project)
    assert found and found.experiment == experiment


def test_surprise_is_told_in_words_to_pick_from(client: Client, weak: list[WeakQuery], at: At) -> None:
    WeakQuery.objects.filter(pk=weak[0].pk).update(loss=2.302585)
    page = page_of(client, at("review_question", weak[0].pk) + "?scores=1")
    assert "as if it had picked each word out of 10.0" in page

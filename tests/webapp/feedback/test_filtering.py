"""What another threshold would keep, with numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from webapp.models import Experiment, Role, State, User, WeakQuery
from webapp.places import store_folder
from webapp.selectors import filtering
from webapp.selectors.filtering import WhatIf

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]


def look(experiment: Experiment, k: int | None = None) -> WhatIf:
    stages = {stage.step_id: stage for stage in experiment.stages.all()}
    found = filtering.what_if(experiment, stages["generate.sptar"], stages["filter.sptar"], k)
    assert found is not None
    return found


@pytest.mark.parametrize(("k", "kept", "by_rank"), [(1, 2, 10), (5, 4, 8), (30, 7, 5), (31, 8, 4), (100, 10, 2)])
def test_each_threshold_has_its_counts(written: Experiment, k: int, kept: int, by_rank: int) -> None:
    found = look(written, k)
    assert (found.kept, found.filtered, found.written) == (kept, 14, 16)
    reasons = {reason.words: reason.count for reason in found.reasons}
    assert reasons["keyword search does not find its document"] == by_rank
    assert found.kept + sum(reasons.values()) == 16  # empty, short, copy and duplicate are one each


def test_the_sentence_says_how_many_are_kept(written: Experiment) -> None:
    assert look(written, 5).sentence == (
        "With the threshold 5, 4 of the 14 questions that clean-up left are kept (29%): keyword search finds their own "
        "document within the first 5."
    )


@pytest.mark.parametrize(("k", "used"), [(None, 30), (0, 1), (-4, 1), (1000, 100)])
def test_nonsense_gives_the_nearest_threshold_and_nothing_gives_the_own_one(
    written: Experiment, k: int | None, used: int
) -> None:
    assert look(written, k).k == used


def test_the_questions_next_to_the_line_come_with_their_documents(written: Experiment) -> None:
    found = look(written, 30)
    assert [row.rank for row in found.above] == [30, 29, 10, 5, 2]
    assert [row.rank for row in found.below] == [31, 40, 90, None, None]
    assert found.above[0].title == "Title 26"
    assert "".join(part.text for part in found.above[0].excerpt) == "Text 26"
    assert [part.text for part in found.above[0].excerpt if part.hit] == ["26"]


def test_a_question_dropped_for_another_reason_stands_on_no_side(written: Experiment) -> None:
    WeakQuery.objects.filter(weak_id="w6").update(dropped="duplicate")
    assert 30 not in [row.rank for row in look(written, 30).above]


def test_a_document_that_is_gone_is_named_by_its_id(written: Experiment) -> None:
    WeakQuery.objects.filter(weak_id="w6").update(doc_id="gone")
    assert look(written, 30).above[0].title == "gone"


def test_the_curve_is_the_kept_share(written: Experiment) -> None:
    chart = look(written, 30).chart
    assert chart is not None
    rows = dict(chart.frame.table.rows)
    assert (rows["1"], rows["100"]) == ("14.3", "71.4")  # 2 and 10 of 14
    assert chart.best is not None and chart.best.text == "k = 30: 50 %"


def test_it_takes_few_queries(written: Experiment, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    stages = {stage.step_id: stage for stage in written.stages.all()}
    with django_assert_num_queries(4):
        filtering.what_if(written, stages["generate.sptar"], stages["filter.sptar"], 30)


class TestPage:
    def path(self, experiment: Experiment, arm: str = "sptar", tail: str = "") -> str:
        return f"/p/{experiment.project.slug}/review/{experiment.number}/{arm}/filter/{tail}"

    def test_it_is_a_form_that_works_alone_and_a_fragment_for_htmx(self, written: Experiment, client: Client) -> None:
        page = client.get(self.path(written), {"k": "5"}).content.decode()
        assert 'type="range"' in page and 'value="5"' in page and "4 of the 14 questions" in page
        assert "3 fewer than" in page and 'name="k" value="5"' in page
        part = client.get(self.path(written), {"k": "31"}, headers={"HX-Request": "true"}).content.decode()
        assert part.lstrip().startswith('<div id="what-if"') and "<h1" not in part and "1 more than" in part

    def test_back_in_the_browser_gives_the_whole_page(self, written: Experiment, client: Client) -> None:
        headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
        assert "<h1" in client.get(self.path(written), {"k": "5"}, headers=headers).content.decode()

    @pytest.mark.parametrize("k", ["", "x", "-1", "10" * 30, "1e3", "\x00"])
    def test_nonsense_is_no_error(self, written: Experiment, client: Client, k: str) -> None:
        assert client.get(self.path(written), {"k": k}).status_code == 200

    def test_before_the_filter_is_done_it_says_so(self, written: Experiment, client: Client) -> None:
        written.stages.filter(stage="filter").update(state=State.RUNNING)
        assert "not filtered yet" in client.get(self.path(written)).content.decode()

    def test_ranks_that_are_gone_are_said(self, written: Experiment, client: Client) -> None:
        (store_folder(written.project) / "stages" / "filter-s" / "curve.json").unlink()
        assert "no longer on the disk" in client.get(self.path(written)).content.decode()

    @pytest.mark.parametrize("arm", ["bm25", "nix"])
    def test_an_arm_without_questions_is_not_there(self, written: Experiment, client: Client, arm: str) -> None:
        assert client.get(self.path(written, arm)).status_code == 404

    def test_generated_text_is_shown_as_text(self, written: Experiment, client: Client) -> None:
        WeakQuery.objects.filter(weak_id="w6").update(text="<script>alert(1)</script>")
        page = client.get(self.path(written)).content.decode()
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page

    def test_using_it_starts_an_experiment_once(self, written: Experiment, client: Client) -> None:
        sent = {"k": "5", "after": "1"}
        first = client.post(self.path(written, tail="use/"), sent)
        assert first["Location"].endswith("/experiments/2/")
        assert client.post(self.path(written, tail="use/"), sent)["Location"] == first["Location"]
        assert Experiment.objects.get(number=2).settings["filter"] == {"top_k": 5}

    @pytest.mark.parametrize("k", ["0", "x", "101", "30"])
    def test_a_threshold_that_cannot_be_is_a_sentence(self, written: Experiment, client: Client, k: str) -> None:
        answer = client.post(self.path(written, tail="use/"), {"k": k}, follow=True)
        assert answer.redirect_chain[-1][0].endswith("/filter/")
        assert 'class="notice bad error"' in answer.content.decode()
        assert Experiment.objects.count() == 1

    def test_filters_that_differ_are_no_offer_and_nothing_starts(self, written: Experiment, client: Client) -> None:
        own = written.stages.get(step_id="filter.inpars")
        own.config |= {"method": "round_trip", "top_k": 1}
        own.save()
        page = client.get(self.path(written), {"k": "5"}).content.decode()
        assert "would hold for all of them" in page and "Use this threshold" not in page and "Just kept" in page
        answer = client.post(self.path(written, tail="use/"), {"k": "5"}, follow=True)
        assert "would hold for all of them" in answer.content.decode()
        assert Experiment.objects.count() == 1

    def test_a_reviewer_sees_and_does_not_start(
        self, written: Experiment, member: Callable[[str], User], login: Login
    ) -> None:
        browser = login(member(Role.REVIEWER))
        page = browser.get(self.path(written), {"k": "5"}).content.decode()
        assert "Use this threshold" not in page and "Just kept" in page
        assert browser.post(self.path(written, tail="use/"), {"k": "5"}).status_code == 403
        assert browser.get(self.path(written, tail="use/")).status_code == 403

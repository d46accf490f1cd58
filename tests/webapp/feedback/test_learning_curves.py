"""The learning curve: the answer in one sentence, by hand and against another implementation."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import pytest
from django.test import Client

from sptar_engine.artifacts import write_json
from webapp.models import Experiment, Rescoring, Role, StageRun, State, User
from webapp.places import store_folder
from webapp.selectors import learning_curves
from webapp.selectors.learning_curves import Gain, expected_gain, student_t
from webapp.services import derive

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
QUESTIONS = [f"q{number}" for number in range(8)]


def values(level: float, spread: float = 0.0) -> dict[str, float]:
    return {question: level + spread * (-1) ** number for number, question in enumerate(QUESTIONS)}


def test_a_curve_that_rises_by_the_same_step_each_time_goes_on_so() -> None:
    # 0.1 for each doubling; from 50 to 100 is one more.
    gain = expected_gain([25, 50], [values(0.3), values(0.4)])
    assert gain == Gain(pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1), 8)
    assert gain is not None and gain.state == "yes"


def test_the_interval_is_students_over_the_questions() -> None:
    # Slopes per doubling: 0.1 + 0.04 and 0.1 - 0.04 in turn, of 8 questions: sd = 0.04 * sqrt(8/7), t(7) = 2.3646.
    gain = expected_gain([25, 50], [values(0.3), values(0.4, 0.04)])
    assert gain is not None
    half = 2.3646 * 0.04 * math.sqrt(8 / 7) / math.sqrt(8)
    assert (gain.mean, gain.low) == (pytest.approx(0.1), pytest.approx(0.1 - half, abs=1e-4))


def test_slopes_are_least_squares_over_the_doublings() -> None:
    numpy = pytest.importorskip("numpy")
    sizes = [10, 20, 30, 47]
    table = [{question: math.sin(7 * at + number) for number, question in enumerate(QUESTIONS)} for at in range(4)]
    xs = [math.log2(size) for size in sizes]
    slopes = [numpy.polyfit(xs, [row[question] for row in table], 1)[0] for question in QUESTIONS]
    gain = expected_gain(sizes, table, more=50)
    assert gain is not None
    assert gain.mean == pytest.approx(fmean(slopes) * math.log2(97 / 47))


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [([], []), ([10], [values(0.1)]), ([10, 10], [values(0.1)] * 2), ([10, 20], [values(0.1), {"q0": 1.0}])],
)
def test_too_little_gives_no_answer(sizes: list[int], rows: list[dict[str, float]]) -> None:
    assert expected_gain(sizes, rows) is None


@pytest.mark.parametrize(("freedom", "expected"), [(5, 2.5706), (7, 2.3646), (29, 2.0452), (99, 1.9842)])
def test_students_t_is_that_of_the_tables(freedom: int, expected: float) -> None:
    assert student_t(freedom) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("gain", "state"),
    [
        (Gain(0.05, 0.02, 0.08, 40), "yes"),
        (Gain(0.005, 0.002, 0.008, 40), "no"),  # surely, and not worth it
        (Gain(0.0, -0.02, 0.005, 40), "no"),
        (Gain(0.03, -0.01, 0.07, 40), "open"),
        (Gain(0.009, 0.001, 0.02, 40), "open"),
    ],
)
def test_the_answer_is_yes_only_where_it_is_sure_and_worth_it(gain: Gain, state: str) -> None:
    assert gain.state == state


@pytest.fixture
def series(written: Experiment, owner: User) -> list[Experiment]:
    Experiment.objects.filter(pk=written.pk).update(counts={**written.counts, "train": 50})
    written.refresh_from_db()
    return derive.learning_curve(experiment=written, actor=owner, request_token="t", arm="sptar", sizes=[10, 20, 50])


def finish(experiment: Experiment, level: float) -> None:
    """As if it were measured: nDCG@10 of the trained arm is `level` for each of eight questions."""
    stage = StageRun.objects.get(experiment=experiment, step_id="evaluate.sptar")
    folder = f"evaluate-{experiment.number}"
    write_json(
        store_folder(experiment.project) / "stages" / folder / "metrics.json",
        {"mean": {"nDCG@10": level}, "per_query": {"nDCG@10": values(level)}},
    )
    StageRun.objects.filter(pk=stage.pk).update(state=State.DONE, folder=folder)
    arms: dict[str, Any] = {
        "zero_shot": {"nDCG@10": {"mean": 0.2, "low": 0.1, "high": 0.3}},
        "sptar": {"nDCG@10": {"mean": level, "low": level - 0.1, "high": level + 0.1}},
    }
    Experiment.objects.filter(pk=experiment.pk).update(state=State.DONE, comparison={"arms": arms})


class TestCurve:
    def test_it_waits_for_its_points(self, series: list[Experiment]) -> None:
        finish(series[0], 0.3)
        curve = learning_curves.curve_of(series[0].project, series[0].series)
        assert curve is not None
        assert curve.sentence == "2 of 3 points of the curve are not measured yet."
        assert [point.mean for point in curve.points] == [0.3, None, None]
        assert len(curve.open) == 2 and curve.gain is None and curve.chart is not None

    def test_it_answers_whether_more_examples_help(self, series: list[Experiment]) -> None:
        for one, level in zip(series, (0.3, 0.4, 0.4 + 0.1 * math.log2(2.5)), strict=True):
            finish(one, level)
        curve = learning_curves.curve_of(series[0].project, series[0].series)
        assert curve is not None and not curve.open
        assert curve.sentence == (
            "Would 50 more examples help? Likely yes: about +0.100 in nDCG@10 (95 % between +0.100 and +0.100, 8 test "
            "examples) if the curve goes on as it went."
        )
        assert curve.chart is not None
        assert [row[0] for row in curve.chart.frame.table.rows] == ["10", "20", "50"]
        assert len(curve.chart.intervals) == 3

    def test_all_points_are_by_the_same_judgements(self, series: list[Experiment], owner: User) -> None:
        for one, level in zip(series, (0.3, 0.4, 0.5), strict=True):
            finish(one, level)
        better = {"arms": {"sptar": {"nDCG@10": {"mean": 0.9, "low": 0.8, "high": 1.0}}}}
        facts = {"qrels": "a" * 32, "labels_version": 2, "comparison": better, "asked_by": owner}
        Rescoring.objects.create(experiment=series[0], number=1, **facts)
        curve = learning_curves.curve_of(series[0].project, series[0].series)
        assert curve is not None and curve.is_mixed and curve.gain is not None
        assert [point.mean for point in curve.points] == [0.3, 0.4, 0.5]
        for one in series[1:]:
            Rescoring.objects.create(experiment=one, number=1, **facts)
        curve = learning_curves.curve_of(series[0].project, series[0].series)
        assert curve is not None and not curve.is_mixed
        assert [point.mean for point in curve.points] == [0.9, 0.9, 0.9]

    def test_repeats_are_shown_and_the_chance_in_them_is_named(self, series: list[Experiment], client: Client) -> None:
        Experiment.objects.filter(series=series[0].series).update(seeds=2)
        for one in series:
            one.seeds = 2
            finish(one, 0.4)
            stage = StageRun.objects.get(experiment=one, step_id="evaluate.sptar")
            folder = f"evaluate-{one.number}-again"
            write_json(
                store_folder(one.project) / "stages" / folder / "metrics.json",
                {"mean": {"nDCG@10": 0.5}, "per_query": {"nDCG@10": values(0.5)}},
            )
            StageRun.objects.create(
                experiment=one, position=99, step_id="evaluate.sptar.1", stage="evaluate", arms=["sptar"], queue="cpu",
                state=State.DONE, folder=folder, config=stage.config,
            )  # fmt: skip
        curve = learning_curves.curve_of(series[0].project, series[0].series)
        assert curve is not None
        assert [list(point.repeats) for point in curve.points] == [[0.4, 0.5]] * 3
        page = client.get(f"/p/{series[0].project.slug}/learning-curves/{series[0].series}/").content.decode()
        assert page.count("trainings: 0.400, 0.500") == 3
        assert "the chance in a training is not in it" in page

    def test_a_series_of_another_project_is_not_there(self, series: list[Experiment], other_project: object) -> None:
        assert learning_curves.curve_of(other_project, series[0].series) is None  # type: ignore[arg-type]
        assert learning_curves.curve_of(series[0].project, "") is None


class TestPages:
    def path(self, experiment: Experiment, tail: str) -> str:
        return f"/p/{experiment.project.slug}/{tail}"

    def test_no_curve_yet_teaches_what_one_is(self, written: Experiment, client: Client) -> None:
        page = client.get(self.path(written, "learning-curves/")).content.decode()
        assert "Would 50 more examples help?" in page and "Draw a learning curve" in page

    def test_a_project_without_experiments_says_where_to_begin(self, project: Any, client: Client) -> None:
        assert "It starts from an experiment" in client.get(f"/p/{project.slug}/learning-curves/").content.decode()

    def test_the_list_and_the_curve_show_what_runs(self, series: list[Experiment], client: Client) -> None:
        page = client.get(self.path(series[0], "learning-curves/")).content.decode()
        assert "10, 20, 50 training examples" in page and "0 of 3 done" in page
        curve = client.get(self.path(series[0], f"learning-curves/{series[0].series}/")).content.decode()
        assert 'hx-trigger="every 2s"' in curve and "not measured yet" in curve
        for one in series:
            finish(one, 0.4)
        path = self.path(series[0], f"learning-curves/{series[0].series}/")
        part = client.get(path, headers={"HX-Request": "true"}).content.decode()
        assert "<h1" not in part and "hx-trigger" not in part and "Hardly" in part

    def test_a_failed_point_leads_to_its_experiment(self, series: list[Experiment], client: Client) -> None:
        Experiment.objects.filter(pk=series[1].pk).update(state=State.FAILED)
        page = client.get(self.path(series[0], f"learning-curves/{series[0].series}/")).content.decode()
        assert f"Experiment {series[1].number}</a> failed" in page

    def test_a_series_that_there_is_not(self, written: Experiment, client: Client) -> None:
        assert client.get(self.path(written, "learning-curves/nix/")).status_code == 404

    def test_it_is_chosen_looked_at_and_started_once(self, written: Experiment, client: Client) -> None:
        Experiment.objects.filter(pk=written.pk).update(counts={**written.counts, "train": 40})
        path = self.path(written, "experiments/1/learning-curve/")
        page = client.get(path).content.decode()
        assert "4 experiments, with 10, 20, 30, 40 training examples" in page
        sent = {"arm": "sptar", "sizes": ["10", "40"], "seeds": "1", "after": "1", "action": "look"}
        part = client.post(path, sent, headers={"HX-Request": "true"}).content.decode()
        # Of 10 steps for each: all for 10 examples, none for 40, which the experiment has done.
        assert "2 experiments" in part and "10 of 20 steps" in part and Experiment.objects.count() == 1
        first = client.post(path, sent | {"action": "start"})
        assert "/learning-curves/" in first["Location"] and Experiment.objects.count() == 3
        assert client.post(path, sent | {"action": "start"})["Location"] == first["Location"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"sizes": ["10"]}, "at least two numbers"), ({"sizes": []}, "at least two numbers"),
            ({"sizes": ["10", "99"]}, "not one of the available"), ({"arm": "bm25"}, "not one of the available"),
            ({"seeds": "9"}, "less than or equal to 5"), ({"seeds": "x"}, "whole number"),
        ],
    )  # fmt: skip
    def test_choices_that_cannot_be_are_said(
        self, written: Experiment, client: Client, change: dict[str, Any], words: str
    ) -> None:
        Experiment.objects.filter(pk=written.pk).update(counts={**written.counts, "train": 40})
        sent = {"arm": "sptar", "sizes": ["10", "40"], "seeds": "1", "action": "start"} | change
        answer = client.post(self.path(written, "experiments/1/learning-curve/"), sent)
        assert answer.status_code == 200 and words in answer.content.decode()
        assert Experiment.objects.count() == 1

    def test_too_few_examples_for_a_curve_say_so(self, written: Experiment, client: Client) -> None:
        page = client.get(self.path(written, "experiments/1/learning-curve/")).content.decode()
        assert "more than ten training examples, and this experiment has 10" in page

    def test_a_viewer_starts_nothing(self, written: Experiment, member: Callable[[str], User], login: Login) -> None:
        browser = login(member(Role.VIEWER))
        assert "An editor of the project" in browser.get(self.path(written, "learning-curves/")).content.decode()
        assert browser.get(self.path(written, "experiments/1/learning-curve/")).status_code == 403
        assert browser.post(self.path(written, "experiments/1/learning-curve/")).status_code == 403

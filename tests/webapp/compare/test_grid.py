"""Arms by families: the table, what was chosen on the held-out examples, what is missing, and the pages of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from sptar_engine.arms import ARMS, FAMILIES
from tests.webapp.compare.conftest import measure_all
from tests.webapp.compare.test_pages import text_of, url
from tests.webapp.experiments.conftest import add_example
from webapp.cells import in_order, is_trained, wanted
from webapp.forms.comparisons import ResultGradeForm
from webapp.models import Errand, Experiment, Project, Rescoring, State, User
from webapp.selectors import measured
from webapp.selectors.comparisons import best_known, headlines_of, short, table_of, usual_cell
from webapp.selectors.grid import Grid, duels_of, grid_of
from webapp.selectors.words import arm_name
from webapp.services import rescoring

Do = Callable[[Errand], dict[str, Any]]
GRID = ["bi_encoder", "late_interaction", "hybrid"]
RANKS = {
    "bm25": 3, "zero_shot": 2, "zero_shot/hybrid": 2, "inpars": 2, "sptar": 1, "inpars/hybrid": 2, "sptar/hybrid": 1,
}  # fmt: skip
DEV = {"bi_encoder": 0.41, "hybrid": 0.44}


@pytest.fixture
def gridded(ready: Project, owner: User, make_experiment: Callable[..., Experiment]) -> Experiment:
    """Experiment 1 with three families; late interaction is not measured yet, the hybrid was best when held out."""
    for number in (20, 21):
        add_example(ready, f"q{number}", "test", {f"d{number}": 1}, owner)
    experiment = make_experiment(arms=["bm25", "zero_shot", "inpars", "sptar"], families=GRID, state=State.RUNNING)
    measure_all(experiment, RANKS)
    experiment.comparison["families"] = {"sptar": {"chosen": "hybrid", "dev": DEV}}
    experiment.comparison["arms"]["sptar"] |= {
        "seconds": 720.0, "peak_mib": 1200, "seeds": {"count": 3, "nDCG@10": [1.0, 1.0, 1.0], "spread": 0.0123},
    }  # fmt: skip
    experiment.comparison["notes"] = ["teach.sptar: The cross-encoder does not teach."]
    experiment.save()
    return experiment


def made(experiment: Experiment) -> Grid:
    found = grid_of(experiment, experiment.comparison)
    assert found is not None
    return found


def test_cells_have_an_order_and_a_plan() -> None:
    assert in_order(["sptar/hybrid", "sptar", "bm25", "zero_shot/hybrid", "nonsense", "sptar:other"]) == [
        "bm25", "zero_shot/hybrid", "sptar", "sptar/hybrid",
    ]  # fmt: skip
    assert wanted(["bm25", "zero_shot", "sptar"], ["adapter"]) == ["bm25", "zero_shot", "sptar/adapter"]
    assert wanted(["bm25", "zero_shot"], ["bi_encoder", "hybrid"]) == ["bm25", "zero_shot", "zero_shot/hybrid"]
    assert (is_trained("sptar/hybrid"), is_trained("zero_shot/hybrid")) == (True, False)


def test_the_table_has_a_row_for_each_arm_and_a_column_for_each_family(gridded: Experiment) -> None:
    grid = made(gridded)
    assert grid.families == ["Bi-encoder", "Late interaction", "Hybrid"]
    states = {line.name: [place.state for place in line.places] for line in grid.lines}
    assert states == {
        "Keyword search": ["measured"],
        "Base model, untrained": ["measured", "none", "measured"],
        "Plain prompt (InPars)": ["measured", "missing", "measured"],
        "Tuned question writer (SPTAR)": ["measured", "missing", "measured"],
    }
    assert [line.is_whole for line in grid.lines] == [True, False, False, False]
    assert grid.missing == [
        "Plain prompt (InPars), late interaction",
        "Tuned question writer (SPTAR), late interaction",
    ]


def test_a_hybrid_stands_against_the_untrained_hybrid(gridded: Experiment) -> None:
    bi_encoder, _, hybrid = made(gridded).lines[3].places
    assert bi_encoder.verdict is not None and hybrid.verdict is not None
    assert bi_encoder.verdict.other == "Base model, untrained"
    assert hybrid.verdict.other == "Base model, untrained, hybrid"
    table = table_of(gridded)
    assert table is not None
    rows = {row.arm: row for row in table.rows}
    verdict = rows["sptar/hybrid"].verdicts[1]
    assert verdict is not None and verdict.other == "Base model, untrained, hybrid"
    assert rows["zero_shot/hybrid"].verdicts[1] is None  # there is nothing before it


def test_the_family_is_the_one_of_the_held_out_examples_and_leads_the_headline(gridded: Experiment) -> None:
    grid = made(gridded)
    places = grid.lines[3].places
    assert [place.is_chosen for place in places] == [False, False, True]
    assert [place.held_out for place in places] == [0.41, None, 0.44]
    assert grid.chosen == [
        "Tuned question writer (SPTAR): hybrid, nDCG@10 0.440 on the held-out examples (bi-encoder 0.410)."
    ]
    assert best_known(gridded.comparison) == "sptar/hybrid"
    assert headlines_of(gridded.comparison)[1].startswith(
        "“Tuned question writer (SPTAR), hybrid” finds better results than the untrained hybrid: nDCG@10 1.000"
    )
    assert short(gridded) == "Hybrid: +0.369 against untrained: better"


def test_without_a_choice_the_first_family_of_the_last_arm_leads(gridded: Experiment) -> None:
    del gridded.comparison["families"]
    assert best_known(gridded.comparison) == "sptar"
    assert usual_cell(gridded, ["inpars", "inpars/hybrid"]) == "inpars"
    assert usual_cell(gridded, []) == ""


def test_ways_of_training_stand_against_one_another_within_a_family(gridded: Experiment) -> None:
    duels = [
        (duel.ours, duel.theirs, duel.family, duel.verdict.state) for duel in duels_of(gridded, gridded.comparison)
    ]
    assert duels == [
        ("SPTAR", "plain prompt", "Bi-encoder", "better"), ("SPTAR", "plain prompt", "Hybrid", "better"),
    ]  # fmt: skip


def test_each_two_ways_of_training_meet_once(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["bm25", "zero_shot", "seeds_only", "inpars", "promptagator", "sptar"])
    ranks = {"bm25": 3, "zero_shot": 2, "seeds_only": 2, "inpars": 2, "promptagator": 1, "sptar": 1}
    measure_all(experiment, ranks)
    assert [(duel.ours, duel.theirs) for duel in duels_of(experiment, experiment.comparison)] == [
        ("plain prompt", "examples only"), ("described task", "examples only"), ("described task", "plain prompt"),
        ("SPTAR", "examples only"), ("SPTAR", "plain prompt"), ("SPTAR", "described task"),
    ]  # fmt: skip


def test_repeats_cost_and_warnings_are_told(gridded: Experiment) -> None:
    assert made(gridded).lines[3].places[0].seeds == "3 repeats, spread 0.012"
    table = table_of(gridded)
    assert table is not None
    assert {row.arm: row.cost for row in table.rows}["sptar"] == "12 minutes, 1.3 GB of memory"
    assert table.notes == ["Let a teacher score documents, SPTAR: The cross-encoder does not teach."]
    assert table.waiting == made(gridded).missing


def test_one_sentence_about_several_steps_stands_once(gridded: Experiment) -> None:
    steps = ("teach.inpars", "teach.sptar", "teach.sptar.2")
    known = {**gridded.comparison, "notes": [*(f"{step}: Nobody teaches." for step in steps), "Just so."]}
    table = table_of(gridded, known)
    assert table is not None
    assert table.notes == ["Let a teacher score documents, plain prompt, SPTAR: Nobody teaches.", "Just so."]


def test_a_training_is_told_once_under_the_name_of_what_was_trained(gridded: Experiment) -> None:
    def trained(step: str, sentence: str) -> dict[str, Any]:
        return {"training": [{"step": step, "sentence": sentence, "kept_untrained": False}]}

    arms = gridded.comparison["arms"]
    arms["inpars"] |= trained("train.inpars", "It reached 0.4.")
    arms["inpars/hybrid"] |= trained("train.inpars", "It reached 0.4.")
    arms["sptar/hybrid"] |= trained("train.sptar", "It reached 0.4.")  # another training that ended the same
    table = table_of(gridded)
    assert table is not None
    assert table.training == [f"{arm_name(arm)}: It reached 0.4." for arm in ("inpars", "sptar")]


def test_a_training_without_a_choice_of_kinds_speaks_of_none(gridded: Experiment) -> None:
    assert made(gridded).has_choice
    gridded.comparison["families"] = {"sptar": {"chosen": "hybrid", "dev": {"hybrid": 0.44}}}
    assert not made(gridded).has_choice


def test_the_bi_encoder_alone_has_no_grid(measured_one: Experiment) -> None:
    assert grid_of(measured_one, measured_one.comparison) is None
    assert grid_of(measured_one, {}) is None


def test_the_pages_show_the_table(gridded: Experiment, client: Client, ready: Project) -> None:
    for name in ("experiment_compare", "experiment"):
        page = text_of(client, url(ready, name, 1))
        assert 'id="grid"' in page
        assert "held-out 0.440, the best" in page
        assert "Missing:" in page and "Plain prompt (InPars), late interaction" in page
        assert page.count('colspan="3"') == 1
    page = text_of(client, url(ready, "experiment_compare", 1))
    assert "Ways of training against one another" in page
    assert "The cross-encoder does not teach." in page
    assert 'value="sptar/hybrid" selected' in page  # what the headline speaks of, question by question


def test_a_cell_has_its_question_pages_and_files(gridded: Experiment, client: Client, ready: Project) -> None:
    page = text_of(client, url(ready, "compare_question", 1), id="q14", arm="sptar/hybrid", against="inpars/hybrid")
    assert "Tuned question writer (SPTAR), hybrid" in page
    assert "Base model, untrained, hybrid" in page
    address = url(ready, "compare_run_file", 1, "sptar/hybrid", 1)
    assert address.endswith("/run/sptar/hybrid/1/")
    answer = client.get(address)
    assert answer.status_code == 200
    assert "/" not in answer["Content-Disposition"].partition("filename=")[2]
    assert client.get(url(ready, "compare_run_file", 1, "sptar/late_interaction", 1)).status_code == 404
    rows = client.get(url(ready, "compare_export", 1, "figures"))
    table = b"".join(rows.streaming_content).decode()  # type: ignore[attr-defined]
    assert 'sptar/hybrid,hybrid,"Tuned question writer (SPTAR), hybrid"' in table
    assert "\nbm25,,Keyword search" in table
    assert "zero_shot/hybrid" in table
    report = text_of(client, url(ready, "compare_export", 1, "report"))
    assert "held-out examples (bi-encoder 0.410)" in report


def test_judging_on_the_page_of_a_cell_keeps_the_choice(gridded: Experiment, client: Client, ready: Project) -> None:
    page = text_of(client, url(ready, "compare_question", 1), id="q14", arm="sptar/hybrid", against="bm25")
    assert '<input type="hidden" name="arm" value="sptar/hybrid">' in page
    assert "arm=sptar%2Fhybrid&amp;against=bm25" in page


def test_a_cell_with_the_longest_name_can_be_judged() -> None:
    longest = max(wanted(list(ARMS), list(FAMILIES), equal_pairs=True), key=len)
    form = ResultGradeForm({"id": "q14", "doc": 1, "grade": "2", "seen": "", "arm": longest, "against": longest})
    assert form.is_valid(), form.errors


def test_later_judgements_keep_the_choice_of_the_held_out_examples(gridded: Experiment, owner: User, do: Do) -> None:
    gridded.stages.update(state=State.DONE)
    measure_all(gridded, {**RANKS, "inpars/late_interaction": 2, "sptar/late_interaction": 2})
    gridded.comparison["families"] = {"sptar": {"chosen": "hybrid", "dev": DEV}}
    gridded.comparison["arms"]["sptar"] |= {"seconds": 720.0, "peak_mib": 1200}
    gridded.comparison["notes"] = ["teach.sptar: The cross-encoder does not teach."]
    Experiment.objects.filter(pk=gridded.pk).update(state=State.DONE, comparison=gridded.comparison)
    gridded.refresh_from_db()
    query = gridded.project.queries.get(query_id="q14")
    query.judgements.create(doc_id="d30", grade=2)
    Project.objects.update(labels_version=9)
    gridded.project.refresh_from_db()
    do(rescoring.ask(experiment=gridded, actor=owner))
    later = Rescoring.objects.get().comparison
    assert set(later["arms"]) == set(wanted(gridded.arms, gridded.families))
    assert best_known(later) == "sptar/hybrid"
    assert later["arms"]["sptar"]["seconds"] == 720.0 and later["notes"] == gridded.comparison["notes"]
    assert measured.newest(gridded).number == 1

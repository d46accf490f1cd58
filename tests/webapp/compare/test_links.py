"""From an experiment to its pages, as far as they have something to show."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from webapp.models import Experiment, State
from webapp.selectors.experiment_links import links_of


def test_a_page_that_has_nothing_to_show_says_what_it_waits_for(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment()
    links = {link.name: link for link in links_of(experiment, list(experiment.stages.all()))}
    assert list(links) == ["Review", "Filter", "Compare", "Playground", "Download", "Learning curves"]
    assert (links["Review"].url, links["Review"].why) == ("", "no questions yet")
    assert (links["Compare"].url, links["Compare"].why) == ("", "not measured")


def test_links_lead_to_the_arm_that_is_downloaded(measured_one: Experiment) -> None:
    links = {link.name: link.url for link in links_of(measured_one, list(measured_one.stages.all()))}
    slug = measured_one.project.slug
    assert links["Review"] == f"/p/{slug}/review/1/sptar/"
    assert links["Filter"] == f"/p/{slug}/review/1/sptar/filter/"
    assert links["Compare"] == f"/p/{slug}/compare/1/"
    assert links["Playground"] == f"/p/{slug}/playground/?run=1&arm=sptar"
    assert links["Download"] == f"/p/{slug}/download/?experiment=1"
    assert links["Learning curves"] == f"/p/{slug}/learning-curves/"
    measured_one.series = "abc"
    links = {link.name: link.url for link in links_of(measured_one, list(measured_one.stages.all()))}
    assert links["Learning curve"] == f"/p/{slug}/learning-curves/abc/"


def test_a_failed_arm_is_not_linked(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment({"generate.inpars": State.DONE, "generate.sptar": State.FAILED})
    links = {link.name: link.url for link in links_of(experiment, list(experiment.stages.all()))}
    assert links["Review"].endswith("/review/1/inpars/")


def test_the_playground_is_not_linked_to_a_teacher_or_a_variant(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(arms=["bm25", "zero_shot", "inpars", "sptar"], families=["late_interaction"])
    for step_id, fields in {
        "train.sptar": {"family": "bi_encoder"}, "train.sptar:equal_pairs": {"variant": "equal_pairs"},
        "train.sptar/late_interaction.first": {},
    }.items():  # fmt: skip
        experiment.stages.create(
            step_id=step_id, stage="train", arms=["sptar"], position=90, queue="gpu", state=State.DONE,
            **{"family": "late_interaction", **fields},
        )  # fmt: skip

    def playground() -> str:
        links = {link.name: link.url for link in links_of(experiment, list(experiment.stages.all()))}
        return links["Playground"]

    assert playground() == ""
    experiment.stages.filter(step_id="train.sptar/late_interaction").update(state=State.DONE)
    assert playground().endswith("?run=1&arm=sptar%2Flate_interaction")


def test_every_link_of_a_measured_experiment_opens(measured_one: Experiment, client: Client) -> None:
    for link in links_of(measured_one, list(measured_one.stages.all())):
        if link.name in ("Compare", "Download", "Playground", "Learning curves"):
            assert client.get(link.url).status_code in (200, 302), link.name

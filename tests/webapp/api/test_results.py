"""Measured experiments and what follows from them: figures, pins, notes, tests against each other, curves, archives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.webapp.api.conftest import FakeSearch
from tests.webapp.api.test_areas import post
from tests.webapp.compare.conftest import RANKS, measure_all
from tests.webapp.experiments.conftest import add_example
from webapp.models import (
    Archive,
    Corpus,
    Document,
    Errand,
    Event,
    Experiment,
    Project,
    Query,
    Rescoring,
    Upload,
    User,
)
from webapp.places import archive_folder, snapshot_folder


def test_one_question_is_shown_with_what_each_search_found(api: Client, base: str, measured_one: Experiment) -> None:
    answer = api.get(f"{base}experiments/1/results/?query_id=q14")
    assert answer.status_code == 200
    found = {search["arm"]: search for search in answer.json()["searches"]}
    assert list(found) == ["bm25", "zero_shot", "sptar"]
    assert {
        arm: [one["doc_id"] for one in search["entries"]].index("d14") + 1 for arm, search in found.items()
    } == RANKS
    assert (found["bm25"]["value"], found["sptar"]["value"]) == (0.5, 1.0)


def test_lists_and_single_experiments_speak_of_the_newest_judgements(
    api: Client, base: str, measured_one: Experiment
) -> None:
    before = api.get(f"{base}experiments/1/").json()["result"]
    later = {"arms": {arm: dict(found) for arm, found in measured_one.comparison["arms"].items()}}
    later["arms"]["sptar"]["versus"] = {"zero_shot": {"difference": 0.07, "verdict": "better"}}
    Rescoring.objects.create(experiment=measured_one, number=1, qrels="q", labels_version=2, comparison=later)
    assert api.get(f"{base}experiments/").json()["results"][0]["result"] == "+0.070 against untrained: better" != before
    assert api.get(f"{base}experiments/1/").json()["result"] == "+0.070 against untrained: better"


def test_name_note_and_pin_are_changed_one_by_one(
    api: Client, base: str, project: Project, measured_one: Experiment, another: Experiment
) -> None:
    path = f"{base}experiments/1/"
    assert api.patch(path, {"note": "the first"}, content_type="application/json").json()["note"] == "the first"
    shown = api.patch(path, {"name": "Winter"}, content_type="application/json").json()
    assert (shown["name"], shown["note"], shown["pinned"]) == ("Winter", "the first", False)
    assert api.patch(path, {"name": "x" * 101}, content_type="application/json").status_code == 400
    assert post(api, f"{path}pin/", pinned=True).json()["pinned"] is True
    assert post(api, f"{base}experiments/2/pin/", pinned=False).json()["pinned"] is False  # it is not this one's pin
    project.refresh_from_db()
    assert project.baseline == measured_one
    assert post(api, f"{path}pin/", pinned=False).json()["pinned"] is False
    assert post(api, f"{path}pin/").status_code == 400


def test_an_experiment_is_tested_against_another_one(
    api: Client, base: str, measured_one: Experiment, another: Experiment, do: Callable[[Errand], dict[str, Any]]
) -> None:
    path = f"{base}experiments/2/against/1/"
    shown = api.get(path).json()
    assert (shown["tested"], shown["errand"]) == (None, None)
    asked = post(api, path)
    assert (asked.status_code, asked.json()["errand"]["state"]) == (202, "queued")
    do(Errand.objects.get(kind="experiment.pair"))
    ready = post(api, path)
    assert ready.status_code == 200
    rows = {row["arm"]: row for row in ready.json()["tested"]["rows"]}
    assert ready.json()["tested"]["queries"] == 8
    assert rows["bm25"]["before"]["mean"] == rows["bm25"]["after"]["mean"]
    assert rows["sptar"]["before"]["mean"] == pytest.approx(1)
    assert rows["sptar"]["after"]["mean"] == pytest.approx(0.6309, abs=1e-4)
    assert Errand.objects.filter(kind="experiment.pair").count() == 1
    same = post(api, f"{base}experiments/1/against/1/")
    assert (same.status_code, "same experiment" in same.json()["detail"]) == (409, True)
    assert api.get(f"{base}experiments/1/against/9/").status_code == 404


def test_a_learning_curve_is_started_once_and_read(api: Client, base: str, measured_one: Experiment) -> None:
    path = f"{base}experiments/1/learning-curve/"
    snapshot_folder(measured_one.project, measured_one.dataset).mkdir(parents=True)
    Experiment.objects.update(counts={"train": 30, "train_pairs": 60, "dev": 4, "test": 8, "documents": 40})
    assert post(api, path, arm="bm25").status_code == 400
    assert post(api, path, arm="sptar", sizes=[10]).status_code == 400
    assert post(api, path, arm="sptar", sizes=[10, 11]).status_code == 409
    made = post(api, path, arm="sptar", sizes=[10, 30], request_token="c")
    assert made.status_code == 201, made.content
    again = post(api, path, arm="sptar", sizes=[10, 30], request_token="c")
    assert (again.status_code, again.json()["series"]) == (200, made.json()["series"])
    shown = api.get(f"{base}learning-curves/{made.json()['series']}/").json()
    assert [(point["size"], point["mean"]) for point in shown["points"]] == [(10, None), (30, None)]
    assert (shown["base"], shown["gain"], shown["arm"]) == (1, None, "sptar")
    listed = api.get(f"{base}learning-curves/").json()["results"]
    assert [(one["series"], one["sizes"], one["done"]) for one in listed] == [(shown["series"], [10, 30], 0)]
    assert api.get(f"{base}learning-curves/nix/").status_code == 404


@pytest.fixture
def archive(project: Project, measured_one: Experiment) -> Archive:
    """An archive that nobody has made."""
    return Archive.objects.create(project=project, experiment=measured_one, kind="runs", fingerprint="f")


def test_an_archive_is_made_again_stopped_and_removed(api: Client, base: str, archive: Archive) -> None:
    path = f"{base}archives/{archive.slug}/"
    assert api.get(path).json()["state"] == "failed"
    assert post(api, f"{path}again/").json()["state"] == "open"
    assert post(api, f"{path}again/").json()["state"] == "open"
    assert Errand.objects.filter(kind="archive.make").count() == 1
    assert post(api, f"{path}stop/").json()["state"] == "stopped"
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404
    assert not Archive.objects.exists()


def test_a_list_of_archives_needs_as_many_queries_as_one_of_them(
    api: Client, base: str, archive: Archive, django_assert_max_num_queries: Any
) -> None:
    about = {"project": archive.project, "experiment": archive.experiment, "kind": "runs"}
    Archive.objects.bulk_create(Archive(**about, fingerprint=str(number), slug=f"a{number}") for number in range(20))
    api.get(f"{base}archives/")
    with django_assert_max_num_queries(8):
        assert len(api.get(f"{base}archives/").json()["results"]) == 21


def test_a_download_that_broke_off_can_go_on(api: Client, base: str, archive: Archive) -> None:
    folder = archive_folder(archive)
    folder.mkdir(parents=True)
    (folder / "content").write_bytes(b"0123456789")
    Archive.objects.update(ready_at=archive.created, name="runs.zip", sha256="s", bytes=10)
    path = f"{base}archives/{archive.slug}/download/"
    whole = api.get(path)
    assert (whole.status_code, whole["Content-Type"], whole["ETag"]) == (200, "application/zip", '"s"')
    part = api.get(path, headers={"Range": "bytes=4-", "If-Range": '"s"'})
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"456789")


def test_a_question_of_the_playground_is_kept_and_a_search_made_ready(
    api: Client, base: str, corpus: Corpus, search: FakeSearch
) -> None:
    made = post(api, f"{base}playground/save/", q="who  may borrow", split="test")
    assert (made.status_code, made.json()["text"], made.json()["split"]) == (201, "who may borrow", "test")
    assert Query.objects.get().split_fixed
    assert post(api, f"{base}playground/save/", q="who may borrow", split="train").status_code == 400
    assert post(api, f"{base}playground/save/", q="x", split="dev").status_code == 400
    prepared = post(api, f"{base}playground/prepare/")
    assert (prepared.status_code, prepared.json()) == (202, {"run": None, "arm": None})
    assert post(api, f"{base}playground/prepare/", run=7).status_code == 404


def test_without_documents_there_is_nothing_to_make_ready(api: Client, base: str) -> None:
    assert post(api, f"{base}playground/prepare/").status_code == 409


def test_a_model_is_named_by_its_experiment(api: Client, base: str, corpus: Corpus, search: FakeSearch) -> None:
    answer = api.get(f"{base}playground/?q=loan&arm=sptar")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["run"])


def test_a_check_that_failed_is_tried_again(api: Client, base: str, project: Project, owner: User) -> None:
    upload = Upload.objects.create(project=project, kind="jsonl", name="a", stage="checking", uploaded_by=owner)
    assert post(api, f"{base}uploads/{upload.pk}/retry/").json()["stage"] == "checking"
    assert Errand.objects.get().kind == "upload.check"
    assert Event.objects.filter(verb="upload.retried").exists()
    Upload.objects.update(stage="done")
    assert post(api, f"{base}uploads/{upload.pk}/retry/").status_code == 409


def test_a_long_document_is_cut_in_lists(api: Client, base: str, corpus: Corpus) -> None:
    Document.objects.filter(doc_id="d1").update(text="x" * 100_001)
    row = api.get(f"{base}documents/?doc_id=d1").json()["results"][0]
    assert (len(row["text"]), row["length"]) == (100_000, 100_001)


def test_a_grid_names_families_what_was_chosen_and_what_is_missing(
    api: Client, base: str, make_experiment: Callable[..., Experiment], ready: Project, owner: User
) -> None:
    for number in (20, 21):
        add_example(ready, f"q{number}", "test", {f"d{number}": 1}, owner)
    experiment = make_experiment(arms=["bm25", "zero_shot", "sptar"], families=["bi_encoder", "hybrid"])
    measure_all(experiment, {"bm25": 3, "zero_shot": 2, "sptar": 1, "sptar/hybrid": 1})
    experiment.comparison["families"] = {"sptar": {"chosen": "hybrid", "dev": {"bi_encoder": 0.4, "hybrid": 0.5}}}
    experiment.save()
    found = api.get(f"{base}experiments/1/comparison/").json()
    assert [(one["arm"], one["family"]) for one in found["arms"]] == [
        ("bm25", ""), ("zero_shot", "bi_encoder"), ("sptar", "bi_encoder"), ("sptar/hybrid", "hybrid"),
    ]  # fmt: skip
    assert found["families"] == {"sptar": {"chosen": "hybrid", "dev": {"bi_encoder": 0.4, "hybrid": 0.5}}}
    assert found["missing"] == ["zero_shot/hybrid"]
    shown = api.get(f"{base}experiments/1/").json()
    assert shown["families"] == ["bi_encoder", "hybrid"]
    assert {one["family"] for one in shown["stages"] if one["stage"] == "fuse"} == {"hybrid"}
    searched = api.get(f"{base}experiments/1/results/?query_id=q14").json()["searches"]
    assert [one["arm"] for one in searched] == ["bm25", "zero_shot", "sptar", "sptar/hybrid"]


def test_families_are_chosen_in_the_start_body(api: Client, base: str, ready: Project) -> None:
    settings = {"train": {"multi_positive": True}}
    order = {"preset": "fast", "arms": ["sptar"], "families": ["hybrid"], "settings": settings}
    made = post(api, f"{base}experiments/", **order).json()
    assert made["families"] == ["bi_encoder", "hybrid"]
    assert made["settings"]["train"]["multi_positive"] is True
    assert Experiment.objects.get().families == ["bi_encoder", "hybrid"]
    for nothing in ([], ["x"]):
        assert post(api, f"{base}experiments/", **{**order, "families": nothing}).status_code == 400

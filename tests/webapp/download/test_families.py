"""One packed search model of each kind: to be downloaded, with how it is loaded, and with a card of one's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from django.test import Client

from sptar_engine.errors import StageError
from tests.webapp.download.conftest import Make, do_errand
from tests.webapp.download.results import finished_experiment
from webapp.models import Archive, Experiment, Project, User
from webapp.selectors import archives as found
from webapp.selectors.archive_sources import sources_of
from webapp.services import archives

GRID = ["bi_encoder", "late_interaction", "hybrid"]


@pytest.fixture
def experiment(project: Project, owner: User) -> Experiment:
    """Two kinds of search models are packed, and a hybrid is measured."""
    return finished_experiment(project, owner, families=GRID)


def test_each_kind_is_offered_with_its_own_line(client: Client, project: Project, experiment: Experiment) -> None:
    page = client.get(f"/p/{project.slug}/download/").content.decode()
    assert "model = SentenceTransformer(&quot;retriever&quot;)" in page
    assert "model = MultiVectorEncoder(&quot;retriever&quot;)" in page
    assert page.count("btn-primary") == 1
    assert page.count('id="sha"') == page.count('id="sha-late_interaction"') == 1
    assert "?family=late_interaction" in page
    assert page.count("load_example_hybrid.py puts it together with a keyword search, as the hybrid was measured.") == 1


def test_files_of_several_kinds_have_names_of_their_own(
    client: Client, project: Project, experiment: Experiment
) -> None:
    address = f"/p/{project.slug}/experiments/1/download/"
    names = [client.get(address, query)["Content-Disposition"] for query in ({}, {"family": "late_interaction"})]
    assert 'filename="retriever.zip"' in names[0]
    assert 'filename="retriever-late-interaction.zip"' in names[1]
    for family in ("hybrid", "sparse", "../etc"):
        assert client.get(address, {"family": family}).status_code == 404


def test_a_card_of_ones_own_goes_with_the_kind_it_is_about(
    client: Client, project: Project, experiment: Experiment, make: Make
) -> None:
    page = client.get(f"/p/{project.slug}/download/1/card/?family=late_interaction").content.decode()
    assert '<input type="hidden" name="chosen" value="late_interaction">' in page
    made = make("retriever", "measures", chosen="late_interaction")
    assert made.options["family"] == "late_interaction"
    assert found.shown(made).format == "Search model with your card: late interaction"
    with zipfile.ZipFile(found.file_of(made) or Path()) as opened:
        assert any(name.endswith("model.safetensors") for name in opened.namelist())
    usual = make("retriever", "measures", chosen="bi_encoder")
    assert usual.options["family"] == "bi_encoder"
    with zipfile.ZipFile(found.file_of(usual) or Path()) as opened:
        names = {Path(name).name for name in opened.namelist()}
    assert {"load_example_hybrid.py", "fusion.json", "requirements.txt"} <= names
    assert make("retriever", "measures").pk == usual.pk
    assert Archive.objects.count() == 2


def test_a_kind_that_does_not_exist_or_is_not_packed_is_refused(
    client: Client, project: Project, experiment: Experiment, make: Make
) -> None:
    page = client.post(f"/p/{project.slug}/download/1/make/", {"kind": "retriever", "chosen": "hybrid"}, follow=True)
    assert "Nothing was started." in page.content.decode()
    assert client.get(f"/p/{project.slug}/download/1/card/?family=sparse").status_code == 404
    with pytest.raises(archives.NotThereError, match="no such search model"):
        make("retriever", "measures", chosen="sparse")


def test_what_is_asked_for_without_a_kind_is_the_first_that_is_packed_and_says_so(
    project: Project, owner: User, make: Make
) -> None:
    late = finished_experiment(project, owner, number=2, families=["late_interaction", "sparse"])
    assert make("retriever", "measures", of=late).options["family"] == "late_interaction"
    with pytest.raises(archives.NotThereError, match="no such search model"):
        make("retriever", "measures", chosen="bi_encoder", of=late)
    with zipfile.ZipFile(found.file_of(make("everything", "retriever", of=late)) or Path()) as opened:
        assert any(name.endswith("model.safetensors") for name in opened.namelist())


def test_everything_in_one_holds_the_search_model_of_each_kind(
    project: Project, owner: User, experiment: Experiment, make: Make
) -> None:
    archive = make("everything", "retriever")
    with zipfile.ZipFile(found.file_of(archive) or Path()) as opened:
        names, card = opened.namelist(), opened.read("everything/README.md").decode()
        sums = opened.read("everything/SHA256SUMS").decode()
    weights = [f"{place}/model.safetensors" for place in ("retriever", "retriever-late-interaction")]
    assert {name for name in names if name.endswith(".safetensors")} == {f"everything/{name}" for name in weights}
    assert all(name in sums for name in weights)
    assert "`retriever/`: the trained search model (bi-encoder)" in card
    assert "`retriever-late-interaction/`: the trained search model (late interaction)" in card
    assert "adapter" not in card
    assert make("everything", "retriever").pk == archive.pk
    experiment.stages.filter(step_id="package.sptar/late_interaction").delete()
    assert make("everything", "retriever").pk != archive.pk


def test_an_archive_from_before_there_were_kinds_is_never_of_another_one(
    project: Project, owner: User, experiment: Experiment, make: Make
) -> None:
    old = make("retriever", "measures")
    Archive.objects.filter(pk=old.pk).update(options={"measures": True})
    experiment.stages.filter(step_id="package.sptar").delete()
    old.refresh_from_db()
    (found.file_of(old) or Path()).unlink()
    assert archives.again(archive=old, actor=owner)
    with pytest.raises(StageError, match="no such search model"):
        do_errand(old)


def test_vectors_come_from_the_kind_that_makes_one_of_a_document(project: Project, owner: User) -> None:
    late = finished_experiment(project, owner, number=2, families=["late_interaction"])
    assert "Only a bi-encoder or an adapter" in sources_of(late).missing("embeddings")
    with pytest.raises(archives.NotThereError, match="Only a bi-encoder"):
        archives.ask(experiment=late, kind="embeddings", actor=owner)
    both = finished_experiment(project, owner, number=3, families=["late_interaction", "adapter"])
    dense = sources_of(both).dense
    assert dense is not None and dense.family == "adapter"


def test_result_lists_of_cells_are_files_beside_one_another(experiment: Experiment, make: Make) -> None:
    with zipfile.ZipFile(found.file_of(make("runs")) or Path()) as opened:
        names = {name.partition("/")[2] for name in opened.namelist() if name.endswith(".trec")}
    assert {"sptar.trec", "sptar-late_interaction.trec", "zero_shot-hybrid.trec"} <= names

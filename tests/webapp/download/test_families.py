"""One packed search model of each kind: to be downloaded, with how it is loaded, and with a card of one's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from django.test import Client

from tests.webapp.download.conftest import Make
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
    assert "family" not in usual.options
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

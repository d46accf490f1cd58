from __future__ import annotations

import pytest

from sptar_engine.data.beir import read_corpus, read_qrels, read_queries
from sptar_engine.pipeline import input_digest
from tests.webapp.experiments.conftest import add_corpus, add_example
from webapp.models import Judgement, Project, User
from webapp.places import corpus_folder, snapshot_folder
from webapp.services import snapshots
from webapp.services.snapshots import SnapshotError


def test_a_snapshot_holds_documents_questions_and_grades_by_split(ready: Project) -> None:
    made = snapshots.take(ready)
    folder = snapshot_folder(ready, made.name)
    assert made.counts == {"documents": 40, "train": 10, "dev": 4, "test": 6, "train_pairs": 20, "pool": 29}
    assert len(read_corpus(folder)) == 40
    assert len(read_queries(folder)) == 20
    assert read_qrels(folder, "train").grades["q0"] == {"d0": 1, "d1": 2}
    assert read_qrels(folder, "dev").grades == {f"q{at}": {f"d{at}": 1} for at in range(10, 14)}


def test_the_documents_are_a_hard_link(ready: Project) -> None:
    folder = snapshot_folder(ready, snapshots.take(ready).name)
    assert (folder / "corpus.jsonl").samefile(corpus_folder(ready.corpus) / "corpus.jsonl")


def test_a_grade_of_zero_is_kept(ready: Project) -> None:
    add_example(ready, "with zero", "test", {"d30": 1, "d31": 0})
    made = snapshots.take(ready)
    assert read_qrels(snapshot_folder(ready, made.name), "test").grades["with zero"] == {"d30": 1, "d31": 0}


def test_a_settled_grade_counts(ready: Project, owner: User, stranger: User) -> None:
    query = ready.queries.get(query_id="q10")
    Judgement.objects.create(query=query, doc_id="d10", grade=3, judge=stranger, settled=True)
    made = snapshots.take(ready)
    assert read_qrels(snapshot_folder(ready, made.name), "dev").grades["q10"] == {"d10": 3}


def test_the_same_data_is_one_folder_and_other_data_another(ready: Project) -> None:
    first = snapshots.take(ready)
    assert snapshots.take(ready) == first
    add_example(ready, "new", "test", {"d39": 1})
    second = snapshots.take(ready)
    assert second.name != first.name
    assert len(read_queries(snapshot_folder(ready, first.name))) == 20
    assert sorted(path.name for path in snapshot_folder(ready, "x").parent.iterdir()) == sorted(
        [first.name, second.name]
    )


def test_the_name_is_the_engines_hash_of_the_dataset(ready: Project) -> None:
    made = snapshots.take(ready)
    assert input_digest("dataset", snapshot_folder(ready, made.name)).startswith(made.name)


def test_a_later_version_of_the_documents_changes_nothing(ready: Project) -> None:
    folder = snapshot_folder(ready, snapshots.take(ready).name)
    before = (folder / "corpus.jsonl").read_bytes()
    add_corpus(ready, number=2, documents=5)
    assert (folder / "corpus.jsonl").read_bytes() == before


def test_grades_of_documents_that_are_gone_are_left_out_and_counted(ready: Project) -> None:
    add_corpus(ready, number=2, documents=12)  # d12 and on are gone
    made = snapshots.take(ready)
    assert made.counts == {"documents": 12, "train": 10, "dev": 2, "test": 0, "train_pairs": 20, "pool": 1}
    assert made.left_out == 8


def test_skipped_questions_are_left_out(ready: Project) -> None:
    ready.queries.filter(query_id="q0").update(status="skipped")
    assert snapshots.take(ready).counts["train"] == 9


def test_without_documents_there_is_nothing_to_take(project: Project) -> None:
    with pytest.raises(SnapshotError, match="no documents"):
        snapshots.take(project)


def test_a_failure_leaves_no_half_folder(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(snapshots, "write_labels", fail)
    with pytest.raises(OSError, match="no space"):
        snapshots.take(ready)
    assert list(snapshot_folder(ready, "x").parent.iterdir()) == []

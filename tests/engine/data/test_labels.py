from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.data.beir import write_labels
from sptar_engine.data.labels import UNSPLIT, check_documents, has_labels, read_labels
from sptar_engine.errors import InputError
from sptar_engine.records import Qrels, Query

QUERIES = [Query("q1", "one"), Query("q2", "two")]


def _write(folder: Path, **qrels: dict[str, dict[str, int]]) -> None:
    write_labels(folder, QUERIES, {split: Qrels(grades) for split, grades in qrels.items()})


def test_several_qrels_files_are_splits(tmp_path: Path) -> None:
    _write(tmp_path, train={"q1": {"d1": 1}}, test={"q2": {"d1": 1, "d2": 0}})
    labels = read_labels(tmp_path)
    assert labels.is_split
    assert {split: len(rows) for split, rows in labels.judgements.items()} == {"train": 1, "test": 2}
    assert list(labels.queries) == ["q1", "q2"]
    assert [row.doc_id for row in labels] == ["d1", "d1", "d2"]


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_single_qrels_file_is_left_for_us_to_split(tmp_path: Path, split: str) -> None:
    _write(tmp_path, **{split: {"q1": {"d1": 1}}})
    labels = read_labels(tmp_path)
    assert not labels.is_split
    assert list(labels.judgements) == [UNSPLIT]


def test_pairs_take_the_place_of_queries_and_qrels(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("query,doc_id\nfirst query,d1\nsecond,d1\nFirst query,d2\nsecond,d1\n")
    labels = read_labels(tmp_path)
    assert [query.text for query in labels.queries.values()] == ["first query", "second"]
    assert [(row.doc_id, row.line) for row in labels] == [("d1", 2), ("d1", 3), ("d2", 4)]


def test_pairs_with_two_grades_for_one_pair_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("query,doc_id,grade\na,d1,1\nA?,d1,2\n")
    with pytest.raises(InputError, match=r"pairs\.csv, line 3: .*grade 2 here and 1 on line 2"):
        read_labels(tmp_path)


def test_pairs_beside_queries_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, train={"q1": {"d1": 1}})
    (tmp_path / "pairs.csv").write_text("query,doc_id\na,d1\n")
    with pytest.raises(InputError, match=r"has pairs\.csv and also queries\.jsonl or qrels"):
        read_labels(tmp_path)


def test_an_unknown_query_is_named_with_its_line(tmp_path: Path) -> None:
    _write(tmp_path, train={"q1": {"d1": 1}}, dev={"q1": {"d2": 1}, "q9": {"d1": 1}})
    with pytest.raises(InputError, match=r"dev\.tsv, line 3: the query 'q9' is not in queries\.jsonl"):
        read_labels(tmp_path)


def test_an_unknown_document_is_named_with_its_line(tmp_path: Path) -> None:
    _write(tmp_path, train={"q1": {"d1": 1, "d9": 1}})
    with pytest.raises(InputError, match=r"train\.tsv, line 3: the document 'd9' is not in corpus\.jsonl"):
        check_documents(read_labels(tmp_path), {"d9"})


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no labels; it needs queries\.jsonl with qrels/{train,dev,test}\.tsv"):
        read_labels(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        read_labels(tmp_path / "none")
    _write(tmp_path, train={"q1": {"d1": 1}})
    (tmp_path / "queries.jsonl").unlink()
    with pytest.raises(InputError, match=r"queries\.jsonl is missing"):
        read_labels(tmp_path)


def test_queries_alone_are_no_labels(tmp_path: Path) -> None:
    _write(tmp_path)
    assert not has_labels(tmp_path)
    _write(tmp_path, dev={})
    assert has_labels(tmp_path)


def test_judgements_of_some_documents_can_be_left_out(tmp_path: Path) -> None:
    _write(tmp_path, train={"q1": {"d1": 1, "d2": 1}}, dev={"q2": {"d2": 1}})
    labels = read_labels(tmp_path).without({"d2"})
    assert [row.doc_id for row in labels] == ["d1"]
    assert list(labels.judgements) == ["train", "dev"]

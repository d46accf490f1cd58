from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sptar_engine.data.beir import iter_documents, read_corpus, read_qrels, read_queries, write_dataset
from sptar_engine.data.lines import id_problem
from sptar_engine.errors import InputError
from sptar_engine.records import Document, Qrels, Query

_IDS = st.text(min_size=1, max_size=20).filter(lambda value: not id_problem(value))
_TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip)
_GRADES = st.dictionaries(_IDS, st.integers(-100, 100), min_size=1, max_size=4)


@settings(deadline=None)
@given(
    st.dictionaries(_IDS, st.tuples(_TEXTS, _TEXTS | st.just("")), min_size=1, max_size=6),
    st.dictionaries(_IDS, _TEXTS, max_size=6),
    st.dictionaries(st.sampled_from(["train", "dev", "test"]), st.dictionaries(_IDS, _GRADES, max_size=4)),
)
def test_what_is_written_is_read_back(
    texts: dict[str, tuple[str, str]], queries: dict[str, str], grades: dict[str, dict[str, dict[str, int]]]
) -> None:
    documents = [Document(doc_id, text, title) for doc_id, (text, title) in texts.items()]
    asked = [Query(query_id, text) for query_id, text in queries.items()]
    with TemporaryDirectory() as name:
        folder = Path(name) / "new"
        write_dataset(folder, iter(documents), asked, {split: Qrels(rows) for split, rows in grades.items()})
        assert list(iter_documents(folder / "corpus.jsonl")) == documents
        assert list(read_corpus(folder).values()) == documents
        assert list(read_queries(folder).values()) == asked
        assert {split: read_qrels(folder, split).grades for split in grades} == grades


def test_written_files_are_plain_beir(tmp_path: Path) -> None:
    write_dataset(tmp_path, [Document("d", "é", "T")], [Query("q", "?")], {"dev": Qrels({"q": {"d": 1}})})
    assert (tmp_path / "corpus.jsonl").read_text() == '{"_id": "d", "title": "T", "text": "é"}\n'
    assert (tmp_path / "queries.jsonl").read_text() == '{"_id": "q", "text": "?"}\n'
    assert (tmp_path / "qrels/dev.tsv").read_text() == "query-id\tcorpus-id\tscore\nq\td\t1\n"


def test_an_id_that_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'a.tb' holds a tab"):
        write_dataset(tmp_path, [Document("a\tb", "text")], [], {})
    assert list(tmp_path.iterdir()) == []


def test_text_that_could_not_be_stored_is_written_clean(tmp_path: Path) -> None:
    write_dataset(tmp_path, [Document("d", "a\x00", "\ud800")], [Query("q", "b\x00")], {})
    assert read_corpus(tmp_path)["d"] == Document("d", "a\ufffd", "\ufffd")
    assert read_queries(tmp_path)["q"].text == "b\ufffd"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"_id": "q1", "text": "again"}, "the query id 'q1' was already given on line 1"),
        ({"_id": "q2", "text": "  "}, "the query 'q2' has no text"),
        ({"_id": "q2"}, "the query 'q2' has no text"),
        ({"_id": "q2", "text": 5}, "text must be text, not a number"),
        ({"text": "no id"}, "_id is missing"),
        ([], "must be a JSON object"),
    ],
)
def test_a_bad_query_is_named_with_file_and_line(tmp_path: Path, row: Any, reason: str) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "one"}\n\n' + json.dumps(row) + "\n")
    with pytest.raises(InputError, match=rf"queries\.jsonl, line 3: .*{reason}"):
        read_queries(tmp_path)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"qrels/dev\.tsv is missing"):
        read_qrels(tmp_path, "dev")

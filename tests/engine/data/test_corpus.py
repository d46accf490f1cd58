from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.data import corpus
from sptar_engine.data.corpus import Tally, find_documents, iter_documents, read_corpus
from sptar_engine.errors import InputError
from sptar_engine.records import Document

A = {"_id": "a", "title": "Alpha", "text": "first letter"}
B = {"_id": "b", "title": "", "text": "second letter"}


def _corpus(folder: Path, *rows: Any) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def test_documents_come_in_file_order_with_title_and_text(tmp_path: Path) -> None:
    assert list(iter_documents(_corpus(tmp_path, A, B))) == [
        Document("a", "first letter", "Alpha"),
        Document("b", "second letter"),
    ]


def test_empty_documents_and_blank_lines_are_skipped_and_replacements_counted(tmp_path: Path) -> None:
    empty = {"_id": "e", "title": " ", "text": None}
    odd = {"_id": "o", "text": "a\x00\ud800", "title": "\udfff"}
    tally = Tally()
    documents = list(iter_documents(_corpus(tmp_path, A, "\n", empty, "  \r\n", odd), tally))
    assert [document.doc_id for document in documents] == ["a", "o"]
    assert documents[1] == Document("o", "a\ufffd\ufffd", "\ufffd")
    assert tally == Tally(documents=2, empty_ids=["e"], replaced_characters=3)


def test_a_title_alone_makes_a_document(tmp_path: Path) -> None:
    assert list(iter_documents(_corpus(tmp_path, {"_id": 5, "title": "T", "text": ""}))) == [Document("5", "", "T")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": "no id", "text": "x"}, "_id is missing"),
        ({"_id": "", "text": "x"}, "_id is empty"),
        ({"_id": 1.5, "text": "x"}, "_id must be text"),
        ({"_id": "c\td", "text": "x"}, "control character"),
        ({"_id": "x" * 600, "text": "x"}, "600 characters"),
        ({"_id": "c", "body": "x"}, "the document 'c' has no text"),
        ({"_id": "c", "text": ["x"]}, "text must be text, not an array"),
        ({"_id": "c", "text": "x", "title": 3}, "title must be text, not a number"),
        ({"_id": "a", "text": "again"}, "the document id 'a' was already given on line 1"),
        (["c", "x"], "must be a JSON object"),
        ('{"_id": "c", "text": "cut', "cut short"),
        ('{"_id": "c", "text": "x", "score": NaN}\n', "NaN"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, row: Any, reason: str) -> None:
    path = _corpus(tmp_path, A, "\n", B, row)
    with pytest.raises(InputError, match=rf"corpus\.jsonl, line 4: .*{reason}"):
        list(iter_documents(path))


def test_a_bad_row_is_named_by_the_mapping_too(tmp_path: Path) -> None:
    _corpus(tmp_path, A, B, {"_id": "a", "text": "again"})
    with pytest.raises(InputError, match=r"corpus\.jsonl, line 3: the document id 'a' was already given"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("rows", [(), ("\n\n",), ({"_id": "e", "text": ""},)])
def test_a_corpus_without_any_document_is_refused(tmp_path: Path, rows: tuple[Any, ...]) -> None:
    path = _corpus(tmp_path, *rows)
    for read in (lambda: list(iter_documents(path)), lambda: read_corpus(tmp_path)):
        with pytest.raises(InputError, match=r"corpus\.jsonl holds no document with a text"):
            read()


def test_a_file_corpus_is_a_mapping_in_corpus_order(tmp_path: Path) -> None:
    _corpus(tmp_path, B, {"_id": "e", "text": ""}, A)
    documents = read_corpus(tmp_path)
    assert len(documents) == 2
    assert list(documents) == list(documents.keys()) == ["b", "a"]
    assert list(documents.items()) == [("b", documents["b"]), ("a", documents["a"])]
    assert list(documents.values()) == list(documents.documents()) == [documents["b"], documents["a"]]
    assert documents["a"] == Document("a", "first letter", "Alpha")
    assert "a" in documents
    assert "e" not in documents
    assert documents.get("zzz") is None
    assert dict(documents) == {"b": documents["b"], "a": documents["a"]}


def test_ids_with_the_same_fingerprint_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "fingerprint", lambda text: 42)
    path = _corpus(tmp_path, A, B, {"_id": "c", "text": "third"})
    documents = read_corpus(tmp_path)
    assert [documents[doc_id].doc_id for doc_id in "abc"] == ["a", "b", "c"]
    assert "d" not in documents
    assert [document.doc_id for document in iter_documents(path)] == ["a", "b", "c"]
    _corpus(tmp_path, A, B, B)
    with pytest.raises(InputError, match="line 3: the document id 'b' was already given"):
        read_corpus(tmp_path)


def test_documents_are_found_in_one_pass_that_stops_early(tmp_path: Path) -> None:
    _corpus(tmp_path, A, B, "broken\n")
    assert find_documents(tmp_path, {"b", "a"}) == {
        "a": Document("a", "first letter", "Alpha"),
        "b": Document("b", "second letter"),
    }
    assert find_documents(tmp_path, ()) == {}
    with pytest.raises(InputError, match="line 3"):
        find_documents(tmp_path, {"unknown"})


def test_a_large_corpus_is_read_and_looked_up_in_little_memory(tmp_path: Path) -> None:
    count = 20_000
    text = "a passage of some words " * 20
    with (tmp_path / "corpus.jsonl").open("w") as stream:
        stream.writelines(json.dumps({"_id": f"passage-{n:07d}", "text": f"{n} {text}"}) + "\n" for n in range(count))
    size = (tmp_path / "corpus.jsonl").stat().st_size
    tracemalloc.start()
    try:
        assert sum(1 for _ in iter_documents(tmp_path / "corpus.jsonl")) == count
        streaming = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        documents = read_corpus(tmp_path)
        assert documents["passage-0019999"].text.startswith("19999 ")
        assert sum(len(document.text) > 0 for document in documents.values()) == count
        mapping = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 32,768 slots of 16 bytes, and for a moment the 16,384 before them, are 0.75 MiB; the file has 10.
    assert streaming < 1 << 20
    assert mapping < 1 << 20
    assert size > 10 << 20

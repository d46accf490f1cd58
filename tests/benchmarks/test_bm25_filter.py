"""The BM25 filter's benchmark: documents and queries, sums by hand, and that our side and bm25s find the same."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from benchmarks import bm25_filter
from benchmarks.bm25_filter import Runs, agreement, make_query, summarise, vary, write_task
from benchmarks.bm25_filter_sides import main as run_side
from sptar_engine.data.beir import iter_documents
from sptar_engine.records import Document

DOCUMENT = Document("d", "a heron waits. it sees a fish. it is gone", "harbour")


def test_varied_document_has_a_new_id_and_no_new_words() -> None:
    varied = vary(DOCUMENT, 3, random.Random(1))
    assert (varied.doc_id, varied.title) == ("d~3", "harbour")
    assert set(varied.text.replace(".", "").split()) < set(DOCUMENT.text.replace(".", "").split())
    assert varied == vary(DOCUMENT, 3, random.Random(1))


def test_query_is_made_of_its_document_first() -> None:
    query = make_query(DOCUMENT, Document("e", "kettle kettle kettle kettle"), random.Random(4)).split()
    own = [word for word in query if word != "kettle"]
    assert query[: len(own)] == own
    assert len(own) >= 2
    assert set(own) <= set(DOCUMENT.content.split())


def test_task_has_as_many_documents_and_queries_as_asked_for(toy_dataset: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bm25_filter, "_COLLECTIONS", (toy_dataset.name,))
    write_task(tmp_path, toy_dataset.parent, documents=40, queries=60)
    doc_ids = [document.doc_id for document in iter_documents(tmp_path / "corpus.jsonl")]
    pairs = json.loads((tmp_path / "pairs.json").read_text())
    assert (len(doc_ids), len(pairs)) == (40, 60)
    assert {doc_id for _, doc_id in pairs.values()} <= set(doc_ids)


def test_sides_agree_on_documents_of_one_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"a": "wing heat flow", "b": "wing wing flow", "c": "heat tail shock", "d": "cold warm rail"}
    rows = (json.dumps({"_id": key, "text": text}) for key, text in texts.items())
    (tmp_path / "corpus.jsonl").write_text("".join(f"{row}\n" for row in rows))
    (tmp_path / "pairs.json").write_text(json.dumps({"x": ["wing", "a"], "y": ["heat tail", "c"], "z": ["wing", "d"]}))
    for side in ("ours", "bm25s", "bm25s_lucene_words"):
        run_side([side, str(tmp_path)])
        told = json.loads(capsys.readouterr().out)
        assert told["ranks"] == {"x": 2, "y": 1, "z": None}
        assert told["mib"] > 0 < told["seconds"]


def test_agreement_is_about_keeping_and_not_about_ranks() -> None:
    ours = {"a": 1, "b": 31, "c": None, "d": 30}
    assert agreement(ours, {"a": 30, "b": None, "c": 100, "d": 31}, 30) == 0.75


def test_summary_takes_medians_and_ratios_above_one_are_better() -> None:
    ranks = {"a": 1, "b": None}
    runs = {
        "ours": Runs([3.0, 1.0, 2.0], [200, 210, 205], ranks),
        "pyserini": Runs([9.0, 8.0, 8.5], [700, 600, 650], {"a": 2, "b": None}),
        "bm25s": Runs([4.0, 4.0, 4.0], [300, 300, 300], {"a": 1, "b": 5}),
    }
    found = summarise(runs, 2, 10, collections=True)
    assert (found["ours"], found["peers"]) == (2.0, {"pyserini": 8.5, "bm25s": 4.0})
    assert found["ratio"] == {"pyserini": 4.25, "bm25s": 2.0}
    assert found["checks"] == {
        "mib_ours": 205, "mib_pyserini": 650, "mib_bm25s": 300, "less_memory": True, "same_keep": 1.0, "same_rank": 0.5,
        "same_keep_bm25s": 0.5, "kept": 1, "test_collections": True,
    }  # fmt: skip

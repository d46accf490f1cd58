from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sptar_engine.artifacts import sha256_file
from sptar_engine.data.beir import iter_documents
from sptar_engine.retrieval.dense import encode
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.serving import embeddings
from sptar_engine.serving.embeddings import write_embeddings, write_npz


def test_ids_and_vectors_are_read_back_without_a_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_AT_ONCE", 2)
    ids, vectors = ["a", "längere 漢字 id", "c"], np.arange(12, dtype=np.float32).reshape(3, 4)
    write_npz(tmp_path / "one.npz", ids, vectors)
    write_npz(tmp_path / "two.npz", ids, vectors)
    with np.load(tmp_path / "one.npz", allow_pickle=False) as found:
        assert sorted(found) == ["ids", "vectors"]
        assert found["ids"].tolist() == ids
        assert found["vectors"].dtype == np.float32
        np.testing.assert_array_equal(found["vectors"], vectors)
    assert sha256_file(tmp_path / "one.npz") == sha256_file(tmp_path / "two.npz")


def test_documents_get_the_vectors_they_are_measured_by(tiny_encoder: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    rows = [
        {"_id": f"d{number}", "title": "Title", "text": f"the sparrow number {number} " * 40} for number in range(20)
    ]
    rows.insert(3, {"_id": "empty", "title": "", "text": ""})
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said: list[tuple[int, int]] = []
    write_embeddings(
        tiny_encoder, corpus, tmp_path / "parts", tmp_path / "out.npz", max_length=32,
        tick=lambda done, total, message: said.append((done, total)),
    )  # fmt: skip
    documents = list(iter_documents(corpus))
    expected = encode(load_bi_encoder(tiny_encoder, 32, "cpu"), [one.content for one in documents], 32)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert found["ids"].tolist() == [one.doc_id for one in documents]
        np.testing.assert_allclose(found["vectors"], expected, atol=1e-6)
    assert said[-1] == (20, 20)


def test_finished_parts_are_not_encoded_again(tiny_encoder: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"_id": "d1", "text": "the sparrow"}\n')
    parts = tmp_path / "parts"
    write_embeddings(tiny_encoder, corpus, parts, tmp_path / "one.npz", max_length=32, tick=lambda *_: None)
    write_embeddings(tmp_path / "gone", corpus, parts, tmp_path / "two.npz", max_length=32, tick=lambda *_: None)
    assert sha256_file(tmp_path / "one.npz") == sha256_file(tmp_path / "two.npz")

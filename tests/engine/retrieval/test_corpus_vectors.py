"""Vectors of a corpus on disk: those of `encode`, made once, also when their making was stopped."""

import numpy as np
import pytest

from sptar_engine.data.beir import read_corpus
from sptar_engine.errors import Cancelled
from sptar_engine.retrieval import corpus_vectors
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder


@pytest.fixture
def model(tiny_encoder):
    return load_bi_encoder(tiny_encoder, 64, "cpu")


@pytest.fixture
def opened(model, toy_dataset, tmp_path, monkeypatch):
    """Open the vectors in blocks of 16 documents; `opened.encoded` counts the documents that went through the model."""
    monkeypatch.setattr(corpus_vectors, "_BLOCK", 16)

    def counted(model, texts, max_length, tick, number_format):
        opening.encoded += len(texts)
        opening.formats.append(number_format)
        return encode(model, texts, max_length, tick, number_format=number_format)

    def opening(folder="cache", tick=None, model_hash="base", max_length=64):
        return open_corpus_vectors(model, model_hash, toy_dataset, max_length, tmp_path / folder, tick)

    opening.encoded, opening.formats = 0, []
    monkeypatch.setattr(corpus_vectors, "encode", counted)
    return opening


def test_vectors_are_those_of_the_encoder(opened, model, toy_dataset) -> None:
    doc_ids, vectors = opened()
    corpus = read_corpus(toy_dataset)
    assert doc_ids == list(corpus)
    expected = encode(model, [document.content for document in corpus.values()], 64)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert vectors.dtype == np.float32


def test_vectors_are_made_once_for_each_model_and_length(opened) -> None:
    first = opened()[1]
    assert opened.encoded == len(first)
    np.testing.assert_array_equal(opened()[1], first)
    assert opened.encoded == len(first)
    opened(model_hash="trained")
    opened(max_length=8)
    assert opened.encoded == 3 * len(first)


def test_stopped_making_goes_on_to_the_same_bytes(opened, tmp_path) -> None:
    whole = opened("whole")[1]
    heard: list[int] = []

    def stop(done: int, total: int) -> None:
        heard.append(done)
        if done > 40:
            raise Cancelled("stop")

    opened.encoded = 0
    with pytest.raises(Cancelled):
        opened("cut", stop)
    assert heard == sorted(heard) and opened.encoded == 48
    np.testing.assert_array_equal(opened("cut")[1], whole)
    assert opened.encoded == 48 + len(whole) - 32  # the block that was stopped is made again
    files = {path.name: path.read_bytes() for path in (tmp_path / "cut").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}


def test_search_takes_the_file_as_it_is(opened) -> None:
    doc_ids, vectors = opened()
    assert search(["q"], np.array(vectors[3:4]), doc_ids, vectors, 1)["q"][0].doc_id == doc_ids[3]


def settled(monkeypatch, name: str) -> None:
    monkeypatch.setattr(corpus_vectors, "settle_format", lambda model, documents, folder: name)


def test_large_corpus_has_a_file_of_its_own_for_each_number_format(opened, monkeypatch) -> None:
    exact = opened()[1]
    settled(monkeypatch, "bfloat16")
    rounded = opened(folder="other")[1]
    assert opened.formats[-1] == "bfloat16"
    np.testing.assert_allclose((rounded * exact).sum(axis=1), 1, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-6)
    assert np.abs(rounded - exact).max() > 1e-5
    settled(monkeypatch, "float32")
    np.testing.assert_array_equal(opened(folder="other")[1], exact)
    settled(monkeypatch, "bfloat16")
    encoded = opened.encoded
    np.testing.assert_array_equal(opened(folder="other")[1], exact)  # the better ones, once they are there
    assert opened.encoded == encoded


def test_making_that_was_begun_in_float32_goes_on_in_it(opened, monkeypatch) -> None:
    def stop(done: int, total: int) -> None:
        if done > 16:
            raise Cancelled

    with pytest.raises(Cancelled):
        opened(tick=stop)
    settled(monkeypatch, "bfloat16")
    opened()
    assert set(opened.formats) == {"float32"}

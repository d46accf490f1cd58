"""One query on a dataset folder, by keywords and by vectors."""

import numpy as np
import pytest

from sptar_engine.errors import ConfigError
from sptar_engine.retrieval import corpus_vectors, sparse
from sptar_engine.retrieval.adhoc import search_folder

_QUERY = "where can i find the falcon of the old library"


def test_bm25_finds_the_document_that_has_the_words(toy_dataset, tmp_path) -> None:
    hits = search_folder(toy_dataset, _QUERY, "bm25", tmp_path / "cache", tmp_path / "models", 3)
    assert len(hits) == 3
    assert [hit.doc_id for hit, _ in hits] == [document.doc_id for _, document in hits]
    assert hits[0][1].title == "The falcon"


def test_folder_of_a_model_is_searched_and_the_corpus_encoded_once(
    toy_dataset, tiny_encoder, tmp_path, monkeypatch
) -> None:
    def find() -> list[tuple[str, float]]:
        found = search_folder(toy_dataset, _QUERY, str(tiny_encoder), tmp_path / "cache", tmp_path / "models", 5)
        return [(hit.doc_id, hit.score) for hit, _ in found]

    first = find()
    assert len(first) == 5
    monkeypatch.setattr(corpus_vectors, "encode", lambda *arguments: pytest.fail("encoded again"))
    assert find() == first
    (stored,) = (tmp_path / "cache").glob("*.npy")
    assert np.load(stored).shape == (60, 32)


@pytest.mark.parametrize("family", ["late_interaction", "cross_encoder", "sparse"])
def test_folder_of_a_model_of_any_family_is_searched(toy_dataset, family_folder, tmp_path, monkeypatch, family) -> None:
    def find() -> list[tuple[str, float]]:
        folder = str(family_folder(family))
        found = search_folder(toy_dataset, _QUERY, folder, tmp_path / "cache", tmp_path / "models", 5)
        return [(hit.doc_id, hit.score) for hit, _ in found]

    first = find()
    assert len(first) == 5
    if family == "sparse":  # documents are not encoded again
        monkeypatch.setattr(sparse.SparseEncoder, "encode_document", lambda *_, **__: pytest.fail("encoded again"))
    assert find() == first


def test_unknown_retriever_is_refused(toy_dataset, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no-such-model"):
        search_folder(toy_dataset, _QUERY, "no-such-model", tmp_path / "cache", tmp_path / "models", 3)

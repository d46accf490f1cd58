import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.training.tokens import TokenisedTexts, chunk_by_length, chunk_for, pad

TEXTS = ("the sparrow of the harbour", "a bird", "where can i find " + "the library " * 40, "", "tool tool tool")


@pytest.fixture(scope="module")
def model(tiny_encoder) -> SentenceTransformer:
    return SentenceTransformer(str(tiny_encoder), device="cpu").eval()


def embed(model, rows, most: int = 0) -> np.ndarray:
    vectors = np.zeros((len(rows), model.get_embedding_dimension()), np.float32)
    with torch.inference_mode():
        for places in chunk_for(model, rows, most):
            vectors[places] = model(pad(model, [rows[place] for place in places]))["sentence_embedding"].numpy()
    return vectors


@pytest.mark.parametrize("most", [0, 1, 2])
def test_passes_in_groups_give_what_sentence_transformers_gives(model, monkeypatch, most) -> None:
    monkeypatch.setattr("sptar_engine.training.tokens._CHUNK_TOKENS", {"cpu": 20})  # several groups
    tokens = TokenisedTexts(model, {text: text for text in TEXTS})
    theirs = model.encode(list(TEXTS), normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(embed(model, tokens.rows(TEXTS), most), theirs, atol=1e-6)


@pytest.mark.bundled
def test_bundled_encoders_own_padding_and_cut_do_not_show(bundled_encoder) -> None:
    # Its tokenizer.json asks for padding and a cut at 128 tokens; the model takes 256.
    real = load_bi_encoder(bundled_encoder, 256, "cpu")
    texts = ["what is lift", "the boundary layer of a wing " * 60, "heat"]
    rows = TokenisedTexts(real, dict(enumerate(texts))).rows(range(3))
    assert [len(row) for row in rows] == [5, 256, 3]
    np.testing.assert_allclose(embed(real, rows), real.encode(texts, show_progress_bar=False), atol=1e-6)


def test_texts_are_cut_at_the_models_length(model) -> None:
    tokens = TokenisedTexts(model, {"long": "harbour " * 1000})
    assert len(tokens["long"]) == model.max_seq_length == 256
    assert tokens["long"][0] == model.tokenizer.cls_token_id and tokens["long"][-1] == model.tokenizer.sep_token_id


def test_groups_hold_like_lengths_longest_first_within_the_budget() -> None:
    assert chunk_by_length([3, 9, 4, 5, 1], 10) == [[1], [3, 2], [0, 4]]
    assert chunk_by_length([50], 10) == [[0]]
    assert chunk_by_length([], 10) == []
    assert chunk_by_length([3, 9, 4, 5, 1], 10, 1) == [[1], [3], [2], [0], [4]]

import pytest
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.errors import InputError
from sptar_engine.retrieval.encoder import load_bi_encoder


def test_length_is_never_more_than_the_model_takes(tiny_encoder) -> None:
    assert load_bi_encoder(tiny_encoder, 8192, "cpu").max_seq_length == 256


def test_weights_are_float32_whatever_the_folder_holds(tiny_encoder, tmp_path) -> None:
    half = SentenceTransformer(str(tiny_encoder), device="cpu").half()
    half.save(str(tmp_path / "half"), create_model_card=False)
    assert {p.dtype for p in load_bi_encoder(tmp_path / "half", 64, "cpu").parameters()} == {torch.float32}


def test_model_that_is_no_transformer_is_refused(tmp_path) -> None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models

    static = StaticEmbedding(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), embedding_dim=4)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"), create_model_card=False)
    with pytest.raises(InputError, match="holds a StaticEmbedding, not a Hugging Face encoder"):
        load_bi_encoder(tmp_path / "static", 64, "cpu")

import shutil

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


def test_kind_of_a_folder_is_read_and_another_is_refused(family_folder, tiny_encoder, tmp_path) -> None:
    from sptar_engine.retrieval.encoder import load_cross_encoder, load_late_interaction, load_sparse, model_type

    loaders = {
        "bi_encoder": load_bi_encoder, "late_interaction": load_late_interaction, "cross_encoder": load_cross_encoder,
        "sparse": load_sparse,
    }  # fmt: skip
    for family, load in loaders.items():
        model = load(family_folder(family), 32, "cpu")
        assert model_type(family_folder(family)) == type(model).__name__
        assert (model.max_seq_length, model.training) == (32, False)
        other = next(one for one in loaders if one != family)
        with pytest.raises(InputError, match=r"holds an? .*, and an? .* is asked for"):
            load(family_folder(other), 32, "cpu")


@pytest.mark.parametrize("settings", ["{", "[]", '{"model_type": "Oracle"}'])
def test_settings_that_name_no_retriever_are_refused(tiny_encoder, tmp_path, settings) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "model")
    (tmp_path / "model" / "config_sentence_transformers.json").write_text(settings)
    with pytest.raises(InputError, match="not an encoder that can be loaded"):
        load_bi_encoder(tmp_path / "model", 64, "cpu")

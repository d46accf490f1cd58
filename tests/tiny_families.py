"""Retrievers of every family around the tiny encoder, as a training leaves them: they know nothing, but they load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FAMILIES = ("bi_encoder", "late_interaction", "cross_encoder", "sparse")
WIDTH, PLACES, KEPT = 16, 64, 8
"""Dimensions of a token's vector; places of a sparse vector, and how many of them are not 0."""


def write(family: str, base: Path, folder: Path, max_length: int = 64) -> Path:
    """Write the folder of a model of a family and return it."""
    import torch

    from sptar_engine.retrieval.encoder import load_bi_encoder

    encoder = load_bi_encoder(base, max_length, "cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = {
            "bi_encoder": lambda: encoder,
            "late_interaction": lambda: _late_interaction(encoder),
            "cross_encoder": lambda: _cross_encoder(encoder),
            "sparse": lambda: _sparse(encoder),
        }[family]()
    model.save(str(folder), create_model_card=False)
    return folder


def _late_interaction(encoder: SentenceTransformer):
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Normalize

    narrow = Dense(32, WIDTH, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    modules = [encoder[0], narrow, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    return MultiVectorEncoder(modules=modules, device="cpu")


def _cross_encoder(encoder: SentenceTransformer):
    from sptar_engine.training.cross_encoder import put_head

    return put_head(encoder, 20.0)


def _sparse(encoder: SentenceTransformer):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder

    wide = SparseAutoEncoder(32, hidden_dim=PLACES, k=KEPT, k_aux=KEPT)
    return SparseEncoder(modules=[*encoder, wide], device="cpu")

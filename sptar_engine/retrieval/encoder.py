"""Loading of retrievers, base or trained, the same for training, evaluation and search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Router, Transformer

from sptar_engine.errors import InputError
from sptar_engine.retrieval.kinds import BI_ENCODER, CROSS_ENCODER, LATE_INTERACTION, SPARSE
from sptar_engine.retrieval.kinds import model_type as model_type

_KINDS = {
    BI_ENCODER: "a bi-encoder",
    LATE_INTERACTION: "a late interaction model",
    CROSS_ENCODER: "a cross-encoder",
    SPARSE: "a sparse encoder",
}

Model = TypeVar("Model", bound=BaseModel)


def load_bi_encoder(folder: Path, max_length: int, device: str) -> SentenceTransformer:
    """Load a base or trained retriever in float32, in evaluation mode; nothing is fetched.

    Texts are cut at `max_length` tokens, or where the model itself cuts them when that is shorter. A plain Hugging
    Face encoder gets mean pooling. Raises InputError for a model that is no transformer or that cannot be read.
    """
    model = _load(SentenceTransformer, folder, max_length, device)
    # No training puts words before a text, so nothing that is measured, saved or used later does.
    model.prompts, model.default_prompt_name = dict.fromkeys(model.prompts, ""), None
    return model


def load_late_interaction(folder: Path, max_length: int, device: str) -> MultiVectorEncoder:
    """The same for a trained model with a vector for each token. Raises InputError for any other kind."""
    return _load(MultiVectorEncoder, folder, max_length, device)


def load_cross_encoder(folder: Path, max_length: int, device: str) -> CrossEncoder:
    """The same for a trained model that reads query and document together. Raises InputError for any other kind."""
    model: CrossEncoder = _load(CrossEncoder, folder, max_length, device)  # their decorator hides its type
    return model


def load_sparse(folder: Path, max_length: int, device: str) -> SparseEncoder:
    """The same for a trained model whose vectors have few values. Raises InputError for any other kind."""
    return _load(SparseEncoder, folder, max_length, device)


def _load(model_class: Callable[..., Model], folder: Path, max_length: int, device: str) -> Model:
    found, wanted = model_type(folder), str(model_class.model_type)  # type: ignore[attr-defined]  # a class of theirs
    if found != wanted:
        raise InputError(f"{folder} holds {_KINDS[found]}, and {_KINDS[wanted]} is asked for.")
    settings = {"dtype": torch.float32, "use_safetensors": True}
    try:
        model = model_class(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=settings
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{folder} is not an encoder that can be loaded: {reason}") from error
    if kind := _other_than_transformer(model):
        raise InputError(f"{folder} holds a {kind}, not a Hugging Face encoder; only these are used as retrievers.")
    model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model.eval()


def _other_than_transformer(model: BaseModel) -> str:
    """What a model, or one of its two towers, begins with, when that is no transformer; else nothing."""
    towers = model[0].sub_modules.values() if isinstance(model[0], Router) else [model]
    first = (next(iter(tower.children())) for tower in towers)
    return next((type(module).__name__ for module in first if not isinstance(module, Transformer)), "")

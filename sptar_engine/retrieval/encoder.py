"""Loading of the model that turns a text into a vector, the same for training, evaluation and search."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer

from sptar_engine.errors import InputError


def load_bi_encoder(folder: Path, max_length: int, device: str) -> SentenceTransformer:
    """Load a base or trained retriever in float32, in evaluation mode; nothing is fetched.

    Texts are cut at `max_length` tokens, or where the model itself cuts them when that is shorter. A plain Hugging
    Face encoder gets mean pooling. Raises InputError for a model that is no transformer or that cannot be read.
    """
    settings = {"dtype": torch.float32, "use_safetensors": True}
    try:
        model = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=settings
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{folder} is not an encoder that can be loaded: {reason}") from error
    if not isinstance(model[0], Transformer):
        kind = type(model[0]).__name__
        raise InputError(f"{folder} holds a {kind}, not a Hugging Face encoder; only these are used as retrievers.")
    model.max_seq_length = min(max_length, model.max_seq_length or max_length)
    return model.eval()

"""A trained model as the folder that it is loaded from."""

from __future__ import annotations

from pathlib import Path

from sentence_transformers.base import BaseModel


def write_model(model: BaseModel, folder: Path) -> None:
    """Write a sentence-transformers folder without a model card, which would quote training texts.

    A tokenizer remembers how it padded and cut the last texts, and is written with that. Here it forgets first, so
    that the same weights give the same bytes whatever passed before: a training that was stopped after its last
    evaluation measures nothing again. Who loads the folder says how to pad and cut with every call.
    """
    backend = getattr(model.tokenizer, "backend_tokenizer", None)  # slow tokenizers have none
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()
    model.save(str(folder), create_model_card=False)

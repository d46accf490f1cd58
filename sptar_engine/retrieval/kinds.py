"""Which kind of retriever a folder holds, from its settings alone. Light: no tensor library."""

from __future__ import annotations

from pathlib import Path

from sptar_engine.artifacts import content_hash, read_json
from sptar_engine.errors import ArtifactError, InputError

BI_ENCODER, LATE_INTERACTION = "SentenceTransformer", "MultiVectorEncoder"
CROSS_ENCODER, SPARSE = "CrossEncoder", "SparseEncoder"
"""The classes of sentence-transformers, as their folders name them."""

QUERY, DOCUMENT = "query", "document"
"""The sides of a search. A folder with two towers has a model for each, and sentence-transformers' tasks name them."""

RETRIEVERS = {
    BI_ENCODER: "dense",
    LATE_INTERACTION: "late_interaction",
    CROSS_ENCODER: "cross_encoder",
    SPARSE: "sparse",
}
"""The `evaluate.retriever` that each is ranked with."""

DOCUMENT_SIDE_FILE = "document_side.json"
"""Beside a model whose documents keep the vectors of its base: the content hash of that."""

_SETTINGS = "config_sentence_transformers.json"
_ROUTES = "router_config.json"


def model_type(folder: Path) -> str:
    """Which class of sentence-transformers a folder is for; a plain Hugging Face encoder makes a bi-encoder.

    Raises InputError when its settings cannot be read or name none of them.
    """
    if not (folder / _SETTINGS).is_file():
        return BI_ENCODER
    try:
        found = read_json(folder / _SETTINGS).get("model_type", BI_ENCODER)
    except (ArtifactError, AttributeError) as error:
        raise InputError(f"{folder} is not an encoder that can be loaded: its {_SETTINGS} is damaged.") from error
    if found not in RETRIEVERS:
        raise InputError(f"{folder} is not an encoder that can be loaded: {found} is no kind of retriever.")
    return str(found)


def has_two_towers(folder: Path) -> bool:
    """Whether queries and documents have a model each (sentence-transformers' Router)."""
    return (folder / _ROUTES).is_file()


def document_side(folder: Path) -> str:
    """What the vectors of documents depend on: equal for two folders that give documents the same vectors.

    The name of a folder with two towers is that of the base which its documents are left to.
    """
    noted = folder / DOCUMENT_SIDE_FILE
    return str(read_json(noted)["content"]) if noted.is_file() else content_hash(folder)

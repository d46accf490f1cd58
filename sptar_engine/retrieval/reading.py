"""A few documents scored for one query, by any kind of trained model that has no single vector for a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.retrieval.encoder import load_cross_encoder, load_late_interaction, load_sparse
from sptar_engine.retrieval.kinds import CROSS_ENCODER, LATE_INTERACTION, model_type
from sptar_engine.retrieval.late_interaction import encode_documents, encode_queries, score_block
from sptar_engine.retrieval.reranking import score_pairs
from sptar_engine.retrieval.sparse import encode_sparse


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """`read` gives a score for each text; the higher, the better."""

    read: Callable[[str, Sequence[str]], list[float]]


def open_reader(folder: Path, max_length: int, device: str) -> DocumentReader:
    """The model in a folder. Raises InputError for one that cannot be loaded, and for a bi-encoder."""
    kind = model_type(folder)
    if kind == CROSS_ENCODER:
        return _reads_pairs(folder, max_length, device)
    return (_reads_tokens if kind == LATE_INTERACTION else _reads_places)(folder, max_length, device)


def _reads_pairs(folder: Path, max_length: int, device: str) -> DocumentReader:
    model = load_cross_encoder(folder, max_length, device)

    def read(query: str, texts: Sequence[str]) -> list[float]:
        scores: list[float] = score_pairs(model, [(query, text) for text in texts]).tolist()
        return scores

    return DocumentReader(read)


def _reads_tokens(folder: Path, max_length: int, device: str) -> DocumentReader:
    model = load_late_interaction(folder, max_length, device)

    def read(query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        scores: list[float] = score_block(model, encode_queries(model, [query]), encode_documents(model, texts))[
            0
        ].tolist()
        return scores

    return DocumentReader(read)


def _reads_places(folder: Path, max_length: int, device: str) -> DocumentReader:
    model = load_sparse(folder, max_length, device)

    def read(query: str, texts: Sequence[str]) -> list[float]:
        products = encode_sparse(model, [query], query=True) @ encode_sparse(model, texts, query=False).T
        scores: list[float] = products.toarray()[0].tolist()
        return scores

    return DocumentReader(read)

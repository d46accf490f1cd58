"""What the service builds on: Lucene and sentence-transformers. Tests put something lighter in their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sptar_engine.records import Hit
from sptar_engine.retrieval.java import java_class
from sptar_engine.retrieval.kinds import BI_ENCODER, model_type
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.serving.encoders import Model, Reader
from sptar_engine.serving.vectors import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Searcher(Protocol):
    """An open index."""

    def search(self, queries: Mapping[str, str], depth: int) -> dict[str, list[Hit]]:
        """Hits of each query by its id."""

    def close(self) -> None:
        """Free its files."""


@dataclass(frozen=True, slots=True)
class Backends:
    """`start` is called once, before any other; `build_index` returns the folder of a whole index.

    `load_model` takes the folder of an encoder, and how many tokens of a text it is to read; one that has no vector for
    a text becomes a Reader.
    """

    start: Callable[[], None]
    build_index: Callable[[Path, Path, Callable[[int], None]], Path]
    open_index: Callable[[Path, float, float], Searcher]
    load_model: Callable[[Path, int], Model | Reader]


def real_backends(device: str, threads: int) -> Backends:
    """Java and torch. `threads` are torch's; 0 means all processors but one, which pages are left."""
    count = threads or max(1, (os.cpu_count() or 1) - 1)

    def load_model(folder: Path, max_length: int) -> Model | Reader:
        return _load_model(folder, max_length, device, count)

    return Backends(_start_java, build_or_open, LexicalSearcher, load_model)


def _start_java() -> None:
    java_class("java.lang.String")


def _load_model(folder: Path, max_length: int, device: str, threads: int) -> Model | Reader:
    import torch  # ten seconds: not before somebody needs an encoder

    from sptar_engine.retrieval.reading import open_reader
    from sptar_engine.runtime import pick_device

    torch.set_num_threads(threads)
    place = pick_device() if device == "auto" else device
    if model_type(folder) != BI_ENCODER:
        return open_reader(folder, max_length, place)
    from sptar_engine.retrieval.encoder import load_bi_encoder

    return _BiEncoder(load_bi_encoder(folder, max_length, place), max_length)


class _BiEncoder:
    def __init__(self, model: SentenceTransformer, max_length: int) -> None:
        self._max_length = max_length
        self.dimensions = model.get_embedding_dimension() or 0
        self._model = model

    def encode(self, texts: Sequence[str], side: str, number_format: str = "") -> Vectors:
        from sptar_engine.retrieval.dense import FLOAT32, encode

        return encode(self._model, texts, self._max_length, side=side, number_format=number_format or FLOAT32)

    def settle_format(self, documents: int, folder: Path) -> str:
        from sptar_engine.retrieval.number_format import settle_format

        return settle_format(self._model, documents, folder)

"""All documents of a corpus as vectors of a trained retriever, in one npz file with their ids."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from sptar_engine.data.beir import iter_documents
from sptar_engine.serving.vectors import VECTORS_FILE, Vectors, build_vectors, open_vectors

_AT_ONCE = 1 << 14  # rows copied together
_OLDEST = (1980, 1, 1, 0, 0, 0)  # the first date a zip can hold: the same vectors give the same bytes


def write_embeddings(
    model: Path, corpus: Path, parts: Path, target: Path, *, max_length: int, tick: Callable[[int, int, str], None]
) -> None:
    """Write `target` with `ids`, (documents,), and `vectors`, (documents, dimensions) in float32 and normalised.

    A document's text is its title, a space and its text, cut at `max_length` tokens, as it was measured. `parts`
    keeps what is finished, for the next call. The file holds no pickle: `numpy.load` reads it as it is.
    """
    from sptar_engine.retrieval.dense import encode  # loads torch
    from sptar_engine.retrieval.encoder import load_bi_encoder
    from sptar_engine.retrieval.number_format import settle_format
    from sptar_engine.runtime import pick_device

    doc_ids = [document.doc_id for document in iter_documents(corpus)]
    if not (parts / VECTORS_FILE).is_file():
        retriever = load_bi_encoder(model, max_length, pick_device())
        dimensions = retriever.get_embedding_dimension() or 0
        number_format = settle_format(retriever, len(doc_ids), parts)
        for _ in build_vectors(
            parts, iter_documents(corpus), len(doc_ids), dimensions,
            lambda texts: encode(retriever, texts, max_length, number_format=number_format), tick,
        ):  # fmt: skip
            pass
    write_npz(target, doc_ids, open_vectors(parts, len(doc_ids)))


def write_npz(target: Path, doc_ids: list[str], vectors: Vectors) -> None:
    """Write ids and vectors row by row: no more than some thousand rows are held at a time."""
    ids = np.dtype(f"<U{max(map(len, doc_ids), default=1)}")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        rows = (np.array(some, dtype=ids) for some in _groups(doc_ids))
        _write(archive, "ids.npy", ids, (len(doc_ids),), rows)
        blocks = (vectors[at : at + _AT_ONCE] for at in range(0, len(vectors), _AT_ONCE))
        _write(archive, "vectors.npy", np.dtype("<f4"), vectors.shape, blocks)


def _write(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], blocks: Iterator[np.ndarray]
) -> None:
    entry = zipfile.ZipInfo(name, date_time=_OLDEST)
    entry.external_attr = 0o100644 << 16
    with archive.open(entry, "w", force_zip64=True) as stream:
        _write_header(stream, dtype, shape)
        for block in blocks:
            stream.write(np.ascontiguousarray(block, dtype=dtype).tobytes())


def _write_header(stream: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _groups(doc_ids: list[str]) -> Iterator[list[str]]:
    iterator = iter(doc_ids)
    while some := list(islice(iterator, _AT_ONCE)):
        yield some

"""The vectors of a corpus: encoded in parts that survive a kill, kept in one file, searched exactly."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sptar_engine.errors import StageError
from sptar_engine.records import Document, Hit, rank_hits
from sptar_engine.serving.builds import Tick

Vectors = NDArray[np.float32]

VECTORS_FILE = "vectors.npy"

_PART = 1024  # documents: what a kill costs, about half a minute on two cores
_BATCH = 8  # documents encoded together: more would be little faster on a CPU, and a query waits for one batch
_BLOCK = 1 << 16  # documents multiplied, or copied, together
_ROUNDING = 2.0**-24  # unit roundoff of float32
_DOING = "Encoding the documents"

Item = TypeVar("Item")


def build_vectors(
    folder: Path,
    documents: Iterable[Document],
    total: int,
    dimensions: int,
    encode: Callable[[Sequence[str]], Vectors],
    tick: Tick,
) -> Generator[None, None, None]:
    """Encode the documents, in corpus order, into `folder`; yields after each batch.

    Parts that an earlier build has finished are kept. Raises StageError when there are not `total` documents.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done, parts = 0, []
    for number, part in enumerate(_groups(documents, _PART)):
        file = folder / f"part-{number:06d}.npy"
        if not _is_whole(file, (len(part), dimensions)):
            vectors = np.empty((len(part), dimensions), dtype=np.float32)
            for encoded in _encode_part(part, vectors, encode):
                tick(done + encoded, total, _DOING)
                yield
            _save(file, vectors)
        parts.append(file)
        done += len(part)
        tick(done, total, _DOING)
    if done != total:
        raise StageError(f"The corpus has {done} documents, not {total}; it was changed while it was encoded.")
    _join(parts, folder / VECTORS_FILE, (total, dimensions), tick)


def open_vectors(folder: Path, documents: int) -> Vectors:
    """The vectors of a corpus, (documents, dimensions), mapped into memory. Raises StageError when they are damaged."""
    try:
        vectors: Vectors = np.load(folder / VECTORS_FILE, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise StageError(f"{folder / VECTORS_FILE} cannot be read: {error}") from error
    if vectors.ndim != 2 or len(vectors) != documents or vectors.dtype != np.float32:
        raise StageError(f"{folder / VECTORS_FILE} does not fit its {documents} documents.")
    return vectors


def nearest(vectors: Vectors, query: Vectors, doc_ids: Sequence[str], depth: int) -> list[Hit]:
    """The `depth` documents of highest dot product with one query, ordered by (-score, doc_id).

    Exact, and equal to sptar_engine.retrieval.dense.search: a product of n terms in float32 is off by n * 2^-24 at most
    for normalised vectors, so the best are among those within twice that of the last of the best products; these
    few are scored again in float64, rounded to float32.
    """
    products = np.concatenate(
        [np.zeros(0, np.float32), *(vectors[at : at + _BLOCK] @ query for at in range(0, len(vectors), _BLOCK))]
    )
    if depth < len(products):
        lowest = np.partition(products, -depth)[-depth]
        slack = 2.1 * (len(query) + 2) * _ROUNDING
        (rows,) = np.nonzero(products >= lowest - slack)
    else:
        rows = np.arange(len(products))

    scores = np.einsum("nd,d->n", vectors[rows].astype(np.float64), query.astype(np.float64)).astype(np.float32)
    scores += np.float32(0)  # -0.0 equals 0.0, and is written differently
    found = zip(rows.tolist(), scores.tolist(), strict=True)
    return rank_hits((Hit(doc_ids[row], score) for row, score in found), depth)


def _encode_part(
    part: Sequence[Document], vectors: Vectors, encode: Callable[[Sequence[str]], Vectors]
) -> Iterator[int]:
    """Fill `vectors` in batches of texts of like length, which need little padding. Equal texts are encoded once."""
    rows: dict[str, list[int]] = {}
    for row, document in enumerate(part):
        rows.setdefault(document.content, []).append(row)
    texts = sorted(rows, key=lambda text: (-len(text), text))
    encoded = 0
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        for text, vector in zip(batch, encode(batch), strict=True):
            vectors[rows[text]] = vector
            encoded += len(rows[text])
        yield encoded


def _is_whole(file: Path, shape: tuple[int, int]) -> bool:
    try:
        return file.is_file() and np.load(file, mmap_mode="r").shape == shape
    except (OSError, ValueError, EOFError):
        return False


def _save(file: Path, vectors: Vectors) -> None:
    """Under its name only when it is whole and on the disk."""
    aside = file.with_suffix(".unfinished")
    with aside.open("wb") as stream:
        np.save(stream, vectors)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, file)


def _join(parts: Sequence[Path], file: Path, shape: tuple[int, int], tick: Tick) -> None:
    """All parts in one file; they go when it is whole."""
    aside = file.with_suffix(".unfinished")
    with aside.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for part in parts:
            stream.write(np.load(part).tobytes())
            tick(shape[0], shape[0], "Putting the vectors together")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, file)
    for part in parts:
        part.unlink()


def _groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group

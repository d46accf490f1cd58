"""The vectors of a whole corpus in one file on disk: encoded once, searched by many, of a corpus of any size."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import read_json, sha256_file, sha256_json, write_json
from sptar_engine.data.beir import CORPUS_FILE, read_corpus
from sptar_engine.records import Corpus
from sptar_engine.retrieval.dense import FLOAT32, Tick, Vectors, encode
from sptar_engine.retrieval.number_format import machine_of, settle_format

_FORMAT = 2  # raise when the vectors of a text change, so that files in caches are not used any more
_BLOCK = 2048  # documents encoded and written at a time: about a minute of work on two cores
_KEY_LETTERS = 16  # of a hex digest


def open_corpus_vectors(
    model: SentenceTransformer, model_hash: str, dataset: Path, max_length: int, folder: Path, tick: Tick | None = None
) -> tuple[list[str], Vectors]:
    """Return the ids of all documents, in corpus order, and their vectors as `dense.encode` makes them.

    The vectors stay in `folder`, in a file named by `model_hash`, the corpus, the machine and, where that is not
    float32 (`number_format`), the format they are computed in; it is made when it is not there yet, under a lock, so
    that a second process waits and finds it. What a stopped process has encoded is kept. The array is a view of the
    file: the system reads what is looked at and forgets it again when memory is short. In memory are the ids alone.
    """
    corpus = read_corpus(dataset)
    named = [_FORMAT, model_hash, sha256_file(dataset / CORPUS_FILE), max_length, machine_of(model)]
    number_format, path = FLOAT32, _path(folder, named)
    # Vectors in float32 that are there, or begun, serve on: they are the better ones.
    if not path.is_file() and not _progress(path).is_file():
        number_format = settle_format(model, len(corpus), folder)
        path = path if number_format == FLOAT32 else _path(folder, [*named, number_format])
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f".{path.name}.lock"):
            if not path.is_file():
                width = model.get_embedding_dimension() or 0
                encoder = partial(encode, model, max_length=max_length, number_format=number_format)
                _encode_all(encoder, corpus, (len(corpus), width), path, tick)
    # "c": nothing is written, and torch takes no array that could not be.
    return list(corpus), np.load(path, mmap_mode="c")


def _encode_all(
    encoder: Callable[..., Vectors], corpus: Corpus, shape: tuple[int, int], path: Path, tick: Tick | None
) -> None:
    unfinished, progress = path.with_name(f".{path.name}.partial"), _progress(path)
    done = read_json(progress)["done"] if progress.is_file() and unfinished.is_file() else 0
    store = np.lib.format.open_memmap(unfinished, "r+" if done else "w+", np.float32, shape)
    documents = islice(corpus.values(), done, None)
    while block := list(islice(documents, _BLOCK)):
        texts = [document.content for document in block]
        store[done : done + len(block)] = encoder(texts, tick=_shifted(tick, done, len(corpus)))
        store.flush()
        done += len(block)
        write_json(progress, {"done": done})
    del store
    os.replace(unfinished, path)
    progress.unlink()


def _path(folder: Path, named: Sequence[object]) -> Path:
    return folder / f"corpus-vectors-{sha256_json(list(named))[:_KEY_LETTERS]}.npy"


def _progress(path: Path) -> Path:
    """Says how far the making of a file has come, as long as it is not whole."""
    return path.with_name(f".{path.name}.json")


def _shifted(tick: Tick | None, before: int, total: int) -> Tick | None:
    return (lambda done, _: tick(before + done, total)) if tick else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield

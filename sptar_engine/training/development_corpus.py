"""The documents of a dev evaluation as a corpus of their own, for what searches files rather than texts."""

from __future__ import annotations

from pathlib import Path

from sptar_engine.artifacts import sha256_file, sha256_json
from sptar_engine.data.beir import CORPUS_FILE, read_corpus, write_corpus
from sptar_engine.records import Document, Hit
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.training.development import DevelopmentSet


def development_folder(prepare: Path, development: DevelopmentSet, cache: Path) -> Path:
    """A folder whose corpus.jsonl holds the documents that are searched for the held-out queries.

    It is `prepare` itself when these are all; a pool of them is written to `cache` once.
    """
    if len(development.documents) == len(read_corpus(prepare)):
        return prepare
    key = sha256_json([sha256_file(prepare / CORPUS_FILE), list(development.documents)])
    folder = cache / f"pool-{key[:16]}"
    if not (folder / CORPUS_FILE).is_file():
        write_corpus(folder, (Document(doc_id, text) for doc_id, text in development.documents.items()))
    return folder


def search_words(
    development: DevelopmentSet, prepare: Path, cache: Path, depth: int, k1: float, b: float
) -> dict[str, list[Hit]]:
    """BM25's first `depth` hits for the held-out queries among the development documents.

    A pool of some documents has an index of its own: to look for them among the hits of a whole large corpus would
    take thousands of hits for each one that counts.
    """
    corpus = development_folder(prepare, development, cache) / CORPUS_FILE
    with LexicalSearcher(build_or_open(corpus, cache), k1, b) as searcher:
        return searcher.search(development.queries, depth)

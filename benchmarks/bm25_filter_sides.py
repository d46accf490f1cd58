"""One side of the benchmark of the BM25 filter, in a process of its own: index, then the rank of each query's document.

    python -m benchmarks.bm25_filter_sides SIDE FOLDER

FOLDER has corpus.jsonl and pairs.json, {id: [query, document id]}. Prints one line of JSON: seconds, peak memory in MiB
(resident, the virtual machine for Java included) and the rank of each pair, null beyond 100. What a process does once
and for all does not count as seconds: imports, the start of Java, numba's compiling. Reading corpus.jsonl counts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sptar_engine.memory import PeakMemory
from sptar_engine.retrieval.java import java_class

DEPTH = 100
K1, B = 0.9, 0.4
_BATCH = 2000  # documents handed to pyserini at a time

Pairs = Mapping[str, Sequence[str]]  # query and document id
Ranks = dict[str, int | None]
Side = Callable[[Path, Pairs, Path], Ranks]
"""Gets the corpus, the pairs and an empty folder."""


def prepare_ours() -> Side:
    """The product's filter."""
    from sptar_engine.retrieval.bm25_ranks import rank_own_documents

    def rank(corpus: Path, pairs: Pairs, folder: Path) -> Ranks:
        asked = {key: (query, doc_id) for key, (query, doc_id) in pairs.items()}
        ranks = rank_own_documents(asked, corpus, folder, K1, B, lambda *_: None)
        return {key: place if place and place <= DEPTH else None for key, place in ranks.items()}

    java_class("java.lang.String")
    return rank


def prepare_pyserini() -> Side:
    """Its own indexer, raw JSON in batches, and its own `batch_search`, both on all processors.

    It runs in the product's virtual machine, with the same options: with its own it does not start on the bundled Java.
    """
    java_class("java.lang.String")
    os.environ.setdefault("OPENAI_API_KEY", "none")  # one of its modules wants to see one when it is imported
    from pyserini.index.lucene import LuceneIndexer
    from pyserini.search.lucene import LuceneSearcher

    threads = os.cpu_count() or 1

    def rank(corpus: Path, pairs: Pairs, folder: Path) -> Ranks:
        rows = [json.dumps({"id": row["_id"], "contents": content(row)}) for row in read(corpus)]
        indexer = LuceneIndexer(str(folder / "index"), threads=threads)
        for start in range(0, len(rows), _BATCH):
            indexer.add_batch_raw(rows[start : start + _BATCH])
        indexer.close()
        searcher = LuceneSearcher(str(folder / "index"))
        searcher.set_bm25(K1, B)
        found = searcher.batch_search([query for query, _ in pairs.values()], list(pairs), k=DEPTH, threads=threads)
        return {key: place(doc_id, (hit.docid for hit in found[key])) for key, (_, doc_id) in pairs.items()}

    return rank


def prepare_bm25s(words: Callable[[list[str]], Any]) -> Side:
    """The package bm25s on numba, with `words` as tokenizer."""
    import bm25s

    def rank(corpus: Path, pairs: Pairs, folder: Path) -> Ranks:
        rows = list(read(corpus))
        retriever = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numba")
        retriever.index(words([content(row) for row in rows]), show_progress=False)
        queries = words([query for query, _ in pairs.values()])
        depth = min(DEPTH, len(rows))
        numbers, scores = retriever.retrieve(queries, k=depth, n_threads=os.cpu_count() or 1, show_progress=False)
        ranks: Ranks = {}
        for (key, (_, doc_id)), hits, row_scores in zip(pairs.items(), numbers, scores, strict=True):
            ranks[key] = place(doc_id, (rows[n]["_id"] for n, score in zip(hits, row_scores, strict=True) if score > 0))
        return ranks

    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.jsonl"
        texts = [f"wing {number} heat" for number in range(10)]
        rows = (json.dumps({"_id": text, "text": text}) + "\n" for text in texts)
        corpus.write_text("".join(rows), encoding="utf-8")
        rank(corpus, {text: (text, text) for text in texts}, Path(folder))  # compiles
    return rank


def english_words(texts: list[str]) -> Any:
    """Tokens as the documentation of bm25s makes them: its own tokenizer and stop words, PyStemmer."""
    import bm25s
    import Stemmer

    return bm25s.tokenize(texts, stopwords="en", stemmer=Stemmer.Stemmer("english"), show_progress=False)


def lucene_words(texts: list[str]) -> Any:
    """Tokens as Lucene makes them."""
    from sptar_engine.retrieval.lucene_words import analyze

    return [words for start in range(0, len(texts), _BATCH) for words in analyze(texts[start : start + _BATCH])]


SIDES: dict[str, Callable[[], Side]] = {
    "ours": prepare_ours,
    "pyserini": prepare_pyserini,
    "bm25s": lambda: prepare_bm25s(english_words),
    "bm25s_lucene_words": lambda: prepare_bm25s(lucene_words),
}


def read(corpus: Path) -> list[dict[str, str]]:
    """The rows of a corpus.jsonl."""
    return [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]


def content(row: Mapping[str, str]) -> str:
    """What is searched of a document."""
    return f"{row.get('title', '')} {row['text']}".strip()


def place(doc_id: str, hits: Any) -> int | None:
    """The rank of a document among the ids of hits."""
    return next((number for number, hit in enumerate(hits, 1) if hit == doc_id), None)


def main(words: Sequence[str] | None = None) -> None:
    """Run one side and print."""
    side, folder = words or sys.argv[1:]
    peak = PeakMemory()
    rank = SIDES[side]()
    pairs = json.loads((Path(folder) / "pairs.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        start = time.perf_counter()
        ranks = rank(Path(folder) / "corpus.jsonl", pairs, Path(scratch))
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "mib": peak.mib(), "ranks": ranks}))


if __name__ == "__main__":
    main()

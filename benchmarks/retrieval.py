"""Seconds from texts to measured rankings: our encoder and exact search against plain sentence-transformers.

    DATASETS=… python -m benchmarks.retrieval --json

Both sides encode the same 3,000 documents and all queries of a collection with the bundled retriever, rank 100,000
document vectors for 1,000 query vectors down to 100, and measure; the product's own functions do it for ours. It takes
the documents for a part of a corpus as large as what is searched, for which it looks anew in every turn whether this
machine is to encode in bfloat16 (`checks.number_formats_ours`).

`sentence_transformers` is `SentenceTransformer.encode` in float32, with its own batches of 32 sorted by length, and
`semantic_search`; the measuring is the same. Encoded are the documents that msmarco-mini's test queries are judged
on, then others drawn with a fixed seed. There are not 100,000 of them, so what is searched are copies of their
vectors with noise, the first copy without any; queries likewise. Both sides search the same copies, made with the
clock stopped from the float32 vectors of the first turn of sentence-transformers.

`checks.ndcg_ours` and `checks.ndcg_sentence_transformers` are nDCG@10 of the real test queries over the real
documents, each side with the vectors that it made. `checks.same_hits` is the share of hits that both sides found
for the copies. Without $DATASETS, or without msmarco-mini in it, the sample takes its place (it has no 3,000
documents), and `checks.collection` says so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import semantic_search

from sptar_engine.catalog import encoder_folder
from sptar_engine.data.beir import CORPUS_FILE, iter_documents, read_qrels, read_queries
from sptar_engine.data.sample.builder import write_sample
from sptar_engine.evaluation.metrics import measure
from sptar_engine.records import Hit, Qrels, Rankings
from sptar_engine.retrieval.dense import FLOAT32, Vectors, encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import DOCUMENT, QUERY
from sptar_engine.retrieval.number_format import settle_format
from sptar_engine.runtime import prepare_torch

_BASE = "all-minilm-l6-v2"
_COLLECTION = "msmarco-mini"
_SEED = 13
_MAX_LENGTH = 256
_DEPTH = 100
_NOISE = 0.3  # length of what is added to a copy's vector, which has length 1
_MEASURE = "nDCG@10"
_PEER = "sentence_transformers"


@dataclass(frozen=True, slots=True)
class Texts:
    """What is encoded, and the judgements of the test queries on these documents."""

    collection: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    qrels: Qrels


@dataclass(frozen=True, slots=True)
class Copies:
    """What is searched: vectors by id. A copy of a query is judged as the query is, on the first copies."""

    doc_ids: list[str]
    documents: Vectors
    query_ids: list[str]
    queries: Vectors
    qrels: Qrels


@dataclass(slots=True)
class Side:
    """One way to do it, what it has made last, and the seconds of its turns."""

    encode: Callable[[Sequence[str], str], Vectors]
    search: Callable[[Sequence[str], Vectors, Sequence[str], Vectors, int], Rankings]
    documents: Vectors = field(default_factory=lambda: np.empty((0, 0), np.float32))
    queries: Vectors = field(default_factory=lambda: np.empty((0, 0), np.float32))
    rankings: Rankings = field(default_factory=dict)
    encoding: list[float] = field(default_factory=list)
    searching: list[float] = field(default_factory=list)
    formats: set[str] = field(default_factory=set)

    def encode_all(self, texts: Texts) -> None:
        """The first half of a turn."""
        start = time.perf_counter()
        self.documents = self.encode(list(texts.documents.values()), DOCUMENT)
        self.queries = self.encode(list(texts.queries.values()), QUERY)
        self.encoding.append(time.perf_counter() - start)

    def search_all(self, copies: Copies) -> None:
        """The second half."""
        start = time.perf_counter()
        self.rankings = self.search(copies.query_ids, copies.queries, copies.doc_ids, copies.documents, _DEPTH)
        measure(copies.qrels, self.rankings)
        self.searching.append(time.perf_counter() - start)

    @property
    def seconds(self) -> float:
        """The median of its turns."""
        return median(one + other for one, other in zip(self.encoding, self.searching, strict=True))

    def judge(self, texts: Texts) -> float:
        """nDCG@10 of the real queries over the real documents."""
        rankings = self.search(list(texts.queries), self.queries, list(texts.documents), self.documents, _DEPTH)
        return measure(texts.qrels, rankings).mean[_MEASURE]


def search_plainly(
    query_ids: Sequence[str], queries: Vectors, doc_ids: Sequence[str], documents: Vectors, depth: int
) -> Rankings:
    """`semantic_search` as its documentation has it."""
    found = semantic_search(torch.from_numpy(queries), torch.from_numpy(documents), top_k=depth)
    return {
        query_id: [Hit(doc_ids[int(hit["corpus_id"])], float(hit["score"])) for hit in hits]
        for query_id, hits in zip(query_ids, found, strict=True)
    }


def read_texts(datasets: str, most: int, folder: Path) -> Texts:
    """The texts of msmarco-mini below the folder `datasets`, or of the sample, which is written to `folder`."""
    dataset, collection = Path(datasets) / _COLLECTION, _COLLECTION
    if not datasets or not dataset.is_dir():
        tell(f"no {_COLLECTION} in $DATASETS: the sample takes its place")
        dataset, collection = folder / "sample", "sample"
        write_sample(dataset)
    queries = {query_id: query.text for query_id, query in read_queries(dataset).items()}
    every = {one.doc_id: one.content for one in iter_documents(dataset / CORPUS_FILE)}
    grades = read_qrels(dataset, "test").grades
    judged = list(dict.fromkeys(doc_id for row in grades.values() for doc_id in row if doc_id in every))
    others = [doc_id for doc_id in every if doc_id not in set(judged)]
    rng = random.Random(_SEED)
    chosen = [*rng.sample(judged, len(judged)), *rng.sample(others, len(others))][:most]
    kept = {
        query_id: {doc: grade for doc, grade in row.items() if doc in set(chosen)} for query_id, row in grades.items()
    }
    qrels = Qrels({query_id: row for query_id, row in kept.items() if row})
    return Texts(collection, {doc_id: every[doc_id] for doc_id in chosen}, queries, qrels)


def copy(texts: Texts, documents: Vectors, queries: Vectors, vectors: int, asked: int) -> Copies:
    """`vectors` copies of documents and `asked` of queries, the judged queries first."""
    rng = np.random.default_rng(_SEED)
    query_ids = sorted(texts.queries, key=lambda query_id: query_id not in texts.qrels.grades)
    rows = {query_id: row for row, query_id in enumerate(texts.queries)}
    copied_ids, copied = _copy(query_ids, queries[[rows[query_id] for query_id in query_ids]], asked, rng)
    doc_ids, copied_documents = _copy(list(texts.documents), documents, vectors, rng)
    grades = {name: texts.qrels.grades.get(name.split("#")[0], {}) for name in copied_ids}
    return Copies(
        doc_ids, copied_documents, copied_ids, copied, Qrels({name: row for name, row in grades.items() if row})
    )


def _copy(names: Sequence[str], vectors: Vectors, count: int, rng: np.random.Generator) -> tuple[list[str], Vectors]:
    numbers = np.arange(count)
    noise = rng.standard_normal((count, vectors.shape[1]), dtype=np.float32)
    noise *= np.float32(_NOISE / np.sqrt(vectors.shape[1])) * (numbers >= len(names))[:, None]
    made = vectors[numbers % len(names)] + noise
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    copies = [(names[number % len(names)], number // len(names)) for number in range(count)]
    return [f"{name}#{copy}" if copy else name for name, copy in copies], made


def summarise(texts: Texts, sides: Mapping[str, Side]) -> dict[str, Any]:
    """The line that every benchmark ends with."""
    ours, peer = sides["ours"], sides[_PEER]
    scores = {name: side.judge(texts) for name, side in sides.items()}
    same = [
        len({hit.doc_id for hit in ours.rankings[name]} & {hit.doc_id for hit in hits}) / len(hits)
        for name, hits in peer.rankings.items()
    ]
    return {
        "benchmark": "retrieval",
        "unit": "seconds (lower is better)",
        "ours": round(ours.seconds, 2),
        "peers": {_PEER: round(peer.seconds, 2)},
        "ratio": {_PEER: round(peer.seconds / ours.seconds, 2)},
        "checks": {
            "collection": texts.collection,
            "documents": len(texts.documents),
            "ndcg_ours": round(scores["ours"], 5),
            f"ndcg_{_PEER}": round(scores[_PEER], 5),
            "ndcg_within_half_a_percent": abs(scores["ours"] - scores[_PEER]) <= 0.005 * scores[_PEER],
            "same_hits": round(float(np.mean(same)), 6),
            "encoding_ours": round(median(ours.encoding), 2),
            f"encoding_{_PEER}": round(median(peer.encoding), 2),
            "number_formats_ours": sorted(ours.formats),
            "searching_ours": round(median(ours.searching), 2),
            f"searching_{_PEER}": round(median(peer.searching), 2),
        },
    }


def race(
    plain: SentenceTransformer, model: SentenceTransformer, texts: Texts, arguments: argparse.Namespace
) -> dict[str, Side]:
    """Both sides in turn: `plain` is in float32, `model` is ours."""

    def plainly(some: Sequence[str], side: str) -> Vectors:
        return np.asarray(plain.encode(list(some), show_progress_bar=False))

    def ours(some: Sequence[str], side: str) -> Vectors:
        number_format = format_for(model, arguments.vectors) if side == DOCUMENT else FLOAT32
        sides["ours"].formats.add(number_format)
        return encode(model, some, _MAX_LENGTH, side=side, number_format=number_format)

    sides = {_PEER: Side(plainly, search_plainly), "ours": Side(ours, search)}
    copies: Copies | None = None
    for side in sides.values():
        side.encode(list(texts.documents.values())[:16], DOCUMENT)  # warms up
    for turn in range(1, arguments.repeats + 1):
        for name, side in sides.items():
            side.encode_all(texts)
            copies = copies or copy(texts, side.documents, side.queries, arguments.vectors, arguments.queries)
            side.search_all(copies)
            tell(f"turn {turn}, {name}: encoding {side.encoding[-1]:.1f} s, searching {side.searching[-1]:.1f} s")
    return sides


def format_for(model: SentenceTransformer, documents: int) -> str:
    """The number format of a corpus of so many documents, looked for anew."""
    with tempfile.TemporaryDirectory() as folder:
        return settle_format(model, documents, Path(folder))


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=about)
    parser.add_argument("--docs", type=int, default=3000, help="documents that are encoded")
    parser.add_argument("--queries", type=int, default=1000, help="copies of queries that are searched for")
    parser.add_argument("--vectors", type=int, default=100_000, help="copies of documents that are searched")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; the medians count")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = torch's choice")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of models brought along")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    prepare_torch(_SEED, arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        texts = read_texts(os.environ.get("DATASETS", ""), arguments.docs, Path(folder))
    base = encoder_folder(_BASE, arguments.models)
    plain, model = (load_bi_encoder(base, _MAX_LENGTH, "cpu") for _ in range(2))
    result = summarise(texts, race(plain, model, texts, arguments))
    if not arguments.json:
        print(f"ours {result['ours']} s, {_PEER} {result['peers'][_PEER]} s, ratio {result['ratio'][_PEER]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Seconds and memory for the BM25 filter's ranks: ours against pyserini's batch_search and against bm25s.

    python -m benchmarks.bm25_filter --json

Each side indexes the documents and finds, for each query, the rank of the document that the query was written for, up
to 100 (benchmarks/bm25_filter_sides.py). Each run is a process of its own; the sides take turns.

The documents are those of the test collections Cranfield and msmarco-mini where $DATASETS names their folder, else the
docstrings of the sample, each several times, shuffled by sentences and with words left out; `checks.test_collections`
says which. The queries are the collections' own, each with one document that answers it, and as many as are missing
are made up of a document's own words and some of another's, so that the filter keeps some and drops some.

`checks.same_keep` is the share of queries that the filter keeps or drops, at its default k, as pyserini would. Where
it would not, the ranks are written to standard error. `bm25s_lucene_words` is bm25s over the words that Lucene makes:
what is left of the difference is that Lucene rounds the lengths of documents and bm25s does not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bm25_filter_sides import SIDES, Ranks
from sptar_engine.configs import FilterConfig
from sptar_engine.data.beir import CORPUS_FILE, SPLITS, iter_documents, read_qrels, read_queries
from sptar_engine.data.sample.builder import write_sample
from sptar_engine.records import Document

_COLLECTIONS = ("cranfield", "msmarco-mini")
_SEED = 17
_OWN_WORDS = (2, 6)  # of a query that is made up
_OTHER_WORDS = (1, 6)
_LEFT_OUT = 0.2  # of the words of a repeated document
_ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Runs:
    """What the runs of one side told."""

    seconds: list[float] = field(default_factory=list)
    mib: list[int] = field(default_factory=list)
    ranks: Ranks = field(default_factory=dict)

    def add(self, told: Mapping[str, Any]) -> None:
        """Note one run."""
        self.seconds.append(told["seconds"])
        self.mib.append(told["mib"])
        self.ranks = told["ranks"]


def read_collections(datasets: Path) -> tuple[list[Document], list[tuple[str, str]]]:
    """Documents of the test collections, and for each of their queries one document that answers it."""
    documents: list[Document] = []
    asked: list[tuple[str, str]] = []
    for name in _COLLECTIONS:
        folder = datasets / name
        documents += (replace(one, doc_id=f"{name}-{one.doc_id}") for one in iter_documents(folder / CORPUS_FILE))
        asked += ((query, f"{name}-{doc_id}") for query, doc_id in answered(folder))
    return documents, asked


def read_sample(folder: Path, wanted: int) -> tuple[list[Document], list[tuple[str, str]]]:
    """So many documents made of the sample's, and its questions with one answer each."""
    write_sample(folder)
    originals = list(iter_documents(folder / CORPUS_FILE))
    rng = random.Random(_SEED)
    copies = (vary(one, number, rng) for number in count(1) for one in originals)
    return [*originals, *islice(copies, max(0, wanted - len(originals)))], list(answered(folder))


def answered(folder: Path) -> Iterable[tuple[str, str]]:
    """Every query of a dataset that has an answer, with the first of its answers."""
    queries = read_queries(folder)
    for split in SPLITS:
        qrels = read_qrels(folder, split)
        for query_id in qrels.grades:
            yield from ((queries[query_id].text, doc_id) for doc_id in qrels.relevant(query_id)[:1])


def vary(document: Document, number: int, rng: random.Random) -> Document:
    """The same sentences in another order, without some of their words."""
    sentences = document.text.split(". ")
    rng.shuffle(sentences)
    words = [word for word in ". ".join(sentences).split() if rng.random() >= _LEFT_OUT]
    return Document(f"{document.doc_id}~{number}", " ".join(words), document.title)


def make_query(document: Document, other: Document, rng: random.Random) -> str:
    """A few words of a document in the order in which they stand there, and then some of another's."""
    parts: list[str] = []
    for one, bounds in ((document, _OWN_WORDS), (other, _OTHER_WORDS)):
        words = one.content.split()
        places = sorted(rng.sample(range(len(words)), min(len(words), rng.randint(*bounds))))
        parts += (words[place] for place in places)
    return " ".join(parts)


def write_task(folder: Path, datasets: Path | None, documents: int, queries: int) -> None:
    """Write corpus.jsonl and pairs.json."""
    found, asked = read_collections(datasets) if datasets else read_sample(folder / "sample", documents)
    found = found[:documents]
    known = {document.doc_id for document in found}
    pairs = [(query, doc_id) for query, doc_id in asked if doc_id in known][:queries]
    rng = random.Random(_SEED)
    while len(pairs) < queries:
        document, other = rng.choices(found, k=2)
        pairs.append((make_query(document, other, rng), document.doc_id))
    rows = ({"_id": one.doc_id, "title": one.title, "text": one.text} for one in found)
    (folder / CORPUS_FILE).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    named = {f"q{number}": pair for number, pair in enumerate(pairs)}
    (folder / "pairs.json").write_text(json.dumps(named), encoding="utf-8")


def run(side: str, folder: Path) -> Mapping[str, Any]:
    """One run of one side."""
    command = [sys.executable, "-m", "benchmarks.bm25_filter_sides", side, str(folder)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - ourselves
    told: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def agreement(ours: Ranks, theirs: Ranks, top_k: int) -> float:
    """The share of queries that both keep or both drop."""
    same = sum(kept(ours[key], top_k) == kept(place, top_k) for key, place in theirs.items())
    return round(same / len(theirs), 5)


def kept(place: int | None, top_k: int) -> bool:
    """Whether the filter keeps a query whose document has this rank."""
    return place is not None and place <= top_k


def summarise(runs: Mapping[str, Runs], queries: int, documents: int, collections: bool) -> dict[str, Any]:
    """The line that every benchmark ends with."""
    seconds = {side: median(one.seconds) for side, one in runs.items()}
    mib = {side: median(one.mib) for side, one in runs.items()}
    peers = [side for side in runs if side != "ours"]
    top_k, ours = FilterConfig().top_k, runs["ours"].ranks
    return {
        "benchmark": "bm25_filter",
        "unit": f"seconds for the index and the ranks of {queries} queries among {documents} documents",
        "ours": round(seconds["ours"], 3),
        "peers": {side: round(seconds[side], 3) for side in peers},
        "ratio": {side: round(seconds[side] / seconds["ours"], 2) for side in peers},
        "checks": {
            **{f"mib_{side}": mib[side] for side in runs},
            "less_memory": mib["ours"] < mib["pyserini"],
            "same_keep": agreement(ours, runs["pyserini"].ranks, top_k),
            "same_rank": round(sum(ours[key] == place for key, place in runs["pyserini"].ranks.items()) / queries, 5),
            **{f"same_keep_{side}": agreement(runs[side].ranks, runs["pyserini"].ranks, top_k) for side in peers[1:]},
            "kept": sum(kept(place, top_k) for place in ours.values()),
            "test_collections": collections,
        },
    }


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bm25_filter", description=about)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; the medians count")
    parser.add_argument("--datasets", type=Path, default=os.environ.get("DATASETS") or None, help="default: $DATASETS")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    runs = {side: Runs() for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        write_task(Path(folder), arguments.datasets, arguments.documents, arguments.queries)
        for turn in range(1, arguments.repeats + 1):
            for side, told in runs.items():
                told.add(run(side, Path(folder)))
                tell(f"turn {turn} of {arguments.repeats}, {side}: {told.seconds[-1]:.2f} s, {told.mib[-1]} MiB")
    for key, place in runs["pyserini"].ranks.items():
        if runs["ours"].ranks[key] != place:
            tell(f"{key}: rank {runs['ours'].ranks[key]} by ours, {place} by pyserini")
    result = summarise(runs, arguments.queries, arguments.documents, bool(arguments.datasets))
    if not arguments.json:
        print(", ".join(f"{side} {median(one.seconds):.2f} s, {median(one.mib):.0f} MiB" for side, one in runs.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    main()

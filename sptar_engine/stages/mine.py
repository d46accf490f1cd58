"""mine: find documents close to each training query that do not answer it, as hard negatives for training.

The candidates are BM25's hits and those of an exact dense search over the whole corpus. Held-out and test queries are
not looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache, partial
from itertools import chain
from typing import Any

import numpy as np

from sptar_engine.artifacts import write_jsonl
from sptar_engine.catalog import encoder_folder
from sptar_engine.configs import MineConfig
from sptar_engine.data.beir import CORPUS_FILE, read_corpus
from sptar_engine.data.lines import count_lines
from sptar_engine.data.mined import BM25, DENSE, NEGATIVES_FILE, REJECTED, SOURCES
from sptar_engine.errors import InputError
from sptar_engine.records import Hit, Rankings
from sptar_engine.retrieval.corpus_vectors import open_corpus_vectors
from sptar_engine.retrieval.dense import Vectors, encode, search
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.kinds import QUERY, document_side
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.mining import (
    DROPPED,
    MARGIN,
    RELEVANT,
    SAME_TEXT,
    Choice,
    Line,
    Question,
    choose,
    draw_line,
    list_questions,
)
from sptar_engine.training.pairs import document_key, read_training_set
from sptar_engine.training.parts import Parts

_PART = 512  # queries mined between two files: seconds of work, and some 100,000 hits in memory


def run(config: MineConfig, context: StageContext) -> StageOutput:
    """Write negatives.jsonl, a row for each training query.

    Raises InputError for a bad decisions file, no pairs, and a corpus in which no hard negative is left.
    """
    prepare = context.input("prepare")
    training_set = read_training_set(prepare, context.inputs.get("filter"), context.inputs.get("decisions"), 0)
    questions = list_questions(training_set)
    prepare_torch(0, config.threads)
    parts = Parts(context.scratch / "parts")
    starts = range(0, len(questions), _PART)
    with ExitStack() as stack:
        miner = _Miner(config, context, stack)
        for number, start in enumerate(starts):
            some = questions[start : start + _PART]
            parts.make(number, partial(miner.rows, some))
            context.tick(start + len(some), len(questions), "queries have their hard negatives")
    tally = Tally()
    rows = chain.from_iterable(parts.read(number) for number in range(len(starts)))
    write_jsonl(context.out_dir / NEGATIVES_FILE, tally.counting(rows))
    return StageOutput(summarise(tally, config))


class Tally:
    """What was kept, by source, and left out, by reason, over all queries."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.queries = self.without = 0

    def counting(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The same rows; each is counted as it passes."""
        for row in rows:
            self.queries += 1
            self.without += not row["negatives"]
            self.kept.update(one["source"] for one in row["negatives"])
            self.dropped.update(row["dropped"])
            yield row


def summarise(tally: Tally, config: MineConfig) -> dict[str, Any]:
    """The numbers to show and a sentence made of them. Raises InputError when no hard negative is left."""
    kept, dropped = tally.kept, tally.dropped
    left_out = (
        f"{dropped[RELEVANT]:,} hits answer their query, {dropped[MARGIN]:,} score too close to an answer, "
        f"{dropped[SAME_TEXT]:,} repeat a text"
    )
    if not kept.total():
        advice = " or set mine.margin=0" if dropped[MARGIN] else f" or look further than mine.depth={config.depth}"
        raise InputError(
            f"No document is left as a hard negative for any of the {tally.queries:,} training queries: {left_out}. "
            f"Add documents{advice}."
        )
    by = f"{kept[BM25]:,} by BM25, {kept[DENSE]:,} by dense search, {kept[REJECTED]:,} rejected by a person"
    none = f"; {tally.without:,} queries have none" if tally.without else ""
    return {
        "queries": tally.queries,
        "queries_without": tally.without,
        "kept": kept.total(),
        **{f"kept_{source}": kept[source] for source in SOURCES},
        **{f"dropped_{reason}": dropped[reason] for reason in DROPPED},
        "sentence": f"{kept.total():,} hard negatives for {tally.queries:,} training queries ({by}). "
        f"Left out: {left_out}{none}.",
    }


class _Miner:
    """Searches for queries and chooses among the hits. What it opens is closed with `stack`."""

    def __init__(self, config: MineConfig, context: StageContext, stack: ExitStack) -> None:
        prepare = context.input("prepare")
        corpus = read_corpus(prepare)
        self._config = config
        self._key_of = cache(lambda doc_id: document_key(corpus[doc_id].content))
        self._lexical = stack.enter_context(_open_lexical(config, context)) if config.source != DENSE else None
        # The margin is one of dense scores, for BM25's hits too.
        self._dense = _Dense(config, context) if config.source != BM25 or config.margin else None

    def rows(self, questions: Sequence[Question]) -> Iterator[dict[str, Any]]:
        """A row of negatives.jsonl for each query."""
        depth = self._config.skip + self._config.depth
        found: dict[str, Rankings] = {}
        if self._lexical:
            found[BM25] = self._lexical.search({question.key: question.text for question in questions}, depth)
        vectors = self._dense.encode(questions) if self._dense else np.empty((len(questions), 0), np.float32)
        if self._dense and self._config.source != BM25:
            found[DENSE] = self._dense.search(questions, vectors, depth)
        for question, vector in zip(questions, vectors, strict=True):
            hits = {source: rankings[question.key][self._config.skip :] for source, rankings in found.items()}
            choice = choose(question, hits, self._line(question, vector, hits), self._key_of, self._config.count)
            yield _row(question, choice)

    def _line(self, question: Question, vector: Vectors, hits: Mapping[str, Sequence[Hit]]) -> Line:
        if not self._dense or not self._config.margin:
            return Line()
        doc_ids = [*question.own, *(hit.doc_id for found in hits.values() for hit in found)]
        return draw_line(question, self._dense.nearness(vector, doc_ids), self._config.margin)


class _Dense:
    """The untrained base, or the model of the input `train`, with the vectors of the corpus."""

    def __init__(self, config: MineConfig, context: StageContext) -> None:
        trained = context.inputs.get("train")
        folder = trained / "model" if trained else encoder_folder(config.base, context.models)
        self._model = load_bi_encoder(folder, config.max_length, context.device)
        self._max_length = config.max_length
        # Every arm searches with the same base; the vectors of what is trained serve nobody else.
        place = context.scratch if trained else context.cache
        self._doc_ids, self._vectors = open_corpus_vectors(
            self._model, document_side(folder), context.input("prepare"), config.max_length, place,
            lambda done, total: context.tick(done, total, "documents encoded"),
        )  # fmt: skip
        self._rows = {doc_id: row for row, doc_id in enumerate(self._doc_ids)}

    def encode(self, questions: Sequence[Question]) -> Vectors:
        """The queries' vectors, (queries, dimensions)."""
        return encode(self._model, [question.text for question in questions], self._max_length, side=QUERY)

    def search(self, questions: Sequence[Question], vectors: Vectors, depth: int) -> Rankings:
        """The nearest documents of each query."""
        keys = [question.key for question in questions]
        rankings: Rankings = search(keys, vectors, self._doc_ids, self._vectors, depth)
        return rankings

    def nearness(self, vector: Vectors, doc_ids: Sequence[str]) -> dict[str, float]:
        """The scores of some documents, as `search` gives them."""
        rows = self._vectors[[self._rows[doc_id] for doc_id in doc_ids]]  # (documents, dimensions)
        scores = np.einsum("nd,d->n", rows.astype(np.float64), vector.astype(np.float64)).astype(np.float32)
        return dict(zip(doc_ids, scores.tolist(), strict=True))


def _open_lexical(config: MineConfig, context: StageContext) -> LexicalSearcher:
    corpus = context.input("prepare") / CORPUS_FILE
    total = count_lines(corpus)
    index = build_or_open(corpus, context.cache, lambda done: context.tick(done, total, "documents indexed"))
    return LexicalSearcher(index, config.k1, config.b)


def _row(question: Question, choice: Choice) -> dict[str, Any]:
    return {
        "query_key": question.key,
        "query": question.text,
        "negatives": [asdict(negative) for negative in choice.negatives],
        "dropped": dict(choice.dropped),
    }

"""Hard negatives: documents that share a query's words and, as far as anybody knows, do not answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sptar_engine.configs import TrainConfig
from sptar_engine.data.beir import CORPUS_FILE, find_documents, read_corpus
from sptar_engine.records import Rankings
from sptar_engine.retrieval.lexical import LexicalSearcher, build_or_open
from sptar_engine.training.pairs import TrainingPair, TrainingSet, document_key

_SPARE_HITS = 50  # beyond those skipped and asked for, since relevant documents are left out
_K1, _B = 0.9, 0.4  # the defaults of filter and evaluate; which documents are hard hardly depends on them


def mine_negatives(training_set: TrainingSet, prepare: Path, cache: Path, config: TrainConfig) -> TrainingSet:
    """Give the queries of the pairs their hard negatives: what a person rejected for them, then BM25 hits.

    A rejected document is certain, so it counts even where `config.negatives` asks for none; up to that number BM25
    hits are added, after the first `config.negatives_from`. Returns the set with the negatives and their texts.
    """
    queries = {pair.query_key: pair.query for pair in training_set.pairs}
    rejected = {key: doc_ids for key, doc_ids in training_set.rejected.items() if key in queries}
    rankings = _search(queries, prepare, cache, config) if config.negatives else {}
    keys = _keys(prepare, rankings, rejected) if rankings or rejected else {}
    negatives: dict[str, tuple[int, ...]] = {}
    doc_ids: dict[int, str] = {}
    for key in rankings or rejected:
        hits = [hit.doc_id for hit in rankings.get(key, ())][config.negatives_from :]
        known = rejected.get(key, ())
        chosen = choose_negatives([*known, *hits], keys, training_set.positives[key], max(config.negatives, len(known)))
        negatives[key] = tuple(chosen)
        doc_ids.update(chosen)
    found = find_documents(prepare, set(doc_ids.values())) if doc_ids else {}
    texts = {key: found[doc_id].content for key, doc_id in doc_ids.items()}
    used = sum(keys[doc_id] in negatives[key] for key, several in rejected.items() for doc_id in several)
    return replace(
        training_set,
        documents={**texts, **training_set.documents},
        negatives=negatives,
        counts={**training_set.counts, "rejected_negatives": used},
    )


def choose_negatives(
    candidates: Iterable[str], keys: Mapping[str, int], relevant: Iterable[int], count: int
) -> dict[int, str]:
    """The first `count` candidates with different texts, none of them relevant: document ids by document key."""
    refused = set(relevant)
    chosen: dict[int, str] = {}
    for doc_id in candidates:
        if len(chosen) == count:
            break
        key = keys[doc_id]
        if key not in refused:
            chosen.setdefault(key, doc_id)
    return chosen


def _search(queries: Mapping[str, str], prepare: Path, cache: Path, config: TrainConfig) -> Rankings:
    """BM25's hits for every query, some without any."""
    searcher = LexicalSearcher(build_or_open(prepare / CORPUS_FILE, cache), _K1, _B)
    found = searcher.search(queries, config.negatives_from + config.negatives + _SPARE_HITS)
    return {key: found.get(key, ()) for key in queries}


def _keys(prepare: Path, rankings: Rankings, rejected: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    wanted = {hit.doc_id for hits in rankings.values() for hit in hits}
    wanted.update(doc_id for doc_ids in rejected.values() for doc_id in doc_ids)
    documents = read_corpus(prepare).documents()
    return {document.doc_id: document_key(document.content) for document in documents if document.doc_id in wanted}


def batch_negatives(batch: Sequence[TrainingPair], negatives: Mapping[str, tuple[int, ...]]) -> list[int]:
    """The hard negatives of all pairs of a batch, each once; those that already stand in it as a pair are left out."""
    present = {pair.document_key for pair in batch}
    found = dict.fromkeys(key for pair in batch for key in negatives.get(pair.query_key, ()))
    return [key for key in found if key not in present]

"""Read the dataset, check it, split the labels, draw the pool of unlabelled documents."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sptar_engine.artifacts import write_json, write_jsonl
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import CORPUS_FILE, SPLITS, Tally, iter_documents, write_corpus, write_labels
from sptar_engine.data.health import HealthCheck, HealthReport, bundled_token_counter
from sptar_engine.data.judgements import Judgement, build_qrels
from sptar_engine.data.labels import Labels, check_documents, read_labels
from sptar_engine.data.leaks import LeakReport, check_leaks
from sptar_engine.data.lines import count_lines
from sptar_engine.data.seeds import POOL_FILE, seeds_path
from sptar_engine.data.splits import answered_queries, limit_train, split_labels
from sptar_engine.records import Document, Qrels, Query
from sptar_engine.stage import StageContext, StageOutput

_TICK_EVERY = 2_000  # documents
_SEED_SPLITS = ("train", "dev")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Labels that no later stage sees, or that say nothing."""

    judgements_of_empty_documents: int
    queries_without_judgement: int
    queries_without_relevant_document: int
    train_queries_over_limit: int


@dataclass(frozen=True, slots=True)
class Task:
    """What the labels come to: the queries in use in file order, and their judgements by split in the same order."""

    queries: Mapping[str, Query]
    qrels: Mapping[str, Qrels]
    leaks: LeakReport
    left_out: LeftOut


def run(config: PrepareConfig, context: StageContext) -> StageOutput:
    """Write the normalised dataset, the seeds, the pool and report.json. Raises InputError and LeakError.

    Memory: the ids of all documents and some 100 bytes for each.
    """
    dataset, out = context.input("dataset"), context.out_dir
    corpus = dataset / CORPUS_FILE
    labels = read_labels(dataset)
    lines = count_lines(corpus)
    tally = Tally()
    doc_ids: list[str] = []
    check = HealthCheck(bundled_token_counter(context.models), config.window_tokens, lines)
    documents = check.watch(iter_documents(corpus, tally))
    write_corpus(out, _ticking(documents, doc_ids, lines, context))

    check_documents(labels, {row.doc_id for row in labels}.difference(doc_ids, tally.empty_ids))
    task = make_task(labels, set(tally.empty_ids), config)
    pool = draw_pool(doc_ids, _judged_documents(task.qrels["train"]), config.seed)
    write_labels(out, task.queries.values(), task.qrels)
    for split in _SEED_SPLITS:
        write_jsonl(seeds_path(out, split), seed_rows(task.queries, task.qrels[split], config.min_grade))
    write_jsonl(out / POOL_FILE, ({"doc_id": doc_id} for doc_id in pool))
    report = make_report(check.report(tally, labels), task, labels.is_split, len(pool), config.min_grade)
    write_json(out / "report.json", report)
    return StageOutput(make_metrics(report))


def make_task(labels: Labels, empty_ids: Collection[str], config: PrepareConfig) -> Task:
    """Split the labels (unless the dataset does), look for leaks, and keep `config.train_queries` of the seeds.

    Judgements of empty documents are left out. Raises InputError and LeakError.
    """
    usable = labels.without(empty_ids)
    splits = split_labels(usable, seed=config.seed, min_grade=config.min_grade)
    leaks = check_leaks(labels.queries, splits, config.similarity)
    limited = limit_train(splits, config.train_queries, seed=config.seed, min_grade=config.min_grade)
    place = {query_id: number for number, query_id in enumerate(labels.queries)}
    qrels = {split: build_qrels(sorted(rows, key=lambda row: place[row.query_id])) for split, rows in limited.items()}
    in_use = {query_id for split in qrels.values() for query_id in split.grades}
    judged = {row.query_id for row in labels}
    left_out = LeftOut(
        judgements_of_empty_documents=len(list(labels)) - len(list(usable)),
        queries_without_judgement=len(labels.queries) - len(judged),
        queries_without_relevant_document=len(judged - answered_queries(list(usable), config.min_grade)),
        train_queries_over_limit=_queries(splits["train"]) - _queries(limited["train"]),
    )
    return Task({key: query for key, query in labels.queries.items() if key in in_use}, qrels, leaks, left_out)


def draw_pool(doc_ids: Sequence[str], judged: Collection[str], seed: int) -> list[str]:
    """The documents without a judgement in random order.

    All documents are shuffled before the judged ones are taken out, so that with more judgements the rest keeps its
    order, and runs with few and many seeds can be compared.
    """
    shuffled = list(doc_ids)
    random.Random(seed).shuffle(shuffled)
    return [doc_id for doc_id in shuffled if doc_id not in judged]


def seed_rows(queries: Mapping[str, Query], qrels: Qrels, min_grade: int) -> Iterator[dict[str, Any]]:
    """One row for each relevant pair: queries in the qrels' order, then (-grade, doc_id)."""
    for query_id, grades in qrels.grades.items():
        for doc_id in qrels.relevant(query_id, min_grade):
            query = queries[query_id]
            style = {"style": query.style} if query.style else {}
            yield {"query_id": query_id, "query": query.text, "doc_id": doc_id, "grade": grades[doc_id], **style}


def make_report(health: HealthReport, task: Task, is_split: bool, pool: int, min_grade: int) -> dict[str, Any]:
    """What report.json holds."""
    return {
        "health": health.as_dict(),
        "split_by": "dataset" if is_split else "app",
        "splits": {split: _count(qrels, min_grade) for split, qrels in task.qrels.items()},
        "leaks": task.leaks.as_dict(),
        "left_out": asdict(task.left_out),
        "pool": pool,
    }


def make_metrics(report: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers to show, and a sentence made of them."""
    health, splits, similar = report["health"], report["splits"], report["leaks"]["similar_queries"]
    metrics = {
        "documents": health["documents"],
        "empty_documents": health["empty_documents"],
        "duplicate_documents": health["duplicate_documents"],
        "train_queries": splits["train"]["queries"],
        "dev_queries": splits["dev"]["queries"],
        "test_queries": splits["test"]["queries"],
        "pool": report["pool"],
        "similar_queries": similar,
    }
    empty = f" ({health['empty_documents']} empty ones skipped)" if health["empty_documents"] else ""
    warning = f"; warning: {similar} pairs of similar queries across splits" if similar else ""
    train, dev, test = (metrics[f"{split}_queries"] for split in SPLITS)
    metrics["sentence"] = (
        f"{health['documents']} documents{empty}, {report['pool']} of them without a training label; "
        f"{train} train, {dev} held-out and {test} test queries{warning}"
    )
    return metrics


def _ticking(
    documents: Iterable[Document], doc_ids: list[str], total: int, context: StageContext
) -> Iterator[Document]:
    """Pass the documents on, collect their ids, and report now and then. `total` counts the lines of the file."""
    for document in documents:
        doc_ids.append(document.doc_id)
        if len(doc_ids) % _TICK_EVERY == 0:
            context.tick(len(doc_ids), total, "documents read")
        yield document
    context.tick(total, total, "documents read")


def _judged_documents(qrels: Qrels) -> set[str]:
    return {doc_id for grades in qrels.grades.values() for doc_id in grades}


def _queries(judgements: Sequence[Judgement]) -> int:
    return len({row.query_id for row in judgements})


def _count(qrels: Qrels, min_grade: int) -> dict[str, int]:
    relevant = sum(len(qrels.relevant(query_id, min_grade)) for query_id in qrels.grades)
    return {"queries": len(qrels.grades), "judged_pairs": qrels.pairs, "relevant_pairs": relevant}

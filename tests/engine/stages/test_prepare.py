from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import checksums, read_json, read_jsonl
from sptar_engine.configs import PrepareConfig
from sptar_engine.data.beir import read_corpus, read_qrels, read_queries, write_corpus, write_dataset, write_labels
from sptar_engine.data.seeds import read_pool, read_seeds
from sptar_engine.errors import Cancelled, InputError, LeakError
from sptar_engine.records import Document, Qrels, Query
from sptar_engine.stage import Progress, StageContext
from sptar_engine.stages import prepare
from sptar_engine.stages.prepare import draw_pool, run

MakeContext = Callable[..., StageContext]
Folder = Path


def _documents(count: int) -> list[Document]:
    return [Document(f"d{number:02d}", f"The text of document number {number}") for number in range(count)]


def _words(number: int) -> str:
    return f"question {number} about thing{number}"


def _queries(count: int) -> list[Query]:
    return [Query(f"q{number:02d}", _words(number)) for number in range(count)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """40 documents, one of them empty; 10 train, 3 dev, 3 test queries, the first with three judgements."""
    folder = tmp_path / "toy"
    grades = {f"q{number:02d}": {f"d{number:02d}": 1} for number in range(16)}
    grades["q00"] = {"d30": 0, "d20": 1, "d00": 1, "d31": 2, "empty": 2}
    parts = {"train": range(10), "dev": range(10, 13), "test": range(13, 16)}
    qrels = {split: Qrels({f"q{n:02d}": grades[f"q{n:02d}"] for n in numbers}) for split, numbers in parts.items()}
    write_dataset(folder, [*_documents(39), Document("empty", " ")], _queries(17), qrels)
    return folder


def _run(context: StageContext, **settings: Any) -> dict[str, Any]:
    return dict(run(PrepareConfig(**settings), context).metrics)


def test_the_folder_holds_what_the_next_stages_read(dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": dataset})
    metrics = _run(context)
    out = context.out_dir
    assert sorted(checksums(out)) == [
        "corpus.jsonl", "pool.jsonl", "qrels/dev.tsv", "qrels/test.tsv", "qrels/train.tsv", "queries.jsonl",
        "report.json", "seeds/dev.jsonl", "seeds/train.jsonl",
    ]  # fmt: skip
    assert list(read_corpus(out).values()) == _documents(39)
    assert list(read_queries(out)) == [f"q{number:02d}" for number in range(16)]
    assert read_qrels(out, "train").grades["q00"] == {"d30": 0, "d20": 1, "d00": 1, "d31": 2}
    seeds = read_seeds(out, "train")
    assert [pair.document.doc_id for pair in seeds["q00"]] == ["d31", "d00", "d20"]
    assert len(seeds) == 10
    assert list(read_seeds(out, "dev")) == ["q10", "q11", "q12"]
    assert metrics["sentence"] == (
        "39 documents (1 empty ones skipped), 26 of them without a training label; "
        "10 train, 3 held-out and 3 test queries"
    )


def test_the_report_counts_what_was_left_out(dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": dataset})
    _run(context)
    report = read_json(context.out_dir / "report.json")
    assert report["split_by"] == "dataset"
    assert report["splits"]["train"] == {"queries": 10, "judged_pairs": 13, "relevant_pairs": 12}
    assert report["left_out"] == {
        "judgements_of_empty_documents": 1,
        "queries_without_judgement": 1,
        "queries_without_relevant_document": 0,
        "train_queries_over_limit": 0,
    }
    assert report["health"]["empty_documents"] == 1
    assert report["pool"] == 26


def test_the_pool_is_every_document_without_a_train_judgement(dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": dataset})
    _run(context)
    pool = [document.doc_id for document in read_pool(context.out_dir, 100)]
    judged_in_train = {f"d{number:02d}" for number in range(10)} | {"d20", "d30", "d31"}
    assert set(pool) == {document.doc_id for document in _documents(39)} - judged_in_train
    assert pool != sorted(pool)


def test_the_pool_keeps_its_order_when_more_is_judged() -> None:
    doc_ids = [f"d{number}" for number in range(50)]
    few, many = draw_pool(doc_ids, {"d1"}, 13), draw_pool(doc_ids, {"d1", "d2", "d3"}, 13)
    assert [doc_id for doc_id in few if doc_id in many] == many
    assert draw_pool(doc_ids, {"d1"}, 14) != few


def test_the_same_input_gives_the_same_bytes(dataset: Path, make_context: MakeContext) -> None:
    first, second = (make_context("prepare", {"dataset": dataset}) for _ in range(2))
    _run(first)
    _run(second)
    assert checksums(first.out_dir) == checksums(second.out_dir)


def test_training_queries_can_be_limited(dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": dataset})
    metrics = _run(context, train_queries=8)
    assert metrics["train_queries"] == len(read_seeds(context.out_dir, "train")) == 8
    kept = list(read_queries(context.out_dir))
    assert len(kept) == 14
    assert kept == sorted(kept)
    assert read_json(context.out_dir / "report.json")["left_out"]["train_queries_over_limit"] == 2


def test_similar_queries_are_a_warning_in_the_sentence(dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": dataset})
    metrics = _run(context, similarity=0.3)
    assert metrics["similar_queries"] == 10 * 3 + 10 * 3 + 3 * 3
    assert metrics["sentence"].endswith("; warning: 69 pairs of similar queries across splits")
    assert len(read_json(context.out_dir / "report.json")["leaks"]["examples"]) == 5


def test_pairs_without_splits_are_split_by_the_app(tmp_path: Path, make_context: MakeContext) -> None:
    folder = tmp_path / "pairs"
    write_corpus(folder, _documents(60))
    rows = "".join(f"{_words(number)},d{number:02d}\n" for number in range(50))
    (folder / "pairs.csv").write_text("query,doc_id\n" + rows)
    context = make_context("prepare", {"dataset": folder})
    metrics = _run(context)
    assert (metrics["train_queries"], metrics["dev_queries"], metrics["test_queries"]) == (20, 10, 20)
    assert read_json(context.out_dir / "report.json")["split_by"] == "app"
    assert metrics["pool"] == 40


@pytest.mark.parametrize(
    ("break_it", "error", "reason"),
    [
        (lambda folder: (folder / "corpus.jsonl").unlink(), InputError, r"corpus\.jsonl is missing"),
        (lambda folder: (folder / "queries.jsonl").unlink(), InputError, r"queries\.jsonl is missing"),
        (lambda folder: (folder / "qrels/dev.tsv").unlink(), InputError, r"qrels/dev\.tsv.*held-out"),
        (
            lambda folder: _cut(folder / "corpus.jsonl", 20),
            InputError,
            r"corpus\.jsonl, line 40: cut short or not JSON",
        ),
        (lambda folder: _cut(folder / "qrels/test.tsv", 3), InputError, r"test\.tsv, line 4: 2 columns where 3"),
        (
            lambda folder: _append(folder / "qrels/test.tsv", "q13\td99\t1\n"),
            InputError,
            r"test\.tsv, line 5: the document 'd99' is not in corpus\.jsonl",
        ),
        (
            lambda folder: _append(folder / "qrels/test.tsv", "q99\td01\t1\n"),
            InputError,
            r"test\.tsv, line 5: the query 'q99' is not in queries\.jsonl",
        ),
        (
            lambda folder: _append(folder / "qrels/test.tsv", "q01\td01\t1\n"),
            LeakError,
            "query 'q01' and document 'd01'",
        ),
        (
            lambda folder: _append(folder / "qrels/test.tsv", "q01\td33\t1\n"),
            LeakError,
            "the query 'q01' stands in train",
        ),
        (
            lambda folder: write_labels(folder, [Query("q00", _words(15)), *_queries(17)[1:]], {}),
            LeakError,
            "'q00' in train and 'q15' in test have the same text",
        ),
    ],
)
def test_bad_datasets_get_one_sentence(
    dataset: Path,
    make_context: MakeContext,
    break_it: Callable[[Path], None],
    error: type[Exception],
    reason: str,
) -> None:
    break_it(dataset)
    with pytest.raises(error, match=reason) as caught:
        _run(make_context("prepare", {"dataset": dataset}))
    assert "\n" not in str(caught.value)


def _cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_progress_is_reported_and_a_stop_is_obeyed(
    dataset: Path, make_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_TICK_EVERY", 15)
    seen: list[Progress] = []
    _run(make_context("prepare", {"dataset": dataset}, report=seen.append))
    assert [(progress.done, progress.total) for progress in seen] == [(15, 40), (30, 40), (40, 40)]
    stopped = make_context("prepare", {"dataset": dataset}, should_stop=lambda: True)
    with pytest.raises(Cancelled):
        _run(stopped)
    assert list(stopped.out_dir.iterdir()) == []


def test_the_shared_toy_dataset_is_prepared(toy_dataset: Path, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": toy_dataset})
    metrics = _run(context)
    assert (metrics["documents"], metrics["train_queries"]) == (60, 14)
    assert (metrics["dev_queries"], metrics["test_queries"]) == (12, 12)


_COLLECTIONS = {
    "cranfield": (1398, 2, 50, 50, 125, 347),
    "msmarco-mini": (10179, 0, 49, 128, 43, 50),
}


@pytest.mark.skipif(not os.environ.get("DATASETS"), reason="$DATASETS does not name the folder of test collections")
@pytest.mark.parametrize("name", _COLLECTIONS)
def test_real_collections_are_prepared(name: str, make_context: MakeContext) -> None:
    context = make_context("prepare", {"dataset": Path(os.environ["DATASETS"]) / name})
    metrics = _run(context)
    report = read_json(context.out_dir / "report.json")
    documents, empty, train, dev, test, train_pairs = _COLLECTIONS[name]
    assert (metrics["documents"], metrics["empty_documents"]) == (documents, empty)
    assert (metrics["train_queries"], metrics["dev_queries"], metrics["test_queries"]) == (train, dev, test)
    assert report["splits"]["train"]["judged_pairs"] == train_pairs
    assert report["health"]["language"] == "en"
    assert len(list(read_jsonl(context.out_dir / "pool.jsonl"))) == metrics["pool"]
    assert json.dumps(report)

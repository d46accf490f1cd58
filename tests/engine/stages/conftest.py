"""What the tests of the stage train start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import PrepareConfig, TrainConfig
from sptar_engine.stages import prepare as prepare_stage
from sptar_engine.training.pairs import read_training_set


@pytest.fixture
def prepare(make_context, toy_dataset) -> Path:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare_stage.run(PrepareConfig(), context)
    return context.out_dir


@pytest.fixture
def filtered(prepare, tmp_path) -> Path:
    """Weak queries for thirty documents; every third was dropped."""
    documents = list(read_jsonl(prepare / "corpus.jsonl"))[::2]
    rows = [
        {
            "weak_id": f"w{number}", "query": " ".join(row["text"].split()[1:7]), "doc_id": row["_id"],
            "prompt_id": "p", "rank": number % 3 + 1, "kept": number % 3 < 2, "reason": "" if number % 3 < 2 else "x",
        }
        for number, row in enumerate(documents)
    ]  # fmt: skip
    write_jsonl(tmp_path / "filter" / "ranks.jsonl", rows)
    return tmp_path / "filter"


@pytest.fixture
def make_config(tiny_encoder) -> Callable[..., TrainConfig]:
    fast = {"epochs": 2, "batch_size": 8, "evaluations": 2, "learning_rate": 5e-3, "max_length": 48}
    return lambda **settings: TrainConfig(base=str(tiny_encoder), **(fast | settings))


@pytest.fixture
def mined(prepare, filtered, tmp_path) -> Path:
    """Six hard negatives for each training query, as the stage mine leaves them: the first documents that do not
    answer it."""
    training_set = read_training_set(prepare, filtered, None, 0)
    answers: dict[str, set[str]] = {}
    for pair in training_set.pairs:
        answers.setdefault(pair.query_key, set()).add(pair.doc_id)
    doc_ids = [row["_id"] for row in read_jsonl(prepare / "corpus.jsonl")]
    rows = []
    for key, text in training_set.queries.items():
        others = [doc_id for doc_id in doc_ids if doc_id not in answers[key]][:6]
        negatives = [{"doc_id": doc_id, "source": "bm25", "score": 1.0} for doc_id in others]
        rows.append({"query_key": key, "query": text, "negatives": negatives})
    write_jsonl(tmp_path / "mine" / "negatives.jsonl", rows)
    return tmp_path / "mine"


@pytest.fixture
def taught(prepare, filtered, mined, tmp_path) -> Path:
    """A teacher's scores, as the stage teach leaves them: the own document high, three mined ones falling."""
    training_set = read_training_set(prepare, filtered, None, 0)
    own = {pair.query_key: pair.doc_id for pair in reversed(training_set.pairs)}
    rows = [
        {
            "query_key": row["query_key"],
            "doc_ids": [own[row["query_key"]], *(one["doc_id"] for one in row["negatives"][:3])],
            "scores": [4.0, 2.0, 1.0, 0.0],
        }
        for row in read_jsonl(mined / "negatives.jsonl")
    ]
    write_jsonl(tmp_path / "teach" / "scores.jsonl", rows)
    return tmp_path / "teach"

"""Killed at any moment and started again, generate loses at most one shard, repeats none, and ends with equal bytes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.prompting.prompts import make_prompt, write_prompt
from sptar_engine.records import Document, Query, SeedPair
from tests.engine.stages.killed_runs import LOG

MOMENTS = 35  # of the undisturbed run: 14 batches, and three for each of 5 shards and 2 files
POINTS = 24  # at which a run is killed
ROOT = Path(__file__).resolve().parents[3]
FILES = ("weak.jsonl", "dropped.jsonl")
TWICE = 5  # every fifth run is killed a second time

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to count its threads")


def run_jobs(jobs: list[dict[str, Any]]) -> list[dict[str, int]]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.engine.stages.killed_runs"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=json.dumps(jobs), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def contents(out: Path) -> list[bytes]:
    return [(out / "attempt" / name).read_bytes() for name in FILES]


@pytest.fixture
def inputs(toy_dataset: Path, tmp_path: Path) -> Mapping[str, str]:
    """What prepare and select leave: the toy corpus, all of it as the pool, and a hard prompt with one example."""
    rows = list(read_jsonl(toy_dataset / "corpus.jsonl"))
    prepare, select = tmp_path / "prepare", tmp_path / "select"
    write_jsonl(prepare / "corpus.jsonl", rows)
    write_jsonl(prepare / "pool.jsonl", ({"doc_id": row["_id"]} for row in rows[::-1]))
    example = SeedPair(Query("q", "what is the heron"), Document(rows[1]["_id"], rows[1]["text"], rows[1]["title"]))
    select.mkdir()
    write_prompt(select, make_prompt((example,), None))
    return {"prepare": str(prepare), "select": str(select)}


def test_a_run_killed_anywhere_ends_as_if_nothing_had_happened(
    inputs: Mapping[str, str], tiny_llm: Path, tmp_path: Path
) -> None:
    # Random weights write queries that end anywhere. A shard takes two or three batches.
    config = {
        "model": str(tiny_llm), "documents": 23, "queries": 2, "decoding": "sample", "temperature": 1.5,
        "max_new_tokens": 8, "shard_documents": 5, "batch_tokens": 96, "min_words": 1, "threads": 1,
    }  # fmt: skip

    def job(name: str, kill_at: int = 0) -> dict[str, Any]:
        place = {"out": str(tmp_path / name), "models": str(tmp_path / "models")}
        return {"inputs": inputs, "config": config, "kill_at": kill_at} | place

    rng = random.Random(13)
    kills = sorted(rng.sample(range(1, MOMENTS + 1), POINTS))
    jobs, exits = [job("undisturbed")], [0]
    for number, moment in enumerate(kills):
        again = [rng.randrange(1, 5)] if number % TWICE == 0 else []
        jobs += [job(str(moment), kill_at) for kill_at in (moment, *again, 0)]
        exits += [-signal.SIGKILL, *(-signal.SIGKILL for _ in again), 0]
    outcomes = run_jobs(jobs)
    assert outcomes[0]["moments"] == MOMENTS
    assert [outcome["exit"] for outcome in outcomes] == exits

    expected = contents(tmp_path / "undisturbed")
    for moment in kills:
        out = tmp_path / str(moment)
        assert contents(out) == expected, f"killed at moment {moment}"
        shards = (out / LOG).read_text().split()
        assert len(shards) == len(set(shards)) == 5, f"killed at moment {moment}, a shard was made twice"
    rows = [row for name in FILES for row in read_jsonl(tmp_path / "undisturbed" / "attempt" / name)]
    assert len({row["weak_id"] for row in rows}) == len(rows) == 46


@pytest.mark.bundled
def test_the_bundled_model_killed_half_way_ends_as_if_nothing_had_happened(
    inputs: Mapping[str, str], bundled_llm: Path, tmp_path: Path
) -> None:
    config = {"documents": 4, "shard_documents": 2, "max_new_tokens": 8, "threads": 1}

    def job(name: str, kill_at: int = 0) -> dict[str, Any]:
        place = {"out": str(tmp_path / name), "models": str(bundled_llm.parent)}
        return {"inputs": inputs, "config": config, "kill_at": kill_at} | place

    # The moments of a shard: its batch, its bytes on the disk, before and after it gets its name; 5 is in the second.
    outcomes = run_jobs([job("undisturbed"), job("killed", 5), job("killed")])
    assert [outcome["exit"] for outcome in outcomes] == [0, -signal.SIGKILL, 0]
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert len((tmp_path / "killed" / LOG).read_text().split()) == 2
    assert contents(tmp_path / "killed")[0]

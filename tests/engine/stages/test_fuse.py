"""The stage on the toy dataset: what it tries, what it takes, and that the evaluation does the same."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sptar_engine.artifacts import read_json
from sptar_engine.configs import EvaluateConfig, FuseConfig, PrepareConfig
from sptar_engine.data.beir import read_qrels
from sptar_engine.errors import Cancelled, InputError
from sptar_engine.evaluation.metrics import measure
from sptar_engine.evaluation.trec import read_run
from sptar_engine.records import Hit, Qrels
from sptar_engine.retrieval.fusion import Feedback, Fusion, candidate_fusions, read_fusion, write_fusion
from sptar_engine.stages import evaluate, fuse, prepare
from sptar_engine.training.development import DevelopmentSet


@pytest.fixture
def prepared(toy_dataset, make_context) -> Path:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare.run(PrepareConfig(), context)
    return context.out_dir


@pytest.fixture
def trained(tiny_encoder, tmp_path) -> Path:
    shutil.copytree(tiny_encoder, tmp_path / "train" / "model")
    return tmp_path / "train"


def config(tiny_encoder, **settings) -> FuseConfig:
    return FuseConfig(base=str(tiny_encoder), weights=4, depth=100, **settings)


def test_best_on_the_held_out_queries_is_written(prepared, trained, tiny_encoder, make_context) -> None:
    context = make_context("fuse", {"prepare": prepared, "train": trained})
    metrics = fuse.run(config(tiny_encoder), context).metrics
    row = read_json(context.out_dir / "fusion.json")
    tried = row["dev"]["tried"]
    assert [(one["feedback_rate"], one["weight"]) for one in tried] == [
        (rate, weight) for rate in (0.0, 0.5, 1.0) for weight in (None, 0.5, 0.25, 0.75, 0.0, 1.0)
    ]
    best = max(one["nDCG@10"] for one in tried)
    first = next(one for one in tried if one["nDCG@10"] == best)
    assert (row["method"], row["weight"]) == (first["method"], first["weight"])
    assert metrics["feedback_rate"] == (row["feedback"] or {"rate": 0.0})["rate"] == first["feedback_rate"]
    assert metrics["dev_nDCG@10"] == best
    # The weights at the ends are the sides alone.
    assert metrics["dev_nDCG@10_bm25"] == row["dev"]["bm25"]
    assert f"{row['dev']['bm25']:.3f} of keyword search" in metrics["sentence"]
    assert best >= max(row["dev"]["bm25"], row["dev"]["dense"]) - 1e-9


def test_untrained_base_stands_in_where_nothing_is_trained(prepared, trained, tiny_encoder, make_context) -> None:
    with_model = make_context("fuse", {"prepare": prepared, "train": trained})
    without = make_context("fuse", {"prepare": prepared})
    for context in (with_model, without):
        fuse.run(config(tiny_encoder), context)
    assert (with_model.out_dir / "fusion.json").read_bytes() == (without.out_dir / "fusion.json").read_bytes()


@pytest.mark.parametrize("method", ["reciprocal_rank", "weighted"])
def test_method_that_is_asked_for_is_taken(prepared, tiny_encoder, make_context, method) -> None:
    context = make_context("fuse", {"prepare": prepared})
    metrics = fuse.run(config(tiny_encoder, method=method), context).metrics
    assert metrics["method"] == method
    assert ("weight" in metrics) is (method == "weighted")


def test_evaluation_ranks_with_the_fusion(prepared, tiny_encoder, make_context) -> None:
    fused = make_context("fuse", {"prepare": prepared})
    fuse.run(config(tiny_encoder, method="weighted"), fused)
    context = make_context("evaluate", {"prepare": prepared, "fuse": fused.out_dir})
    evaluate.run(EvaluateConfig(retriever="hybrid", base=str(tiny_encoder)), context)
    sides = {}
    for retriever in ("bm25", "dense"):
        side = make_context("evaluate", {"prepare": prepared})
        evaluate.run(EvaluateConfig(retriever=retriever, base=str(tiny_encoder)), side)
        sides[retriever] = read_run(side.out_dir / "run.trec")
    run = read_run(context.out_dir / "run.trec")
    expected = read_fusion(fused.out_dir).fuse(sides["bm25"], sides["dense"], 100)
    qrels = read_qrels(prepared, "test")
    assert measure(qrels, run).mean["nDCG@10"] == pytest.approx(measure(qrels, expected).mean["nDCG@10"], abs=0.02)


def test_hybrid_without_a_fusion_is_refused(prepared, tiny_encoder, make_context) -> None:
    with pytest.raises(InputError, match="result of fuse"):
        evaluate.run(
            EvaluateConfig(retriever="hybrid", base=str(tiny_encoder)), make_context("evaluate", {"prepare": prepared})
        )


def test_pool_is_all_that_is_searched(prepared, tiny_encoder, make_context) -> None:
    told = []
    context = make_context("fuse", {"prepare": prepared}, report=told.append)
    fuse.run(config(tiny_encoder, dev_pool=20), context)
    # Nor is a second look tried there.
    assert {one["feedback_rate"] for one in read_json(context.out_dir / "fusion.json")["dev"]["tried"]} == {0.0}
    assert {progress.total for progress in told if progress.message == "documents encoded"} == {20}


def test_files_are_the_same_again_and_the_stage_stops(prepared, tiny_encoder, make_context) -> None:
    first, second = (make_context("fuse", {"prepare": prepared}) for _ in range(2))
    with pytest.raises(Cancelled):
        fuse.run(config(tiny_encoder), make_context("fuse", {"prepare": prepared}, should_stop=lambda: True))
    fuse.run(config(tiny_encoder), first)
    fuse.run(config(tiny_encoder), second)
    assert (first.out_dir / "fusion.json").read_bytes() == (second.out_dir / "fusion.json").read_bytes()


def test_second_look_goes_by_the_best_first_one(prepared, tiny_encoder, make_context, monkeypatch) -> None:
    looks = []
    look_again = fuse.look_again

    def spy(ranker, queries, lexical, dense, feedback, *rest):
        looks.append(feedback)
        return look_again(ranker, queries, lexical, dense, feedback, *rest)

    monkeypatch.setattr(fuse, "look_again", spy)
    once, twice = (make_context("fuse", {"prepare": prepared}) for _ in range(2))
    fuse.run(config(tiny_encoder, feedback=0), once)
    assert not looks and read_json(once.out_dir / "fusion.json")["feedback"] is None
    fuse.run(config(tiny_encoder, feedback=2), twice)
    assert looks == [Feedback(read_fusion(once.out_dir), 2, rate) for rate in (0.5, 1.0)]


def test_evaluation_looks_as_often_as_the_fusion_says(prepared, tiny_encoder, make_context) -> None:
    runs = []
    first = Fusion("weighted", 0.5, 60, 100)
    for fusion in (first, replace(first, feedback=Feedback(first, 2, 1.0))):
        fused, context = make_context("fuse", {}), make_context("evaluate", {"prepare": prepared})
        write_fusion(fused.out_dir, fusion, {})
        context.inputs["fuse"] = fused.out_dir
        evaluate.run(EvaluateConfig(retriever="hybrid", base=str(tiny_encoder)), context)
        runs.append(read_run(context.out_dir / "run.trec"))
    assert runs[0].keys() == runs[1].keys() and runs[0] != runs[1]


def silent(done: int, total: int, message: str) -> None:
    """No report."""


def test_of_equal_ones_the_simplest_is_chosen() -> None:
    development = DevelopmentSet({"q": "a"}, Qrels({"q": {"a": 1}}), {"a": "a", "b": "b"})
    both_right = {"q": [Hit("a", 2.0), Hit("b", 1.0)]}
    tried = candidate_fusions("chosen", 4, 60, 10)
    best = fuse.best_of(fuse.try_fusions(tried, both_right, both_right, development, silent))
    assert best.fusion.method == "reciprocal_rank" and best.fusion.feedback is None
    wrong = {"q": [Hit("b", 2.0), Hit("a", 1.0)]}
    weighted = candidate_fusions("weighted", 4, 60, 10)
    # With equal shares the two tie, and the tie falls to "a", which is right.
    assert fuse.best_of(fuse.try_fusions(weighted, wrong, both_right, development, silent)).fusion.weight == 0.5
    measured = fuse.try_fusions(weighted[1:], wrong, both_right, development, silent)
    assert fuse.best_of(measured).fusion.weight == 0.75
    assert [one.score for one in measured] == pytest.approx([1 / math.log2(3), 1.0, 1 / math.log2(3), 1.0])


def test_sentence_reads_the_choice() -> None:
    alone = {"bm25": 0.3, "dense": 0.4}
    by_rank = fuse.summarise(Fusion("reciprocal_rank", None, 60, 10), 0.5, alone)["sentence"]
    assert by_rank.startswith("Their ranks are put together: nDCG@10 0.500 on the held-out questions")
    by_score = fuse.summarise(Fusion("weighted", 0.7, 60, 10), 0.5, alone)["sentence"]
    assert by_score.startswith("Keyword search counts 30%, the bi-encoder 70%: ")
    twice = replace(first := Fusion("weighted", 0.7, 60, 10), feedback=Feedback(first, 3, 0.5))
    assert fuse.summarise(twice, 0.5, alone)["sentence"].startswith(
        "Keyword search counts 30%, the bi-encoder 70%; the bi-encoder searches twice, the second time for what the "
        "question and the first 3 documents found have in common: nDCG@10 0.500"
    )

"""Stored runs by other judgements, worked out by hand, and a reader of a few lines against the reader of all."""

from __future__ import annotations

import subprocess
import sys
from math import log2
from pathlib import Path

import pytest

from sptar_engine.errors import ArtifactError, InputError
from sptar_engine.evaluation.compare import compare
from sptar_engine.evaluation.rescore import compare_each, compare_experiments, rescore, score_runs
from sptar_engine.evaluation.run_lines import first_hits
from sptar_engine.evaluation.trec import read_run, write_run
from sptar_engine.records import Hit, Qrels


def run_file(path: Path, rankings: dict[str, list[str]]) -> Path:
    hits = {query: [Hit(doc, -float(at)) for at, doc in enumerate(docs)] for query, docs in rankings.items()}
    write_run(path, hits, "tag")
    return path


def test_a_new_judgement_changes_the_value_as_worked_out_by_hand(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.trec", {"q1": ["a", "b", "c"]})
    # Only c is relevant, at rank 3: 1 / log2(4). With a judged relevant too the ideal is 1 + 1 / log2(3).
    before = score_runs([run], Qrels({"q1": {"c": 1}}))
    assert before["nDCG@10"]["q1"] == pytest.approx(0.5)
    assert before["RR@10"]["q1"] == pytest.approx(1 / 3)
    after = score_runs([run], Qrels({"q1": {"a": 1, "b": 0, "c": 1}}))
    assert after["nDCG@10"]["q1"] == pytest.approx((1 + 0.5) / (1 + 1 / log2(3)))
    assert after["Judged@10"]["q1"] == pytest.approx(1.0)


def test_runs_of_several_seeds_are_averaged_per_query_first(tmp_path: Path) -> None:
    first = run_file(tmp_path / "1.trec", {"q1": ["a", "b"]})
    second = run_file(tmp_path / "2.trec", {"q1": ["b", "a"]})
    scores = score_runs([first, second], Qrels({"q1": {"a": 1}}))
    assert scores["RR@10"]["q1"] == pytest.approx((1 + 0.5) / 2)


def test_a_query_without_hits_scores_0_and_one_without_a_relevant_document_does_not_count(tmp_path: Path) -> None:
    run = run_file(tmp_path / "run.trec", {"q1": ["a"]})
    scores = score_runs([run], Qrels({"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 0}}))
    assert scores["nDCG@10"] == {"q1": 1.0, "q2": 0.0}
    with pytest.raises(InputError, match="nothing can be measured"):
        score_runs([run], Qrels({"q1": {"a": 0}}))


def test_all_arms_are_compared_by_the_new_judgements(tmp_path: Path) -> None:
    queries = [f"q{number}" for number in range(40)]
    good = run_file(tmp_path / "good.trec", {query: ["a", "b"] for query in queries})
    bad = run_file(tmp_path / "bad.trec", {query: ["b", "a"] for query in queries})
    scores, table = rescore({"bm25": [bad], "sptar": [good]}, Qrels({query: {"a": 1} for query in queries}))
    assert scores["sptar"]["nDCG@10"]["q0"] == 1.0
    assert table["sptar"]["versus"]["bm25"]["verdict"] == "better"
    assert table["bm25"]["versus"]["sptar"]["difference"] == pytest.approx(1 / log2(3) - 1)


def test_several_pairs_are_one_family(tmp_path: Path) -> None:
    ones = {f"q{number}": 1.0 for number in range(5)}
    zeros = dict.fromkeys(ones, 0.0)
    alone = compare(ones, zeros)
    both = compare_each({"x": (ones, zeros), "y": (ones, zeros)})
    assert alone.p == pytest.approx(2 / 32)
    assert both["x"].p == both["y"].p == pytest.approx(4 / 32)
    assert compare_each({}) == {}


def test_an_arm_that_did_not_change_is_shown_and_is_no_test() -> None:
    before = {"nDCG@10": {f"q{number}": 0.0 for number in range(6)}}
    after = {"nDCG@10": {f"q{number}": 1.0 for number in range(6)}}
    found = compare_experiments({"bm25": before, "sptar": before, "gone": before}, {"bm25": before, "sptar": after},
                                ["bm25"])  # fmt: skip
    assert list(found) == ["bm25", "sptar"]
    assert found["bm25"]["versus"]["difference"] == 0.0
    assert found["sptar"]["versus"]["p"] == pytest.approx(2 / 64)  # not doubled by the arm that is the same
    assert found["sptar"]["after"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


def test_a_few_lines_are_read_as_the_whole_file_is(tmp_path: Path) -> None:
    rankings = {"1": ["a", "b", "c"], "11": ["d"], "a b%": ["x y", "é", "q/%"], "last": ["z"]}
    path = run_file(tmp_path / "run.trec", rankings)
    whole = {query: [hit.doc_id for hit in hits] for query, hits in read_run(path).items()}
    assert whole == rankings
    for query, docs in rankings.items():
        assert first_hits(path, query, 10) == docs
        assert first_hits(path, query, 2) == docs[:2]
    assert first_hits(path, "nothing", 10) == []
    assert first_hits(path, "", 10) == []


def test_a_missing_empty_or_broken_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="missing"):
        first_hits(tmp_path / "run.trec", "1", 10)
    (tmp_path / "run.trec").write_bytes(b"")
    assert first_hits(tmp_path / "run.trec", "1", 10) == []
    (tmp_path / "run.trec").write_bytes(b"1 Q0 \xff\xfe 1 2 t\n")
    with pytest.raises(ArtifactError, match="not a run file"):
        first_hits(tmp_path / "run.trec", "1", 10)


def test_reading_a_few_lines_loads_no_arrays() -> None:
    code = "import sys, sptar_engine.evaluation.run_lines; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_repeated_trainings_keep_their_spread(tmp_path: Path) -> None:
    first = run_file(tmp_path / "1.trec", {"q1": ["a", "b"]})
    second = run_file(tmp_path / "2.trec", {"q1": ["b", "a"]})
    _, table = rescore({"bm25": [first], "sptar": [first, second]}, Qrels({"q1": {"a": 1}}))
    means = [1.0, 1 / log2(3)]
    assert table["sptar"]["seeds"] == {
        "count": 2, "nDCG@10": pytest.approx(means), "spread": pytest.approx(abs(means[0] - means[1]) / 2**0.5),
    }  # fmt: skip
    assert "seeds" not in table["bm25"]

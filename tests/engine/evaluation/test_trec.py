"""Run files: any tool reads our order, and an id cannot break a line."""

from itertools import pairwise

import ir_measures
import numpy as np
import pytest
from ir_measures import RR

from sptar_engine.errors import ArtifactError
from sptar_engine.evaluation.trec import read_run, write_run
from sptar_engine.records import Hit


def test_line_has_the_six_fields(tmp_path) -> None:
    write_run(tmp_path / "run.trec", {"q1": [Hit("d1", 2.5), Hit("d2", 1.0)]}, "sptar")
    assert (tmp_path / "run.trec").read_text() == "q1 Q0 d1 1 2.5 sptar\nq1 Q0 d2 2 1.0 sptar\n"


def test_equal_scores_fall_strictly_and_stay_in_order(tmp_path) -> None:
    hits = [Hit("b", 0.5), Hit("c", 0.5), Hit("a", 0.5), Hit("z", 0.5 - 1e-12), Hit("y", 0.25)]
    write_run(tmp_path / "run.trec", {"q": hits}, "x")
    scores = [np.float32(hit.score) for hit in read_run(tmp_path / "run.trec")["q"]]  # as trec_eval holds them
    assert all(later < earlier for earlier, later in pairwise(scores))
    assert scores[-1] == 0.25


def test_trec_eval_reads_our_order(tmp_path) -> None:
    # trec_eval puts the larger id first among equal scores: with ties left in, "b" would come before "a".
    write_run(tmp_path / "run.trec", {"q": [Hit("a", 12.5), Hit("b", 12.5)]}, "x")
    run = ir_measures.read_trec_run(str(tmp_path / "run.trec"))
    assert ir_measures.pytrec_eval.calc_aggregate([RR], {"q": {"a": 1}}, run) == {RR: 1.0}


def test_zero_and_negative_scores_fall_too(tmp_path) -> None:
    write_run(tmp_path / "run.trec", {"q": [Hit("a", 0.0), Hit("b", 0.0), Hit("c", -0.5), Hit("d", -0.5)]}, "x")
    scores = [np.float32(hit.score) for hit in read_run(tmp_path / "run.trec")["q"]]
    assert all(later < earlier for earlier, later in pairwise(scores))


@pytest.mark.parametrize(
    "odd", ["a b", "tab\there", "100%", "%20", "日本", "a/b?c=d&e", "line\u2028break", "q'uo\"te", "\x85"]
)
def test_odd_ids_come_back_as_they_were(tmp_path, odd) -> None:
    write_run(tmp_path / "run.trec", {odd: [Hit(odd, 1.0)]}, "x")
    text = (tmp_path / "run.trec").read_text()
    assert len(text.splitlines()) == 1 and len(text.split()) == 6
    assert read_run(tmp_path / "run.trec") == {odd: [Hit(odd, 1.0)]}


def test_cut_line_is_named(tmp_path) -> None:
    (tmp_path / "run.trec").write_text("q Q0 d 1 2.0 x\nq Q0 d")
    with pytest.raises(ArtifactError, match=r"run\.trec, line 2"):
        read_run(tmp_path / "run.trec")


def test_missing_run_is_named(tmp_path) -> None:
    with pytest.raises(ArtifactError, match=r"run\.trec is missing"):
        read_run(tmp_path / "run.trec")


def test_letters_of_other_scripts_stay_readable(tmp_path) -> None:
    write_run(tmp_path / "run.trec", {"früh": [Hit("日本", 1.0)]}, "x")
    assert (tmp_path / "run.trec").read_text(encoding="utf-8") == "früh Q0 日本 1 1.0 x\n"

"""Run files: any tool reads our order, and an id cannot break a line."""

import ir_measures
import pytest

from sptar_engine.errors import ArtifactError
from sptar_engine.evaluation.trec import read_run, write_run
from sptar_engine.records import Hit


def test_line_has_the_six_fields(tmp_path) -> None:
    write_run(tmp_path / "run.trec", {"q1": [Hit("d1", 2.5), Hit("d2", 1.0)]}, "sptar")
    assert (tmp_path / "run.trec").read_text() == "q1 Q0 d1 1 2.5 sptar\nq1 Q0 d2 2 1.0 sptar\n"


def test_equal_scores_fall_strictly_and_stay_in_order(tmp_path) -> None:
    hits = [Hit("b", 0.0), Hit("c", 0.0), Hit("a", 0.0), Hit("z", -1e-12)]
    write_run(tmp_path / "run.trec", {"q": hits}, "x")
    scores = [hit.score for hit in read_run(tmp_path / "run.trec")["q"]]
    assert all(later < earlier for earlier, later in zip(scores, scores[1:], strict=False))
    theirs = sorted(ir_measures.read_trec_run(str(tmp_path / "run.trec")), key=lambda row: -row.score)
    assert [row.doc_id for row in theirs] == ["b", "c", "a", "z"]


@pytest.mark.parametrize("odd", ["a b", "tab\there", "100%", "%20", "日本", "a/b?c=d&e", "line\u2028break", "q'uo\"te"])
def test_odd_ids_come_back_as_they_were(tmp_path, odd) -> None:
    write_run(tmp_path / "run.trec", {odd: [Hit(odd, 1.0)]}, "x")
    text = (tmp_path / "run.trec").read_text()
    assert len(text.splitlines()) == 1 and len(text.split()) == 6
    assert read_run(tmp_path / "run.trec") == {odd: [Hit(odd, 1.0)]}


def test_cut_line_is_named(tmp_path) -> None:
    (tmp_path / "run.trec").write_text("q Q0 d 1 2.0 x\nq Q0 d")
    with pytest.raises(ArtifactError, match=r"run\.trec, line 2"):
        read_run(tmp_path / "run.trec")

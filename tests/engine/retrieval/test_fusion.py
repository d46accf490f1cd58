"""Two rankings put together, by hand."""

import json
import subprocess
import sys

import pytest

from sptar_engine.errors import ArtifactError
from sptar_engine.records import Hit
from sptar_engine.retrieval.fusion import Feedback, Fusion, candidate_fusions, read_fusion, write_fusion

WORDS = {"q": [Hit("a", 9.0), Hit("b", 5.0), Hit("c", 1.0)]}
MEANING = {"q": [Hit("b", 0.8), Hit("d", 0.6), Hit("a", 0.4)]}


def scores(fusion: Fusion, depth: int = 10) -> dict[str, float]:
    return {hit.doc_id: hit.score for hit in fusion.fuse(WORDS, MEANING, depth)["q"]}


def test_reciprocal_ranks_add_up() -> None:
    found = scores(Fusion("reciprocal_rank", None, 60, 10))
    assert found == pytest.approx({"b": 1 / 62 + 1 / 61, "a": 1 / 61 + 1 / 63, "d": 1 / 62, "c": 1 / 63})
    assert list(found) == ["b", "a", "d", "c"]


def test_scores_brought_to_one_add_up_by_weight() -> None:
    found = scores(Fusion("weighted", 0.75, 60, 10))
    assert found == pytest.approx({"b": 0.25 * 0.5 + 0.75, "d": 0.75 * 0.5, "a": 0.25, "c": 0.0})
    assert list(found) == ["b", "d", "a", "c"]


@pytest.mark.parametrize(("weight", "order"), [(0.0, ["a", "b", "c", "d"]), (1.0, ["b", "d", "a", "c"])])
def test_weight_at_its_ends_is_one_side_alone(weight, order) -> None:
    assert list(scores(Fusion("weighted", weight, 60, 10))) == order  # what has no score there stands by its id


def test_only_the_first_hits_of_each_side_count() -> None:
    assert scores(Fusion("reciprocal_rank", None, 60, 1)) == pytest.approx({"a": 1 / 61, "b": 1 / 61})
    assert list(scores(Fusion("reciprocal_rank", None, 60, 1))) == ["a", "b"]
    assert list(scores(Fusion("reciprocal_rank", None, 60, 10), 2)) == ["b", "a"]


def test_equal_scores_all_count_whole() -> None:
    fused = Fusion("weighted", 0.5, 60, 10).fuse({"q": [Hit("a", 2.0), Hit("b", 2.0)]}, {"q": [Hit("c", 0.1)]}, 10)
    assert fused["q"] == [Hit("a", 0.5), Hit("b", 0.5), Hit("c", 0.5)]


def test_query_that_one_side_does_not_know_has_the_hits_of_the_other() -> None:
    fused = Fusion("weighted", 0.5, 60, 10).fuse({"q": []}, {"q": [Hit("a", 0.3)], "r": []}, 10)
    assert fused == {"q": [Hit("a", 0.5)], "r": []}


def test_candidates_begin_with_the_simplest() -> None:
    tried = candidate_fusions("chosen", 4, 60, 100)
    assert [one.weight for one in tried] == [None, 0.5, 0.25, 0.75, 0.0, 1.0]
    assert [one.method for one in candidate_fusions("reciprocal_rank", 4, 60, 100)] == ["reciprocal_rank"]
    assert {one.method for one in candidate_fusions("weighted", 4, 60, 100)} == {"weighted"}


@pytest.mark.parametrize(
    "fusion",
    [
        Fusion("weighted", 0.35, 60, 1000),
        Fusion("reciprocal_rank", None, 10, 50),
        Fusion("weighted", 0.8, 60, 1000, Feedback(Fusion("reciprocal_rank", None, 60, 1000), 3, 0.5)),
    ],
)
def test_fusion_is_read_back(fusion, tmp_path) -> None:
    write_fusion(tmp_path, fusion, {"bm25": 0.3})
    assert read_fusion(tmp_path) == fusion
    assert json.loads((tmp_path / "fusion.json").read_text())["dev"] == {"bm25": 0.3}


def test_broken_fusion_is_refused(tmp_path) -> None:
    with pytest.raises(ArtifactError, match="missing"):
        read_fusion(tmp_path)
    for text in ('{"method": "weighted"}', "[]", '{"method": "weighted", "weight": 1, "feedback": {"rate": 1}}'):
        (tmp_path / "fusion.json").write_text(text)
        with pytest.raises(ArtifactError, match="is not whole"):
            read_fusion(tmp_path)


def test_fusion_of_a_version_without_second_looks_is_read(tmp_path) -> None:
    row = {"method": "weighted", "weight": 0.5, "rank_constant": 60, "depth": 1000, "dev": {}}
    (tmp_path / "fusion.json").write_text(json.dumps(row))
    assert read_fusion(tmp_path) == Fusion("weighted", 0.5, 60, 1000)


def test_fusing_loads_no_tensor_library() -> None:
    code = "import sys, sptar_engine.retrieval.fusion as _; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

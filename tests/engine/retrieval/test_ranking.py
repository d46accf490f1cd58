"""What every ranker keeps to, and what it takes to open one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from sptar_engine.errors import Cancelled, ConfigError, InputError
from sptar_engine.records import rank_hits
from sptar_engine.retrieval.dense_ranking import DenseRanker
from sptar_engine.retrieval.fusion import Feedback, Fusion
from sptar_engine.retrieval.ranking import open_ranker
from tests.engine.retrieval.conftest import QUERIES, TEXTS

KINDS = {
    "bm25": None, "dense": "bi_encoder", "late_interaction": "late_interaction", "cross_encoder": "cross_encoder",
    "sparse": "sparse", "hybrid": "bi_encoder",
}  # fmt: skip


@pytest.fixture
def make_ranker(space, family_folder):
    def make(kind: str):
        family = KINDS[kind]
        fusion = Fusion("weighted", 0.5, 60, 100) if kind == "hybrid" else None
        return open_ranker(kind, space, model=family_folder(family) if family else None, fusion=fusion)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_hits_are_in_order_and_cut_and_the_same_again(make_ranker, kind) -> None:
    told = []
    whole = make_ranker(kind).rank(QUERIES, 10, lambda *progress: told.append(progress))
    assert list(whole) == list(QUERIES)
    for hits in whole.values():
        assert hits == rank_hits(hits)
        assert {hit.doc_id for hit in hits} <= TEXTS.keys()
    assert told
    assert all(done <= total for done, total, _ in told)
    cut = make_ranker(kind).rank(QUERIES, 2, lambda *_: None)
    assert cut == {query_id: list(hits)[:2] for query_id, hits in whole.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_ranking_stops_when_asked(make_ranker, kind) -> None:
    def stop(done, total, message):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        make_ranker(kind).rank(QUERIES, 10, stop)


@pytest.mark.parametrize("kind", ["dense", "late_interaction", "cross_encoder", "sparse", "hybrid"])
def test_kind_without_a_model_is_refused(space, kind) -> None:
    with pytest.raises(InputError, match="needs a trained model"):
        open_ranker(kind, space)


def test_hybrid_without_a_fusion_and_unknown_kind_are_refused(space, family_folder) -> None:
    with pytest.raises(InputError, match="needs the result of fuse"):
        open_ranker("hybrid", space, model=family_folder("bi_encoder"))
    with pytest.raises(ConfigError, match="magic"):
        open_ranker("magic", space, model=family_folder("bi_encoder"))


def test_hybrid_is_its_sides_put_together(make_ranker) -> None:
    fused = make_ranker("hybrid").rank(QUERIES, 10, lambda *_: None)
    sides = [make_ranker(kind).rank(QUERIES, 100, lambda *_: None) for kind in ("bm25", "dense")]
    assert fused == Fusion("weighted", 0.5, 60, 100).fuse(*sides, 10)


def test_hybrid_with_feedback_is_put_together_after_a_second_look(space, family_folder) -> None:
    folder = family_folder("bi_encoder")
    first = Fusion("weighted", 0.5, 60, 100)
    hybrid = open_ranker("hybrid", space, model=folder, fusion=replace(first, feedback=Feedback(first, 2, 1.0)))
    sides = [open_ranker(kind, space, model=folder).rank(QUERIES, 100, lambda *_: None) for kind in ("bm25", "dense")]
    found = first.fuse(*sides, 2)
    again = DenseRanker(space, folder).rank_moved(QUERIES, found, 1.0, 100, lambda *_: None)
    assert again != sides[1]
    assert hybrid.rank(QUERIES, 10, lambda *_: None) == first.fuse(sides[0], again, 10)


def test_documents_that_a_query_moves_towards_come_nearer(space, family_folder) -> None:
    ranker = DenseRanker(space, family_folder("bi_encoder"))
    before = ranker.rank(QUERIES, 100, lambda *_: None)
    last = {query_id: [hits[-1]] for query_id, hits in before.items()}
    after = ranker.rank_moved(QUERIES, last, 1.0, 100, lambda *_: None)
    for query_id, (hit,) in last.items():
        assert {one.doc_id: one.score for one in after[query_id]}[hit.doc_id] > hit.score
    still = ranker.rank_moved(QUERIES, {}, 1.0, 100, lambda *_: None)
    for query_id, hits in before.items():
        assert [hit.doc_id for hit in still[query_id]] == [hit.doc_id for hit in hits]
    # Other queries are encoded anew.
    other = {"other": next(iter(QUERIES.values()))}
    assert ranker.rank(other, 5, lambda *_: None)["other"] == before[next(iter(QUERIES))][:5]


def test_ranking_by_keywords_loads_no_torch(space) -> None:
    code = (
        "import sys; from pathlib import Path; from sptar_engine.retrieval.ranking import SearchSpace, open_ranker;"
        f"space = SearchSpace(dataset=Path({str(space.dataset)!r}), cache=Path({str(space.cache)!r}));"
        "open_ranker('bm25', space); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

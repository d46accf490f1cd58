import numpy as np

from sptar_engine.records import Hit
from sptar_engine.retrieval.best_hits import BestHits, places_by_id

IDS = ["c", "a", "b"]


def rank(scores: list[list[float]], depth: int, ids: list[str] = IDS) -> dict[str, list[Hit]]:
    sorted_ids, places = places_by_id(ids)
    found = BestHits.of_block(np.array(scores, np.float32), places, depth)
    return BestHits.none().merged(found, depth).rankings([f"q{row}" for row in range(len(scores))], sorted_ids)


def test_hits_are_by_falling_score_then_by_id() -> None:
    assert rank([[1.0, 0.5, 1.0], [-2.0, -1.0, -1.5]], 3) == {
        "q0": [Hit("b", 1.0), Hit("c", 1.0), Hit("a", 0.5)],
        "q1": [Hit("a", -1.0), Hit("b", -1.5), Hit("c", -2.0)],
    }


def test_tie_at_the_cut_falls_to_the_smaller_id() -> None:
    assert rank([[1.0, 0.5, 1.0]], 1) == {"q0": [Hit("b", 1.0)]}


def test_minus_zero_ties_with_zero() -> None:
    assert rank([[-0.0, 0.0, -0.0]], 3) == {"q0": [Hit("a", 0.0), Hit("b", 0.0), Hit("c", 0.0)]}


def test_blocks_one_after_another_give_what_one_block_gives() -> None:
    scores = np.random.default_rng(0).integers(-3, 3, (4, 40)).astype(np.float32)
    sorted_ids, places = places_by_id([f"d{number:02d}" for number in range(40)][::-1])
    best = BestHits.none()
    for start in range(0, 40, 7):
        block = slice(start, start + 7)
        best = best.merged(BestHits.of_block(scores[:, block], places[block], 5), 5)
    whole = BestHits.none().merged(BestHits.of_block(scores, places, 40), 5)
    assert best.rankings("abcd", sorted_ids) == whole.rankings("abcd", sorted_ids)


def test_query_without_a_hit_has_an_empty_list() -> None:
    assert BestHits.none().rankings(["q"], []) == {"q": []}

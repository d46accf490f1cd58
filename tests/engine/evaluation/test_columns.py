"""Which comparisons are read together: the columns of the grid, arms at equal pairs, an arm and its variants."""

from itertools import permutations

import numpy as np
import pytest

from sptar_engine.evaluation.columns import columns
from sptar_engine.evaluation.compare import compare, compare_arms, holm


def test_arms_with_one_family_are_one_group() -> None:
    assert columns(["bm25", "zero_shot", "sptar"]) == [("bm25", "zero_shot", "sptar")]


def test_each_family_stands_with_its_untrained_counterpart() -> None:
    cells = [
        "bm25", "zero_shot", "zero_shot/hybrid", "seeds_only", "sptar", "seeds_only/late_interaction",
        "sptar/late_interaction", "seeds_only/hybrid", "sptar/hybrid",
    ]  # fmt: skip
    assert columns(cells) == [
        ("bm25", "zero_shot", "seeds_only", "sptar"),
        ("bm25", "zero_shot", "seeds_only/late_interaction", "sptar/late_interaction"),
        ("bm25", "zero_shot/hybrid", "seeds_only/hybrid", "sptar/hybrid"),
    ]


def test_variants_stand_with_their_arm_and_equal_pairs_with_each_other() -> None:
    variants = ["sptar:without_filter", "sptar:with_negatives"]
    cells = ["inpars", "sptar", *variants, "inpars:equal_pairs", "sptar:equal_pairs"]
    assert columns(cells) == [
        ("inpars", "sptar"),
        ("inpars:equal_pairs", "sptar:equal_pairs"),
        ("sptar", *variants),
    ]


def test_family_that_is_not_in_the_grid_has_no_group() -> None:
    assert columns(["bm25"]) == []


@pytest.fixture
def grid() -> dict:
    rng = np.random.default_rng(3)
    cells = ("bm25", "zero_shot", "sptar", "sptar/late_interaction", "sptar/cross_encoder")
    rows = {name: rng.random(50) for name in cells}
    return {name: {"nDCG@10": {f"q{n}": float(v) for n, v in enumerate(row)}} for name, row in rows.items()}


def test_adjustment_counts_only_the_comparisons_of_a_column(grid) -> None:
    found = compare_arms(grid)
    values = {name: row["nDCG@10"] for name, row in grid.items()}
    raw = {(one, other): compare(values[one], values[other]).p for one, other in permutations(grid, 2)}

    def adjusted(one: str, other: str, group: tuple[str, ...]) -> float:
        ways = ((one, other), (other, one))
        return max(holm({x: raw[x, b] for x in group if x != b})[a] for a, b in ways)

    for family in ("/late_interaction", "/cross_encoder"):
        column = ("bm25", "zero_shot", f"sptar{family}")
        expected = adjusted(f"sptar{family}", "zero_shot", column)
        assert found[f"sptar{family}"]["versus"]["zero_shot"]["p"] == expected
    everything = adjusted("sptar", "sptar/cross_encoder", tuple(grid))
    assert found["sptar"]["versus"]["sptar/cross_encoder"]["p"] == everything


def test_another_family_in_the_grid_changes_no_verdict_of_a_column(grid) -> None:
    alone = compare_arms({name: grid[name] for name in ("bm25", "zero_shot", "sptar")})
    assert compare_arms(grid)["sptar"]["versus"]["bm25"] == alone["sptar"]["versus"]["bm25"]

"""Documents that take turns among topics: by hand, and on vectors whose topics are known."""

from __future__ import annotations

import numpy as np
import pytest

from sptar_engine.data import diversity
from sptar_engine.data.diversity import Vectors, group, spread_rows, take_turns


def _blobs(*sizes: int, dimensions: int = 16, seed: int = 0) -> Vectors:
    """Unit vectors in tight bundles along different axes, one bundle after the other."""
    random = np.random.default_rng(seed)
    centres = np.eye(dimensions)[np.repeat(np.arange(len(sizes)), sizes)]
    points = centres + 0.05 * random.standard_normal(centres.shape)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize(
    ("topics", "count", "places"),
    [
        ([5, 5, 5, 2, 2, 9], 6, [0, 3, 5, 1, 4, 2]),  # the largest first, each in its own order
        ([5, 5, 5, 2, 2, 9], 4, [0, 3, 5, 1]),
        ([1, 0, 1, 0], 3, [1, 0, 3]),  # of equal size the lower number first
        ([7, 7], 5, [0, 1]),
        ([], 3, []),
    ],
)
def test_topics_take_turns(topics: list[int], count: int, places: list[int]) -> None:
    assert take_turns(topics, count) == places


def test_bundles_of_vectors_are_the_topics() -> None:
    topics = group(_blobs(50, 7, 20), 3, seed=13)
    assert [len(set(part.tolist())) for part in (topics[:50], topics[50:57], topics[57:])] == [1, 1, 1]
    assert len(set(topics.tolist())) == 3


def test_rare_topics_are_as_present_as_common_ones() -> None:
    rows, topics = spread_rows(_blobs(90, 3, 3, 4), 10, seed=13)
    assert topics == 10  # the square root of 100, so the large bundle is several
    assert [sum(low <= row < high for row in rows) for low, high in ((0, 90), (90, 93), (93, 96), (96, 100))] == [
        7, 1, 1, 1,
    ]  # fmt: skip


def test_every_row_is_taken_when_all_are_wanted() -> None:
    rows, _ = spread_rows(_blobs(5, 4), 9, seed=1)
    assert sorted(rows) == list(range(9))


def test_the_same_vectors_give_the_same_rows_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = _blobs(30, 30, 5)
    before = spread_rows(vectors, 20, seed=7)
    monkeypatch.setattr(diversity, "_BLOCK", 11)
    assert spread_rows(vectors, 20, seed=7) == before


def test_centres_of_a_sample_serve_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "_SAMPLE", 40)
    topics = group(_blobs(60, 60, 60), 3, seed=13)
    assert [len(set(topics[start : start + 60].tolist())) for start in (0, 60, 120)] == [1, 1, 1]


def test_equal_vectors_are_one_topic() -> None:
    rows, topics = spread_rows(np.ones((6, 4), dtype=np.float32), 3, seed=13)
    assert (rows, topics) == ([0, 1, 2], 1)

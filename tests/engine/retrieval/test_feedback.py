"""Moving a query's vector towards documents."""

import numpy as np
import pytest

from sptar_engine.retrieval.feedback import move_towards

QUERY = np.array([1.0, 0.0], np.float32)


def test_vector_moves_towards_the_direction_of_the_documents() -> None:
    up = np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(move_towards(QUERY, up, 1.0), [0.5**0.5, 0.5**0.5], rtol=1e-6)
    # However many documents lie there, and however long they are, the rate says how far.
    np.testing.assert_array_equal(move_towards(QUERY, np.repeat(up, 5, axis=0) * 3, 1.0), move_towards(QUERY, up, 1.0))
    np.testing.assert_allclose(move_towards(QUERY, up, 0.5), np.array([2, 1]) / 5**0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("documents", "rate"),
    [(np.empty((0, 2), np.float32), 1.0), (np.array([[0, 1], [0, -1]], np.float32), 1.0), (np.ones((1, 2)), 0.0)],
    ids=["none", "opposite", "rate of 0"],
)
def test_vector_stays_where_nothing_pulls(documents, rate) -> None:
    moved = move_towards(QUERY, documents, rate)
    np.testing.assert_array_equal(moved, QUERY)
    assert moved.dtype == np.float32

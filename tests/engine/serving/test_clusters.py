"""Topics as groups of vectors, and which document is suggested next."""

from __future__ import annotations

import numpy as np
import pytest

from sptar_engine.errors import StageError
from sptar_engine.serving.clusters import Clusters, find_clusters, open_clusters, save_clusters, suggest_rows
from sptar_engine.serving.vectors import Vectors


def nothing(done: int, total: int, message: str) -> None:
    pass


def groups(*sizes: int, noise: float = 0.05, dimensions: int = 12) -> tuple[Vectors, list[int]]:
    """Vectors around one axis for each group, mixed, and the group of each."""
    random = np.random.default_rng(1)
    of = random.permutation([group for group, size in enumerate(sizes) for _ in range(size)])
    found = noise * random.standard_normal((len(of), dimensions)) + np.eye(dimensions)[of] + 3 * np.eye(dimensions)[-1]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), of.tolist()


def test_separate_groups_are_found_and_numbered_by_size() -> None:
    # 8 groups of 128 documents: sqrt(128 / 2) = 8 topics.
    sizes = (12, 13, 14, 15, 16, 18, 19, 21)
    found, of = groups(*sizes)
    clusters = find_clusters(found, nothing)
    assert clusters.sizes == sorted(sizes, reverse=True)
    assert len(set(zip(of, clusters.topic.tolist(), strict=True))) == 8


@pytest.mark.parametrize(("documents", "most"), [(1, 1), (2, 1), (5, 2), (18, 3), (5000, 8)])
def test_small_corpus_has_few_topics(documents: int, most: int) -> None:
    found, _ = groups(documents, noise=1.0)
    clusters = find_clusters(found, nothing)
    assert len(clusters.sizes) <= most
    assert sum(clusters.sizes) == documents
    assert all(clusters.sizes)


def test_documents_that_are_all_alike_are_one_topic() -> None:
    found = np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (200, 1))
    assert find_clusters(found, nothing).sizes == [200]


def test_topics_are_the_same_each_time() -> None:
    found, _ = groups(40, 50, 60, noise=0.4)
    first, second = find_clusters(found, nothing), find_clusters(found, nothing)
    assert np.array_equal(first.topic, second.topic)
    assert np.array_equal(first.closeness, second.closeness)


def test_topics_are_read_back_as_they_were_written(tmp_path) -> None:
    found, _ = groups(30, 40)
    clusters = find_clusters(found, nothing)
    save_clusters(tmp_path, clusters)
    again = open_clusters(tmp_path, 70)
    assert np.array_equal(again.topic, clusters.topic)
    assert np.array_equal(again.mean, clusters.mean)
    with pytest.raises(StageError, match="does not fit its 71"):
        open_clusters(tmp_path, 71)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_topics_cut_short_are_told_as_such(tmp_path, share: float) -> None:
    found, _ = groups(30, 40)
    save_clusters(tmp_path, find_clusters(found, nothing))
    file = tmp_path / "topics.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StageError, match="cannot be read"):
        open_clusters(tmp_path, 70)


def hand_made() -> tuple[Clusters, Vectors]:
    """Topic 0: rows 0 to 3, topic 1: rows 4 and 5. Rows 0 and 1 are equal, row 2 is far from them, row 3 between."""
    angles = np.deg2rad([0, 0, 60, 30, 180, 190])
    found = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    closeness = np.array([0.9, 0.8, 0.85, 0.7, 0.6, 0.95], dtype=np.float32)
    return Clusters(np.array([0, 0, 0, 0, 1, 1], dtype=np.int16), closeness, np.zeros(2, dtype=np.float32)), found


def test_most_central_document_of_the_largest_topic_comes_first_then_the_other_topics() -> None:
    clusters, found = hand_made()
    assert suggest_rows(clusters, found, [], [], 2) == [0, 5]


def test_topic_with_the_fewest_covered_documents_comes_first() -> None:
    clusters, found = hand_made()
    assert suggest_rows(clusters, found, [3], [3], 1) == [5]


def test_next_document_of_a_topic_is_unlike_those_that_are_covered() -> None:
    # After row 0: row 1 is worth 0.8 - 1 = -0.2, row 2 0.85 - 0.5 = 0.35, row 3 0.7 - 0.87 = -0.17.
    clusters, found = hand_made()
    assert suggest_rows(clusters, found, [0, 4, 5], [0], 1) == [2]


def test_all_documents_are_suggested_once_and_no_excluded_one() -> None:
    clusters, found = hand_made()
    assert sorted(suggest_rows(clusters, found, [1], [], 100)) == [0, 2, 3, 4, 5]
    assert suggest_rows(clusters, found, range(6), [], 3) == []

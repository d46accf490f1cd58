"""Topics as groups of vectors: spherical k-means, and the documents that stand for what is not covered yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from sptar_engine.errors import StageError
from sptar_engine.serving.builds import Tick
from sptar_engine.serving.vectors import Vectors

CLUSTERS_FILE = "topics.npz"

_MOST = 8  # topics: as many as a person keeps in view while writing some fifty examples
_SAMPLE = 20_000  # documents that the centres are computed from
_STARTS = 3  # of which the best is kept
_ROUNDS = 30
_BLOCK = 1 << 15  # documents compared with the centres together
_SEED = 0
_CENTRAL_SHARE = 0.2  # of a topic's documents that are typical enough to be suggested
_CENTRAL_LEAST, _CENTRAL_MOST = 20, 300
_TINY = 1e-12  # keeps a division by the length of a zero vector harmless


@dataclass(frozen=True, slots=True)
class Clusters:
    """The topic of each document, largest topic first: `topic` (documents,), `closeness` to its centre, -1 to 1.

    Vectors are compared after the mean of the corpus is taken off, since what all documents of a field have in common
    tells no topics apart; `mean` is (dimensions,).
    """

    topic: NDArray[np.int16]
    closeness: Vectors
    mean: Vectors

    @property
    def sizes(self) -> list[int]:
        """Number of documents of each topic."""
        sizes: list[int] = np.bincount(self.topic).tolist()
        return sizes


def find_clusters(vectors: Vectors, tick: Tick) -> Clusters:
    """Group the documents into at most eight topics, fewer when there are under 128. The same vectors, the same topics.

    The centres come from a sample of 20,000 documents. A document is in exactly one topic.
    """
    random = np.random.default_rng(_SEED)
    count = len(vectors)
    rows = np.sort(random.choice(count, _SAMPLE, replace=False)) if count > _SAMPLE else np.arange(count)
    sample = np.asarray(vectors[rows], dtype=np.float32)
    mean = sample.mean(axis=0)
    sample = _centred(sample, mean)
    wanted = max(1, min(_MOST, round((count / 2) ** 0.5)))
    centres = max((_fit(sample, wanted, random) for _ in range(_STARTS)), key=lambda found: found[1])[0]
    topic, closeness = np.empty(count, dtype=np.int16), np.empty(count, dtype=np.float32)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        similar = _centred(np.asarray(vectors[block]), mean) @ centres.T  # (documents, topics)
        topic[block], closeness[block] = similar.argmax(axis=1), similar.max(axis=1)
        tick(min(start + _BLOCK, count), count, "Finding the topics")
    return Clusters(_largest_first(topic), closeness, mean)


def save_clusters(folder: Path, clusters: Clusters) -> None:
    """Write them beside the vectors. The file counts once the topics' labels are there too."""
    with (folder / CLUSTERS_FILE).open("wb") as stream:
        np.savez(stream, topic=clusters.topic, closeness=clusters.closeness, mean=clusters.mean)


def open_clusters(folder: Path, documents: int) -> Clusters:
    """Read them back. Raises StageError when the file is damaged or of other documents."""
    try:
        with (folder / CLUSTERS_FILE).open("rb") as stream, np.load(stream) as stored:
            clusters = Clusters(stored["topic"], stored["closeness"], stored["mean"])
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise StageError(f"{folder / CLUSTERS_FILE} cannot be read: {error}") from error
    if len(clusters.topic) != documents:
        raise StageError(f"{folder / CLUSTERS_FILE} does not fit its {documents} documents.")
    return clusters


def suggest_rows(
    clusters: Clusters, vectors: Vectors, exclude: Collection[int], covered: Collection[int], count: int
) -> list[int]:
    """Rows of up to `count` documents, one after the other from the topic that has the fewest covered by then.

    Of a topic's most central documents that one is taken which is central and least like those covered or taken
    (maximal marginal relevance, Carbonell and Goldstein, SIGIR 1998, with equal weights).
    """
    chosen: list[int] = []
    known: list[list[int]] = [[] for _ in clusters.sizes]
    for row in covered:
        known[clusters.topic[row]].append(row)
    open_topics = set(range(len(known)))
    while len(chosen) < count and open_topics:
        topic = min(open_topics, key=lambda number: (len(known[number]), number))
        found = _next_row(clusters, vectors, topic, {*exclude, *chosen}, known[topic])
        if found is None:
            open_topics.remove(topic)
        else:
            chosen.append(found)
            known[topic].append(found)
    return chosen


def _next_row(clusters: Clusters, vectors: Vectors, topic: int, taken: Collection[int], known: list[int]) -> int | None:
    """None when all documents of the topic are taken."""
    (members,) = np.nonzero(clusters.topic == topic)
    free = members[~np.isin(members, list(taken))]
    if not len(free):
        return None
    central = round(min(max(_CENTRAL_SHARE * len(members), _CENTRAL_LEAST), _CENTRAL_MOST))
    free = free[np.lexsort((free, -clusters.closeness[free]))][:central]
    worth = clusters.closeness[free].astype(np.float64)
    if known:
        mine, theirs = (_centred(np.asarray(vectors[rows]), clusters.mean) for rows in (free, np.asarray(known)))
        worth -= (mine @ theirs.T).max(axis=1)
    return int(free[worth.argmax()])


def _fit(points: Vectors, wanted: int, random: np.random.Generator) -> tuple[Vectors, float]:
    """Centres (topics, dimensions) by Lloyd's rounds, and the mean similarity of a point to its centre."""
    centres = _spread(points, wanted, random)
    nearest = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        similar = points @ centres.T  # (points, topics)
        before, nearest = nearest, similar.argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        members = (nearest[None, :] == np.arange(len(centres))[:, None]).astype(np.float32)  # (topics, points)
        centres = np.where(members.any(axis=1)[:, None], _unit(members @ points), centres)
    return centres, float((points @ centres.T).max(axis=1).mean())


def _spread(points: Vectors, wanted: int, random: np.random.Generator) -> Vectors:
    """First centres by k-means++ (Arthur and Vassilvitskii, 2007): far from one another. Fewer when points coincide."""
    centres = [points[random.integers(len(points))]]
    distance = 1 - points @ centres[0]
    while len(centres) < wanted:
        weight = np.clip(distance, 0, None).astype(np.float64)
        if weight.sum() <= len(points) * 1e-6:
            break
        centres.append(points[random.choice(len(points), p=weight / weight.sum())])
        distance = np.minimum(distance, 1 - points @ centres[-1])
    return np.stack(centres)


def _centred(vectors: Vectors, mean: Vectors) -> Vectors:
    return _unit(vectors - mean)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY), dtype=np.float32)


def _largest_first(topic: NDArray[np.int16]) -> NDArray[np.int16]:
    """Topics numbered by falling size, without empty ones."""
    sizes = np.bincount(topic)
    order = np.lexsort((np.arange(len(sizes)), -sizes))
    places = np.empty(len(sizes), dtype=np.int16)
    places[order] = np.arange(len(sizes))
    return places[topic]

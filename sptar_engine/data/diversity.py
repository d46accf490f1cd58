"""Documents spread over topics: groups of vectors by spherical k-means, and turns among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

_MOST_TOPICS = 256
_SAMPLE = 20_000  # vectors that the centres are computed from
_ROUNDS = 25
_BLOCK = 1 << 14  # vectors compared with the centres together: 17 MB at 256 topics
_TINY = 1e-12  # keeps a division by the length of a zero vector harmless


def spread_rows(vectors: Vectors, count: int, seed: int) -> tuple[list[int], int]:
    """Rows of `count` vectors, (vectors, dimensions), that take turns among topics, and the number of topics.

    The topics take turns, the largest first, and each gives its rows in their order; so a topic of a few documents
    is as present as one of thousands until it has no more. About the square root of the number of vectors is the
    number of topics, and at most `count`, so that every topic has its turn.
    """
    wanted = max(1, min(round(len(vectors) ** 0.5), count, _MOST_TOPICS))
    topics = group(vectors, wanted, seed)
    return take_turns(topics.tolist(), count), len(np.unique(topics))


def take_turns(topics: Sequence[int], count: int) -> list[int]:
    """Places of `count` items, given the topic of each, one topic after the other; of equal size the lower first."""
    members: dict[int, list[int]] = {}
    for place, topic in enumerate(topics):
        members.setdefault(topic, []).append(place)
    ordered = [members[topic] for topic in sorted(members, key=lambda topic: (-len(members[topic]), topic))]
    longest = len(ordered[0]) if ordered else 0
    turns = [places[turn] for turn in range(longest) for places in ordered if turn < len(places)]
    return turns[:count]


def group(vectors: Vectors, wanted: int, seed: int) -> Numbers:
    """The topic of each vector, (vectors,), of at most `wanted`: the nearest centre by cosine.

    The same vectors and seed give the same topics. The mean is taken off first: what all documents of a field have in
    common tells no topics apart. The centres come from a sample of 20,000 vectors at most, so time grows with the
    vectors alone. `vectors` may be backed by a file; a block of them is in memory at a time.
    """
    random = np.random.default_rng(seed)
    count = len(vectors)
    rows = np.sort(random.choice(count, _SAMPLE, replace=False)) if count > _SAMPLE else np.arange(count)
    sample = np.asarray(vectors[rows], dtype=np.float32)
    mean = sample.mean(axis=0)
    centres = _fit(_unit(sample - mean), wanted, random)
    topics = np.empty(count, dtype=np.int64)
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        topics[block] = (_unit(np.asarray(vectors[block]) - mean) @ centres.T).argmax(axis=1)
    return topics


def _fit(points: Vectors, wanted: int, random: np.random.Generator) -> Vectors:
    """Centres, (topics, dimensions), by Lloyd's rounds until no point changes its topic."""
    centres = _first_centres(points, wanted, random)
    nearest = np.full(len(points), -1)
    for _ in range(_ROUNDS):
        before, nearest = nearest, (points @ centres.T).argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        members = (nearest[None, :] == np.arange(len(centres))[:, None]).astype(np.float32)  # (topics, points)
        centres = np.where(members.any(axis=1)[:, None], _unit(members @ points), centres)
    return centres


def _first_centres(points: Vectors, wanted: int, random: np.random.Generator) -> Vectors:
    """Points far from one another (k-means++, Arthur and Vassilvitskii, 2007); fewer when points coincide."""
    centres = [points[random.integers(len(points))]]
    distance = 1 - points @ centres[0]
    while len(centres) < wanted:
        weight = np.clip(distance, 0, None).astype(np.float64)
        if weight.sum() <= len(points) * 1e-6:
            break
        centres.append(points[random.choice(len(points), p=weight / weight.sum())])
        distance = np.minimum(distance, 1 - points @ centres[-1])
    return np.stack(centres)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY), dtype=np.float32)

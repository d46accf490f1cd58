"""Texts in groups of like length, so that little is padded."""

from __future__ import annotations

from collections.abc import Sequence


def chunk_by_length(lengths: Sequence[int], budget: int, most: int = 0) -> list[list[int]]:
    """Group the places 0 … n-1 by falling length, each group at most `budget` tokens with its padding.

    Longest first, so that a lack of memory shows at once. A row longer than the budget is a group of its own. With
    `most` above 0 no group has more rows.
    """
    chunks: list[list[int]] = []
    widest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if not chunks or (len(chunks[-1]) + 1) * widest > budget or len(chunks[-1]) == most:
            chunks.append([])
            widest = lengths[place]
        chunks[-1].append(place)
    return chunks

"""How many examples are the least, few, and enough; from the pages' warnings about seeds (PAGES)."""

from __future__ import annotations

MIN_EXAMPLES = 18
"""Labelled questions that the app can split (sptar_engine.data.splits): 8 for training, 4 held out, 6 for the test."""

FEW_TRAIN, ENOUGH_TRAIN = 30, 100
"""Training examples below which results vary a lot, and from which they are steady."""

FEW_HELDOUT = 10
"""Held-out examples below which the best step is chosen by chance."""

FEW_TEST = 30
"""Test examples below which a verdict needs a clear interval."""

SMALLEST_DIFFERENCE = 0.14
"""Difference of nDCG@10 that FEW_TEST test questions can just tell apart."""

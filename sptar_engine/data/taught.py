"""A teacher's scores as the stage teach left them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sptar_engine.artifacts import read_jsonl

SCORES_FILE = "scores.jsonl"
NATS, COSINE = "nats", "cosine"
"""Units of a teacher's scores."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What a teacher thinks of some documents of a query: `scores[i]` belongs to `doc_ids[i]`.

    Scores in nats are logits, calibrated on held-out queries: their softmax is how likely the teacher finds each of
    the documents to be the answer. Scores in cosines are what the base's cosines would have to be; a bi-encoder makes
    logits of them as of its own. Both compare within a query only.
    """

    doc_ids: tuple[str, ...]
    scores: tuple[float, ...]
    unit: str = NATS


def read_taught(teach_folder: Path) -> dict[str, Taught]:
    """The scores by query key; nothing when the teacher does not teach. Raises ArtifactError for a broken file."""
    return {
        row["query_key"]: Taught(tuple(row["doc_ids"]), tuple(row["scores"]), row.get("unit", NATS))
        for row in read_jsonl(teach_folder / SCORES_FILE)
    }

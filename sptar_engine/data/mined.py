"""Hard negatives as the stage mine left them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sptar_engine.artifacts import read_jsonl

NEGATIVES_FILE = "negatives.jsonl"

REJECTED, BM25, DENSE = "rejected", "bm25", "dense"
SOURCES = (REJECTED, BM25, DENSE)
"""Where a hard negative comes from: a person's verdict, or one of the two searches."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A document that does not answer a query, as far as anybody knows.

    `score` is the one its source ranked it by (BM25's, or the cosine); None where a person rejected it.
    """

    doc_id: str
    source: str
    score: float | None


def read_mined(mine_folder: Path) -> dict[str, tuple[Mined, ...]]:
    """The hard negatives by query key, hardest first: what a person rejected, then what the searches found.

    Raises ArtifactError for a missing or broken file.
    """
    return {
        row["query_key"]: tuple(Mined(one["doc_id"], one["source"], one["score"]) for one in row["negatives"])
        for row in read_jsonl(mine_folder / NEGATIVES_FILE)
    }

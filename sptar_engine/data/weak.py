"""Weak pairs as the stages generate and filter left them."""

from __future__ import annotations

from pathlib import Path

from sptar_engine.artifacts import read_jsonl
from sptar_engine.errors import InputError
from sptar_engine.records import WeakPair

WEAK_FILE = "weak.jsonl"
RANKS_FILE = "ranks.jsonl"


def read_weak(folder: Path) -> list[WeakPair]:
    """Every query of a generate folder, in file order; their ranks are not known yet."""
    rows = read_jsonl(folder / WEAK_FILE)
    return [WeakPair(row["weak_id"], row["query"], row["doc_id"], row["prompt_id"]) for row in rows]


def read_losses(folder: Path) -> dict[str, float]:
    """How little likely the language model found each query of a generate folder, by weak id: nats per token.

    Raises InputError for a file without them.
    """
    losses: dict[str, float] = {}
    for row in read_jsonl(folder / WEAK_FILE):
        if "loss" not in row:
            raise InputError(
                f"{folder / WEAK_FILE} does not say how likely the query {row['weak_id']} is; generate anew."
            )
        losses[row["weak_id"]] = row["loss"]
    return losses


def read_kept(filter_folder: Path) -> list[WeakPair]:
    """The queries that a filter folder kept, in file order, each with the BM25 rank of its document."""
    rows = (row for row in read_jsonl(filter_folder / RANKS_FILE) if row["kept"])
    return [WeakPair(row["weak_id"], row["query"], row["doc_id"], row["prompt_id"], row["rank"]) for row in rows]

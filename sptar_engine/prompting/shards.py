"""Generated queries on disk, a shard of documents at a time, so that a killed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sptar_engine.artifacts import read_jsonl, sha256_json, write_jsonl

_KEY_LETTERS = 16  # of a hex digest, 64 bits
_ID_LETTERS = 20  # 80 bits: among 10^8 queries two ids are equal with p < 1e-8


@dataclass(frozen=True, slots=True)
class Draft:
    """What the model wrote for a document (`raw`), the query in it, and why it was dropped; "" when kept.

    `loss` is how much its own words surprised the model, in nats per token (generation.Written).
    """

    weak_id: str
    doc_id: str
    raw: str
    query: str
    reason: str
    loss: float


@dataclass(frozen=True, slots=True)
class Shard:
    """Documents that are written to disk together; `number` counts from 0."""

    number: int
    doc_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """One file for each finished shard, there whole or not at all.

    `key` stands for everything else that the drafts depend on: a shard made with another key is not taken over.
    """

    folder: Path
    key: str

    def has(self, shard: Shard) -> bool:
        """Whether the shard is finished."""
        return self._path(shard).exists()

    def write(self, shard: Shard, drafts: Sequence[Draft]) -> None:
        """Finish the shard. Raises OSError for a full disk, and then leaves nothing."""
        write_jsonl(self._path(shard), map(asdict, drafts))

    def read(self, shard: Shard) -> Iterator[Draft]:
        """The drafts of a finished shard. Raises ArtifactError for a broken file."""
        return (Draft(**row) for row in read_jsonl(self._path(shard)))

    def _path(self, shard: Shard) -> Path:
        digest = sha256_json([self.key, shard.doc_ids])[:_KEY_LETTERS]
        return self.folder / f"shard-{shard.number:06d}-{digest}.jsonl"


def split_shards(doc_ids: Sequence[str], size: int) -> list[Shard]:
    """The documents in their order, `size` to a shard, the last one smaller."""
    starts = range(0, len(doc_ids), size)
    return [Shard(number, tuple(doc_ids[start : start + size])) for number, start in enumerate(starts)]


def weak_id(prompt_id: str, doc_id: str, sample: int, query: str) -> str:
    """The id of a document's query: the same in every run, `sample` counts a document's queries from 0.

    The text is part of it: a person's verdict on a query must not hold for another one, by a prompt tuned anew say.
    """
    return sha256_json([prompt_id, doc_id, sample, query])[:_ID_LETTERS]

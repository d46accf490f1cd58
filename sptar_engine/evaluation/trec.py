"""Run files in TREC's format: `query_id Q0 doc_id rank score tag`, one hit a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from sptar_engine.artifacts import atomic_writer
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Hit, Rankings

_SPLITS = re.compile(r"[\s%\x00-\x1f\x7f-\x9f]")  # white space of any script, control characters, the escape itself


def write_run(path: Path, rankings: Rankings, tag: str) -> None:
    """Write rankings atomically, queries and hits in their order, scores strictly falling.

    trec_eval sorts by score, as float32, and breaks ties its own way. So where a score would not be below the one
    before it, it is made the next smaller float32, and any tool reads our order. White space and `%` in an id are
    percent-encoded: an id cannot split a line, and `read_run` gives it back.
    """
    with atomic_writer(path) as stream:
        for query_id, hits in rankings.items():
            start = f"{_escape(query_id)} Q0"
            for rank, (hit, score) in enumerate(zip(hits, _falling(hits), strict=True), 1):
                stream.write(f"{start} {_escape(hit.doc_id)} {rank} {score} {tag}\n")


def read_run(path: Path) -> dict[str, list[Hit]]:
    """Read a run file that `write_run` wrote. Raises ArtifactError, with the line, when it is broken."""
    rankings: dict[str, list[Hit]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing") from error
    for number, line in enumerate(lines, 1):
        try:
            query_id, _, doc_id, _, score, _ = line.split(" ")
            rankings.setdefault(unquote(query_id), []).append(Hit(unquote(doc_id), float(score)))
        except ValueError as error:
            raise ArtifactError(f"{path}, line {number}: not a line of a run file") from error
    return rankings


def _falling(hits: Sequence[Hit]) -> Iterator[np.float32]:
    before = np.float32(np.inf)
    for hit in hits:
        before = min(np.float32(hit.score), np.nextafter(before, np.float32(-np.inf)))
        yield before


def _escape(text: str) -> str:
    return _SPLITS.sub(lambda found: quote(found[0]), text)

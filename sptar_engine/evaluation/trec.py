"""Run files in TREC's format: `query_id Q0 doc_id rank score tag`, one hit a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from sptar_engine.artifacts import atomic_writer
from sptar_engine.errors import ArtifactError
from sptar_engine.records import Hit, Rankings

_PLAIN = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}~"  # all of ASCII's signs but `%`, the escape itself


def write_run(path: Path, rankings: Rankings, tag: str) -> None:
    """Write rankings atomically, queries in their order, scores strictly falling.

    trec_eval sorts by score and breaks ties its own way; where two scores are equal the later one is made smaller
    by one part in 10^9, so that any tool reads our order. White space, `%` and what is not ASCII in an id is
    percent-encoded, so that an id can neither split a line nor be mistaken; `read_run` gives it back.
    """
    with atomic_writer(path) as stream:
        for query_id, hits in rankings.items():
            for rank, (hit, score) in enumerate(zip(hits, _falling(hits), strict=True), 1):
                stream.write(f"{_escape(query_id)} Q0 {_escape(hit.doc_id)} {rank} {score!r} {tag}\n")


def read_run(path: Path) -> dict[str, list[Hit]]:
    """Read a run file that `write_run` wrote. Raises ArtifactError, with the line, when it is broken."""
    rankings: dict[str, list[Hit]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split(" ")
        try:
            query_id, _, doc_id, _, score, _ = fields
            rankings.setdefault(unquote(query_id), []).append(Hit(unquote(doc_id), float(score)))
        except ValueError as error:
            raise ArtifactError(f"{path}, line {number}: not a line of a run file") from error
    return rankings


def _falling(hits: Sequence[Hit]) -> Iterator[float]:
    before = float("inf")
    for hit in hits:
        score = hit.score if hit.score < before else before - max(abs(before), 1e-9) * 1e-9
        yield score
        before = score


def _escape(text: str) -> str:
    return quote(text, safe=_PLAIN)

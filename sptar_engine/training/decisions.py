"""A person's verdicts on weak pairs: a JSONL file with rows `{"weak_id", "verdict", "text"}`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sptar_engine.data.lines import Line, parse_id, parse_object, parse_text, quoted, read_lines

ACCEPT, REJECT, EDIT, UNSURE = "accept", "reject", "edit", "unsure"
VERDICTS = (ACCEPT, REJECT, EDIT, UNSURE)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict; `text` is the better query when the verdict is `edit`, else empty."""

    verdict: str
    text: str = ""


def read_decisions(path: Path) -> dict[str, Decision]:
    """Verdicts by weak id. Other keys of a row, such as who decided and why, are left alone.

    Raises InputError, naming file and line, for a bad row, an unknown verdict, an edit without a text and a weak id
    that comes twice.
    """
    decisions: dict[str, Decision] = {}
    lines: dict[str, int] = {}
    for line in read_lines(path):
        weak_id, decision = _parse(line)
        if weak_id in lines:
            raise line.error(f"the weak query {quoted(weak_id)} was already decided on line {lines[weak_id]}")
        lines[weak_id] = line.number
        decisions[weak_id] = decision
    return decisions


def _parse(line: Line) -> tuple[str, Decision]:
    row = parse_object(line)
    weak_id = parse_id(line, row.get("weak_id"), "weak_id")
    verdict = row.get("verdict")
    if verdict not in VERDICTS:
        raise line.error(f"verdict must be one of {', '.join(VERDICTS)}, not {quoted(str(verdict))}")
    if verdict != EDIT:
        return weak_id, Decision(verdict)
    text = " ".join(parse_text(line, row, "text")[0].split()) if "text" in row else ""
    if not text:
        raise line.error(f"the edited query {quoted(weak_id)} has no text; an edit gives the new query as text")
    return weak_id, Decision(verdict, text)

"""How a table is probably meant: its delimiter, whether it has a header, and which column is what."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from webapp.reading.jsonl import ID_KEYS, TEXT_KEYS
from webapp.reading.tables import DELIMITERS, Record, read_records
from webapp.reading.text_lines import text_lines

_ID_NAMES = {*ID_KEYS, "document_id", "documentid", "key", "nr", "no", "number", "nummer", "identifier", "uid", "pid"}
_TITLE_NAMES = {"title", "titel", "name", "heading", "headline", "subject", "titre", "überschrift", "betreff"}
_TEXT_NAMES = {
    *TEXT_KEYS, "abstract", "description", "document", "summary", "inhalt", "beschreibung", "texte", "texto",
}  # fmt: skip
_SAMPLE = 50  # records


@dataclass(frozen=True, slots=True)
class TableGuess:
    """A guess to show to the person, who may change it."""

    delimiter: str
    header: bool
    names: list[str]
    roles: list[str]


def guess_table(head: bytes, encoding: str, delimiter: str = "") -> TableGuess:
    """Guess from the beginning of a table; `delimiter` is kept when it is given."""
    delimiter = delimiter or guess_delimiter(head, encoding)
    records = [record.cells for record in _records(head, encoding, delimiter)]
    width = Counter(len(cells) for cells in records).most_common(1)[0][0] if records else 1
    records = [cells for cells in records if len(cells) == width]
    header = bool(records) and _is_header(records)
    names = records[0] if header else [f"column {number}" for number in range(1, width + 1)]
    return TableGuess(delimiter, header, names, _roles(names if header else [], records[header:], width))


def column_names(head: bytes, encoding: str, delimiter: str, header: bool) -> list[str]:
    """The names of the columns as they are shown: of the first record, or numbers."""
    first = next(iter(_records(head, encoding, delimiter)), Record(1, [""]))
    return [(cell.strip() if header else "") or f"column {number}" for number, cell in enumerate(first.cells, 1)]


def guess_delimiter(head: bytes, encoding: str) -> str:
    """The delimiter by which most records have the same number of cells, more than one."""
    best, best_score = ",", 0.0
    for delimiter in DELIMITERS:
        widths = Counter(len(record.cells) for record in _records(head, encoding, delimiter))
        if widths:
            width, agreeing = widths.most_common(1)[0]
            score = agreeing / widths.total() if width > 1 else 0.0
            if score > best_score:
                best, best_score = delimiter, score
    return best


def _records(head: bytes, encoding: str, delimiter: str) -> list[Record]:
    """The first whole records; the last one of a cut beginning may be half, so it goes unless it is alone."""
    found: list[Record] = []
    try:
        for record in read_records(text_lines([head], encoding), delimiter):
            if isinstance(record, Record):
                found.append(record)
            if len(found) > _SAMPLE:
                break
    except csv.Error:
        return found
    return found[:-1] if len(found) > _SAMPLE else found


def _is_header(records: Sequence[Sequence[str]]) -> bool:
    first = [cell.strip().lower() for cell in records[0]]
    if {*first} & (_ID_NAMES | _TITLE_NAMES | _TEXT_NAMES):
        return True
    if len(records) < 2 or len({*first}) < len(first) or any(not cell or len(cell) > 40 for cell in first):
        return False
    if any(cell.replace(".", "").isdigit() for cell in first):
        return False
    longest = max(_mean_length(records[1:], column) for column in range(len(first)))
    return longest > 3 * max(len(cell) for cell in first)


def _roles(names: Sequence[str], records: Sequence[Sequence[str]], width: int) -> list[str]:
    roles = [""] * width
    for column, name in enumerate(names):
        key = name.strip().lower()
        for role, known in (("id", _ID_NAMES), ("title", _TITLE_NAMES), ("text", _TEXT_NAMES)):
            if key in known and role not in roles:
                roles[column] = role
    lengths = {column: _mean_length(records, column) for column in range(width)}
    if "text" not in roles:
        free = [column for column in range(width) if not roles[column]]
        if free:
            roles[max(free, key=lambda column: lengths[column])] = "text"
        else:
            roles[max(lengths, key=lambda column: lengths[column])] = "text"
    if "id" not in roles and not names:
        for column in range(width):
            cells = [record[column].strip() for record in records]
            if not roles[column] and len({*cells}) == len(cells) > 1 and all(c and " " not in c for c in cells):
                roles[column] = "id"
                break
    return roles


def _mean_length(records: Sequence[Sequence[str]], column: int) -> float:
    return sum(len(record[column]) for record in records if column < len(record)) / max(len(records), 1)

"""What readers give: a document that can be used, or a problem with where it is and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sptar_engine.data.lines import clean_text, id_problem, quoted

EXCERPT = 80
"""Characters of a person's text that a problem quotes."""


class Group(StrEnum):
    """Kinds of problems, in the words of the counts on the page."""

    BROKEN = "Not a row that can be read"
    ENCODING = "Characters that cannot be decoded"
    LONG = "Too long"
    ID = "Missing or unusable id"
    TWICE = "Id given twice"
    EMPTY = "No text"
    TYPE = "Text that is no text"
    FILE = "File that cannot be read"


FIXES = {
    Group.BROKEN: "Correct the row, or leave it out.",
    Group.ENCODING: "Save the file as UTF-8, or choose another encoding and check again.",
    Group.LONG: "Split the text into several rows.",
    Group.ID: "Give the row an id of up to 512 characters without tabs and line breaks.",
    Group.TWICE: "Give each document its own id, or leave the repetition out.",
    Group.EMPTY: "Add a title or a text, or leave the row out.",
    Group.TYPE: "Write title and text as text in quotation marks.",
    Group.FILE: "Save it as text, PDF or Word (.docx) without a password, or leave it out.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A document. `place` is the file within an archive; `changed` says that characters had to be replaced."""

    line: int
    doc_id: str
    title: str
    text: str
    changed: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that cannot be used. `line` is 0 where lines mean nothing."""

    line: int
    group: Group
    reason: str
    excerpt: str = ""
    place: str = ""
    own_fix: str = ""

    @property
    def fix(self) -> str:
        """What the person can do about it."""
        return self.own_fix or FIXES[self.group]


Found = Row | Problem


def make_row(line: int, doc_id: str, title: str, text: str, place: str = "") -> Found:
    """A row of clean texts, or the problem with its id or its emptiness."""
    if problem := id_problem(doc_id):
        return Problem(line, Group.ID, f"the id {problem}", shorten(text or title), place)
    title, in_title = clean_text(title)
    text, in_text = clean_text(text)
    if not f"{title}{text}".strip():
        return Problem(line, Group.EMPTY, f"the document {quoted(doc_id)} has neither title nor text", "", place)
    return Row(line, doc_id, title.strip(), text, bool(in_title or in_text), place)


def shorten(text: str) -> str:
    """The beginning of a person's text for a report: one line, storable, short."""
    flat = " ".join(text[: 4 * EXCERPT].split())
    return clean_text(flat if len(flat) <= EXCERPT else flat[:EXCERPT] + "…")[0]

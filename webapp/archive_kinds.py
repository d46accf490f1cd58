"""What can be downloaded, in words: the kinds of archives, and what a person may leave out or add.

Light enough for forms, selectors, services and errands alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sptar_engine.arms import BI_ENCODER, FAMILIES


@dataclass(frozen=True, slots=True)
class Box:
    """Something that is put in when it is ticked. `private` marks text that people wrote: never ticked beforehand."""

    key: str
    label: str
    help: str
    ticked: bool = True
    private: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A shape the same rows can have."""

    key: str
    label: str
    help: str
    ending: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of archive. `ending` is that of its file unless it has formats."""

    key: str
    title: str
    what: str
    ending: str = "zip"
    boxes: tuple[Box, ...] = ()
    formats: tuple[Format, ...] = ()
    by_family: bool = False
    """Whether there is one of each kind of search model."""

    def ending_of(self, options: Mapping[str, Any]) -> str:
        """The ending of the file that these options give."""
        return next((one.ending for one in self.formats if one.key == options.get("format")), self.ending)

    def media_type_of(self, options: Mapping[str, Any]) -> str:
        """What a browser is told that file is."""
        return MEDIA_TYPES[self.ending_of(options)]


MEDIA_TYPES = {
    "zip": "application/zip", "csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson; charset=utf-8",
    "html": "text/html; charset=utf-8", "npz": "application/octet-stream",
}  # fmt: skip
"""By the ending of a file."""

CARD_BOXES = (
    Box("measures", "How good it is", "The measures on the test questions, with their intervals."),
    Box("data", "What it learned from", "Counts and numbers of each step, no text."),
    Box("settings", "All settings", "What somebody needs to do the same again."),
    Box("name", "Names of the project and the experiment", "As you call them here.", ticked=False, private=True),
    Box("note", "The note of the experiment", "As it stands on its page.", ticked=False, private=True),
    Box(
        "examples", "Example queries", "Five of the test questions, in the words of the people who asked them.",
        ticked=False, private=True,
    ),
)  # fmt: skip
"""What the model card says. How to use it, licences, versions and limits always stand there."""

KINDS: dict[str, Kind] = {
    kind.key: kind
    for kind in (
        Kind(
            "retriever", "Search model with your card",
            "The trained search model with a model card that you have put together yourself.", boxes=CARD_BOXES,
            by_family=True,
        ),
        Kind(
            "soft_prompt", "Soft prompt", "What the question writer learned of your style, as a PEFT folder.",
            boxes=(
                Box(
                    "demonstrations", "With the demonstrations", "The examples it is used with: their whole text.",
                    ticked=False, private=True,
                ),
            ),
        ),
        Kind(
            "questions", "Generated questions", "Each question with its document, rank, verdict and where it is from.",
            formats=(
                Format("csv", "CSV for spreadsheets", "Safe to open; the app reads the same text back.", "csv"),
                Format("jsonl", "JSON lines", "Exact, for programs.", "jsonl"),
                Format("beir", "BEIR zip", "Kept questions, judgements and documents for training tools.", "zip"),
            ),
        ),
        Kind("runs", "Result lists", "The ranked results of each search as TREC runs, with the test judgements."),
        Kind("report", "Report", "One page with everything measured, to print or to pass on.", ending="html"),
        Kind(
            "embeddings", "Document vectors", "All documents as vectors of the trained search model, with their ids.",
            ending="npz",
        ),
        Kind(
            "everything", "Everything in one", "What you tick, in one zip.",
            boxes=(
                Box("retriever", "Search model", "Each kind that is packed, with its standard card: no text of yours."),
                Box("soft_prompt", "Soft prompt", "As a PEFT folder."),
                Box("questions", "Generated questions", "CSV and JSON lines. They hold words of your documents."),
                Box("runs", "Result lists", "TREC runs and test judgements."),
                Box("report", "Report", "It shows test questions."),
                Box("embeddings", "Document vectors", "Takes about as long as measuring did.", ticked=False),
            ),
        ),
    )
}  # fmt: skip


def clean_options(kind: Kind, *, boxes: Iterable[str], chosen: str = "") -> dict[str, Any]:
    """The options of an archive: each box by its name, and the format or the family that is `chosen`.

    Without a choice no family is named: only the experiment tells which there is. Raises ValueError with a sentence.
    """
    given, known = set(boxes), {box.key for box in kind.boxes}
    if unknown := sorted(given - known):
        raise ValueError(f"There is no box {unknown[0]!r} for this download.")
    options: dict[str, Any] = {box.key: box.key in given for box in kind.boxes}
    if kind.formats:
        names = [one.key for one in kind.formats]
        if (chosen or names[0]) not in names:
            raise ValueError(f"There is no format {chosen!r}; choose one of {', '.join(names)}.")
        options["format"] = chosen or names[0]
    if kind.by_family and chosen:
        if chosen not in FAMILIES or not FAMILIES[chosen].trains:
            raise ValueError(f"There is no kind of search model {chosen!r}.")
        options["family"] = chosen
    return options


def family_in(options: Mapping[str, Any]) -> str:
    """The kind of search model that an archive is of; the bi-encoder, before there were others to choose."""
    return str(options.get("family", BI_ENCODER))


def default_options(kind: Kind) -> dict[str, Any]:
    """The options nobody has changed: nothing that people wrote goes into a card."""
    return clean_options(kind, boxes=[box.key for box in kind.boxes if box.ticked])

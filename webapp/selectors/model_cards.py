"""The model card of a download: the engine's, less what is not ticked, more what is.

The engine's card holds no text of documents or questions. What people wrote comes in only through a box of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from sptar_engine.artifacts import read_jsonl
from sptar_engine.errors import ArtifactError
from webapp.models import Experiment
from webapp.places import snapshot_folder

EXAMPLES = 5
_SECTIONS = {"measures": "## Measured", "data": "## Data and training", "settings": "## Settings"}
_NO_TEXT = "This folder holds no text of the documents or queries that the model learned from."
_LONGEST = 300  # characters of an example query
_MARKS = re.compile(r"([\\`*_\[\]<>#|!~])")


def card_of(experiment: Experiment, packed: str, options: Mapping[str, Any]) -> str:
    """The card in Markdown with the parts that `options` names (webapp.archive_kinds.CARD_BOXES)."""
    head, *sections = re.split(r"(?m)^(?=## )", packed)
    unwanted = tuple(title for box, title in _SECTIONS.items() if not options.get(box))
    kept = [section for section in sections if not (unwanted and section.startswith(unwanted))]
    added = _names(experiment, options) + _note(experiment, options)
    examples = _examples(experiment) if options.get("examples") else ""
    if added or examples:
        head = head.replace(_NO_TEXT, _what_it_shows(bool(examples)))
    return head + added + "".join(_before(kept, "## Limits", examples))


def _what_it_shows(has_examples: bool) -> str:
    shown = "some of the queries it was measured on" if has_examples else "words of the people who made it"
    return f"This card shows {shown}; the other files hold no text of the documents or queries."


def _names(experiment: Experiment, options: Mapping[str, Any]) -> str:
    if not options.get("name"):
        return ""
    return f"Project: {_plain(experiment.project.name)}. Experiment: {_plain(str(experiment))}.\n\n"


def _note(experiment: Experiment, options: Mapping[str, Any]) -> str:
    if not options.get("note") or not experiment.note.strip():
        return ""
    lines = [_plain(line) for line in experiment.note.splitlines()]
    return "".join(f"> {line}\n" if line else ">\n" for line in lines) + "\n"


def _examples(experiment: Experiment) -> str:
    texts = _test_queries(experiment)
    if not texts:
        return ""
    return "## Example queries\n\n" + "".join(f"- {_plain(text[:_LONGEST])}\n" for text in texts) + "\n"


def _test_queries(experiment: Experiment) -> list[str]:
    """The first test questions of the experiment's own snapshot, in the order of their ids."""
    folder = snapshot_folder(experiment.project, experiment.dataset)
    try:
        with (folder / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
            ids = {line.split("\t", 1)[0] for line in islice(lines, 1, None) if line.strip()}
        wanted = set(sorted(ids)[:EXAMPLES])
        rows = (row for row in read_jsonl(folder / "queries.jsonl") if row.get("_id") in wanted)
        found = {row["_id"]: str(row.get("text", "")) for row in islice(rows, EXAMPLES)}
    except (ArtifactError, OSError, UnicodeDecodeError):
        return []
    return [found[name] for name in sorted(found)]


def _before(sections: list[str], title: str, added: str) -> list[str]:
    at = next((number for number, section in enumerate(sections) if section.startswith(title)), len(sections))
    return [*sections[:at], added, *sections[at:]]


def _plain(text: str) -> str:
    """One line of text that Markdown shows as it is: no markup, no HTML."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))

"""The verdicts of an experiment: what people had said of the generated questions when it was started.

A file as sptar_engine.training.decisions reads it, named by the hash of its content: the same verdicts are one file,
and the training that used them is found again. Flagged questions are not decided and not in it.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import sha256_file, write_jsonl
from webapp.models import Project, Verdict, WeakQuery
from webapp.places import decisions_file
from webapp.selectors.review_effects import DECIDED

_NAME = 32  # hex digits: 128 bits


@dataclass(frozen=True, slots=True)
class Decisions:
    """A file of verdicts. `counts` is by verdict; `batches` are those that have at least one."""

    name: str
    counts: Mapping[str, int]
    batches: frozenset[str]


def take(project: Project, batches: Iterable[str]) -> Decisions | None:
    """Write the verdicts that count now on the questions of these batches; None when there is none.

    The same verdicts twice give the same file; a crash in between leaves nothing under its name.
    """
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    folder = decisions_file(project, "x").parent
    folder.mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=folder, prefix=".making-")
    os.close(handle)
    made = Path(path)
    try:
        write_jsonl(made, _rows(project, sorted(batches), counts, seen))
        if not counts:
            return None
        name = sha256_file(made)[:_NAME]
        made.chmod(0o644)
        made.replace(decisions_file(project, name))
    finally:
        made.unlink(missing_ok=True)
    return Decisions(name, dict(counts), frozenset(seen))


def _rows(project: Project, batches: list[str], counts: Counter[str], seen: set[str]) -> Iterator[dict[str, Any]]:
    """In the order of the ids, whoever decided when and why: only what changes a training changes the file."""
    found = WeakQuery.objects.filter(project=project, batch__in=batches, verdict__in=DECIDED).order_by("weak_id")
    for batch, weak_id, verdict, edited in found.values_list("batch", "weak_id", "verdict", "edited").iterator():
        counts[verdict] += 1
        seen.add(batch)
        text = {"text": edited} if verdict == Verdict.EDIT else {}
        yield {"weak_id": weak_id, "verdict": verdict, **text}

"""Questions: written, changed, finished, skipped, flagged, annotated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.core.exceptions import ValidationError

from sptar_engine.data.lines import clean_text
from sptar_engine.data.query_text import normalised
from webapp.chunks import chunks
from webapp.models import Decision, Judgement, Project, Query, Split, User
from webapp.services import guidelines
from webapp.services.decisions import Conflict, step
from webapp.services.events import about_question
from webapp.services.judgements import keep_tried, must_exist

MAX_TEXT = 2000  # characters
MAX_AT_ONCE = 200
"""Questions that can be pasted at once; more are an import."""
ANSWERS = 2
"""The grade of the document that a question was written for."""

_ID_DIGITS = 16  # hex digits of the id made from a text, as in sptar_engine.data.pairs
_SHOWN = 60  # characters of a question in the words of a step


@dataclass(frozen=True, slots=True)
class Added:
    """What became of pasted lines: new questions, and those that were there already, in the order of the lines."""

    made: list[Query]
    known: list[Query]


def add(*, project: Project, texts: Sequence[str], actor: User, origin: str = "written") -> Added:
    """Queue up questions to be judged. Raises ValidationError for one that is empty, too long, or too many."""
    by_key: dict[str, str] = {}
    for text in texts:
        if text.strip():
            by_key.setdefault(text_key(clean(text)), clean(text))
    lines = list(by_key.values())
    if not lines:
        raise ValidationError("Write a question first, as somebody would type it into the search box.")
    if len(lines) > MAX_AT_ONCE:
        raise ValidationError(f"{len(lines)} lines at once; {MAX_AT_ONCE} are the most. Import a file instead.")
    label = f"Wrote “{shorten(lines[0])}”" if len(lines) == 1 else f"Wrote {len(lines)} questions"
    with step(project=project, actor=actor, kind="query.written", label=label) as doing:
        known = {row.normalised: row for row in _known(project, lines)}
        made = [_make(project, text, origin, actor) for text in lines if text_key(text) not in known]
        _give_ids(project, made)
        Query.objects.bulk_create(made)
        doing.made["query"] += [row.pk for row in made]
        doing.facts["questions"] = len(made)
    return Added(made, list(known.values()))


def add_for_document(*, project: Project, text: str, doc_id: str, actor: User) -> Query:
    """Write the question that a shown document answers: question and judgement in one step.

    Raises ValidationError for a bad text, a question that is there already, and a document of another project.
    """
    text = clean(text)
    must_exist(project, [doc_id])
    label = f"Wrote “{shorten(text)}” for a document"
    with step(project=project, actor=actor, kind="query.written", label=label, questions=1) as doing:
        if known := list(_known(project, [text])):
            raise ValidationError(
                f"This question is among the examples already: “{shorten(known[0].text)}”. Open it there to add this "
                "document, or word the question differently.",
                code="known",
                params={"query": known[0].pk},
            )
        row = _make(project, text, "document", actor)
        row.status = Query.Status.DONE
        _give_ids(project, [row])
        row.save()
        doing.made["query"].append(row.pk)
        Judgement.objects.create(
            query=row, doc_id=doc_id, grade=ANSWERS, judge=actor, guideline=guidelines.current(project)
        )
    return row


def edit(*, query: Query, actor: User, seen: int, text: str, split: str) -> Query:
    """Change text and split; a split that is given is kept by the app, an empty one is the app's choice again.

    Raises Conflict when somebody changed the question since revision `seen`, ValidationError for a bad text or one
    that another question has.
    """
    text = clean(text)
    if split not in ("", *Split.values):
        raise ValidationError({"split": f"“{split}” is no split; choose training, held-out or test."})
    with _change(query, actor, "query.edited", f"Changed “{shorten(query.text)}”", seen) as row:
        other = Query.objects.filter(project=row.project, normalised=text_key(text)).exclude(pk=row.pk).first()
        if other:
            raise ValidationError({"text": "Another example has this text already. Delete one of the two."})
        row.text, row.normalised = text, text_key(text)
        if split or row.split_fixed:
            row.split, row.split_fixed = split, bool(split)
    return row


def annotate(*, query: Query, actor: User, seen: int, note: str) -> Query:
    """Keep a note with a question. Raises Conflict as `edit`, ValidationError when it is too long."""
    note = clean_text(note.strip())[0]
    if len(note) > MAX_TEXT:
        raise ValidationError(f"The note has {len(note)} characters; at most {MAX_TEXT} are kept.")
    with _change(query, actor, "query.annotated", f"Note on “{shorten(query.text)}”", seen) as row:
        row.note = note
    return row


def flag(*, query: Query, actor: User, flagged: bool) -> Query:
    """Mark a question to come back to, or take the mark off."""
    word = "Flagged" if flagged else "Took the flag off"
    with _change(query, actor, "query.flagged", f"{word}: “{shorten(query.text)}”") as row:
        row.flagged = flagged
    return row


def finish(*, query: Query, actor: User) -> Query:
    """Say that a question is judged as far as it will be."""
    with _change(query, actor, "query.finished", f"Finished “{shorten(query.text)}”") as row:
        keep_tried(row)
        row.status, row.skip_reason = Query.Status.DONE, ""
    return row


def skip(*, query: Query, actor: User, reason: str) -> Query:
    """Put a question aside: it is no example any more. Raises ValidationError for a reason that is not on the list."""
    if reason not in SKIP_REASONS:
        raise ValidationError("Choose one of the reasons.")
    with _change(query, actor, "query.skipped", f"Skipped “{shorten(query.text)}”", reason=reason) as row:
        row.status, row.skip_reason = Query.Status.SKIPPED, reason
        row.split, row.split_fixed = "", False
    return row


def reopen(*, query: Query, actor: User) -> Query:
    """Take a finished or skipped question up again."""
    with _change(query, actor, "query.reopened", f"Took up “{shorten(query.text)}” again") as row:
        keep_tried(row)
        row.status, row.skip_reason = Query.Status.OPEN, ""
    return row


def delete(*, query: Query, actor: User) -> None:
    """Delete a question with its judgements."""
    label = f"Deleted “{shorten(query.text)}”"
    with step(
        project=query.project,
        actor=actor,
        kind="query.deleted",
        label=label,
        queries=[query.pk],
        **about_question(query),
    ):
        Query.objects.filter(pk=query.pk).delete()


SKIP_REASONS: Mapping[str, str] = {
    "unclear": "The question is unclear",
    "no_answer": "No document answers it",
    "off_topic": "Nobody would search for this",
    "cannot_judge": "I cannot judge it",
    "duplicate": "Nearly the same as another one",
}


def clean(text: str) -> str:
    """A question as it is kept: one line, single spaces. Raises ValidationError when it is empty or too long."""
    text = " ".join(clean_text(text)[0].split())
    if not text:
        raise ValidationError({"text": "The question is empty. Write what somebody would type into the search box."})
    if len(text) > MAX_TEXT:
        raise ValidationError({"text": f"The question has {len(text)} characters; at most {MAX_TEXT} are kept."})
    return text


def text_key(text: str) -> str:
    """By which two spellings of one question are known to be the same (sptar_engine.data.query_text)."""
    return sha256(normalised(text).encode()).hexdigest()


def new_ids(project: Project, texts: Sequence[str]) -> list[str]:
    """Ids for new questions, made from their texts; one that is taken (by a question edited since) gets a number."""
    wanted = ["q" + text_key(text)[:_ID_DIGITS] for text in texts]
    taken: set[str] = set()
    for some in chunks(wanted):
        rows = Query.objects.filter(project=project, query_id__in=some)
        taken.update(rows.values_list("query_id", flat=True))
    found = []
    for query_id in wanted:
        number, free = 2, query_id
        while free in taken or (number > 2 and Query.objects.filter(project=project, query_id=free).exists()):
            free, number = f"{query_id}-{number}", number + 1
        taken.add(free)
        found.append(free)
    return found


def shorten(text: str) -> str:
    """The beginning of a question for the words of a step."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _make(project: Project, text: str, origin: str, actor: User | None) -> Query:
    return Query(project=project, text=text, normalised=text_key(text), origin=origin, author=actor)


def _give_ids(project: Project, rows: Sequence[Query]) -> None:
    for row, query_id in zip(rows, new_ids(project, [row.text for row in rows]), strict=True):
        row.query_id = query_id


def _known(project: Project, texts: Sequence[str]) -> list[Query]:
    return list(Query.objects.filter(project=project, normalised__in=[text_key(text) for text in texts]))


@contextmanager
def _change(query: Query, actor: User, kind: str, label: str, seen: int | None = None, **facts: Any) -> Iterator[Query]:
    """Change one question, read anew within the step; it is saved, with its revision raised, when something differs."""
    facts |= about_question(query)
    with step(project=query.project, actor=actor, kind=kind, label=label, queries=[query.pk], **facts):
        row = Query.objects.filter(pk=query.pk).first()
        if row is None:
            raise Conflict("Somebody has deleted this question meanwhile.")
        if seen is not None and row.revision != seen:
            raise Conflict(
                f"{_last_actor(row)} changed this question meanwhile; it now reads “{row.text}”. What you typed is not "
                "saved yet: compare the two, and save again what should stand."
            )
        before = {name: getattr(row, name) for name in _CHANGED}
        yield row
        if before != {name: getattr(row, name) for name in _CHANGED}:
            row.revision += 1
            row.save(update_fields=[*_CHANGED, "revision"])


_CHANGED = ("text", "normalised", "status", "split", "split_fixed", "skip_reason", "note", "flagged")


def _last_actor(row: Query) -> str:
    """Who changed a question last, as far as the last steps tell."""
    steps = Decision.objects.filter(project=row.project_id, kind__startswith="query.").select_related("actor")
    for decision in steps.order_by("-pk")[:50]:
        if any(pk == row.pk for pk, _, _ in decision.before.get("query", ())):
            return str(decision.actor)
    return "Somebody"

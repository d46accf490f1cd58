"""Generated questions that become examples: accepted or edited by a person, for training alone.

They teach the question writer in the next round of tuning. They never measure anything: what a model wrote is no
held-out and no test example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError

from webapp.chunks import chunks
from webapp.models import Document, Judgement, Project, Query, Split, User, Verdict, WeakQuery
from webapp.selectors.review_effects import WANTED, least_risky
from webapp.services import guidelines
from webapp.services.decisions import step
from webapp.services.queries import ANSWERS, clean, new_ids, shorten, text_key

ORIGIN = "promoted"
MAX_AT_ONCE = 200
"""Questions that become examples at once; more are another time."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """What became of the questions: new examples, those that are examples already, and those without a document."""

    made: int
    known: int
    lost: int


def promote(*, project: Project, actor: User, weak: WeakQuery) -> Query:
    """Make an example of one question. Raises ValidationError for one that nobody accepted, is contested or known."""
    if weak.project_id != project.pk:
        raise ValidationError("This project has no such question.")
    if weak.verdict not in WANTED:
        raise ValidationError("Only a question that somebody accepted or edited can become an example.")
    if weak.disputed:
        raise ValidationError("People disagree about this question. Settle that first.")
    done = _promote(project, actor, [weak.pk], f"Made an example of “{shorten(weak.text)}”")
    weak.refresh_from_db()
    if done.lost:
        raise ValidationError("Its document is not in the version of the documents that is in use.")
    if done.known or weak.promoted is None:
        raise ValidationError("This question is among the examples already.")
    return weak.promoted


def promote_all(*, project: Project, actor: User, batch: str) -> Promoted:
    """Make examples of the accepted and edited questions of a batch, the least risky first, MAX_AT_ONCE at most.

    Those that are among the examples already count with these and are not looked at again; those whose document is not
    in the version in use are passed over.
    """
    rows = least_risky(project, batch, MAX_AT_ONCE)
    return _promote(project, actor, [row.pk for row in rows], "Made examples")


def _promote(project: Project, actor: User, ids: Sequence[int], label: str) -> Promoted:
    """One step, which can be taken back like any other of the labelling."""
    with step(project=project, actor=actor, kind="query.promoted", label=label) as doing:
        rows = _unpromoted(project, ids)
        present = _present(project, {row.doc_id for row in rows})
        rows_there = [row for row in rows if row.doc_id in present]
        known = _known(project, [text_key(_text(row)) for row in rows_there])
        queries: dict[str, Query] = {}
        origins: dict[str, WeakQuery] = {}
        for row in rows_there:
            key = text_key(_text(row))
            if key not in known and key not in queries:
                queries[key], origins[key] = _question(project, actor, row), row
        made = list(queries.values())
        for query, query_id in zip(made, new_ids(project, [query.text for query in made]), strict=True):
            query.query_id = query_id
        Query.objects.bulk_create(made)
        _judge(project, actor, queries, origins)
        _name_examples(rows_there, known | {key: query.pk for key, query in queries.items()})
        doing.made["query"] += [query.pk for query in made]
        doing.facts["questions"] = len(made)
        if len(made) != 1 or len(ids) != 1:
            doing.label = f"Made {len(made)} examples of generated questions"
    return Promoted(len(made), len(rows_there) - len(made), len(rows) - len(rows_there))


def _unpromoted(project: Project, ids: Sequence[int]) -> list[WeakQuery]:
    """The questions as they are now that nobody else can make them examples, in the order of `ids`."""
    found = {row.pk: row for row in WeakQuery.objects.filter(project=project, pk__in=ids, promoted=None)}
    rows = [found[pk] for pk in ids if pk in found]
    return [row for row in rows if row.verdict in WANTED and not row.disputed and row.text.strip()]


def _text(row: WeakQuery) -> str:
    return clean(row.edited if row.verdict == Verdict.EDIT and row.edited else row.text)


def _present(project: Project, doc_ids: set[str]) -> set[str]:
    """Those documents that the version in use has."""
    found: set[str] = set()
    for some in chunks(doc_ids):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        found.update(rows.values_list("doc_id", flat=True))
    return found


def _known(project: Project, keys: Sequence[str]) -> dict[str, int]:
    """Questions that are examples already, by key, whatever they are used for."""
    found: dict[str, int] = {}
    for some in chunks(keys):
        rows = Query.objects.filter(project=project, normalised__in=some)
        found.update(rows.values_list("normalised", "pk"))
    return found


def _name_examples(rows: Sequence[WeakQuery], examples: Mapping[str, int]) -> None:
    """Each question names its example, made of it or there before, so that it is not offered again."""
    for row in rows:
        row.promoted_id = examples[text_key(_text(row))]
    WeakQuery.objects.bulk_update(rows, ["promoted"], batch_size=100)


def _question(project: Project, actor: User, row: WeakQuery) -> Query:
    text = _text(row)
    return Query(
        project=project, text=text, normalised=text_key(text), origin=ORIGIN, author=actor, split=Split.TRAIN,
        split_fixed=True, status=Query.Status.DONE,
    )  # fmt: skip


def _judge(project: Project, actor: User, queries: dict[str, Query], origins: dict[str, WeakQuery]) -> None:
    """Whoever accepted the question has judged its document."""
    guideline = guidelines.current(project)
    Judgement.objects.bulk_create(
        Judgement(
            query=query, doc_id=origins[key].doc_id, grade=ANSWERS, judge_id=origins[key].reviewer_id or actor.pk,
            source=ORIGIN, guideline=guideline,
        )
        for key, query in queries.items()
    )  # fmt: skip

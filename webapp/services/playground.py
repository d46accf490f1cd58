"""Judging and saving what was tried in the playground.

A question that is only tried is kept as a skipped one, so that its grades take part in nothing: not in training, not in
a test. Saving it, on purpose, makes it an example, and its grades count from then on.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from webapp.models import Project, Query, Split, User
from webapp.selectors.judgements import PLAYGROUND
from webapp.services import decisions, events, judgements
from webapp.services.decisions import step
from webapp.services.events import about_question
from webapp.services.queries import clean, new_ids, shorten, text_key

USES: Mapping[str, str] = {Split.TEST: "a test question", Split.TRAIN: "an example to learn from"}
"""What a tried question may be saved as."""


def grade(*, project: Project, text: str, doc_id: str, grade: int | None, actor: User, seen: str = "") -> Query:
    """Grade a document for a question that is tried out. Returns the question, new where nobody tried it before.

    Raises ValidationError for a question that is an example, since its grades count, and as `judgements.grade`, as it
    raises Conflict.
    """
    text = clean(text)
    with transaction.atomic():
        decisions.lock(project)
        query = _find(project, text)
        if query is not None and query.status != Query.Status.SKIPPED:
            raise ValidationError(
                "This question is one of the examples: its grades count for training or for the test. Judge it on "
                "its own page.",
                code="example",
            )
        if query is None:
            query = _make(project, text, actor)
            query.save(force_insert=True)
            events.record("query.tried", project=project, actor=actor, **about_question(query))
        judgements.grade(query=query, doc_id=doc_id, grade=grade, actor=actor, seen=seen, source=PLAYGROUND)
    return query


def save(*, project: Project, text: str, split: str, actor: User) -> Query:
    """Make a tried question an example of a split of USES; without a relevant document it waits to be judged.

    Raises ValidationError for another split, a bad text, and a question that is an example already.
    """
    if split not in USES:
        raise ValidationError("Choose what to save it as: a test question or an example.")
    text = clean(text)
    with transaction.atomic():
        decisions.lock(project)
        query = _find(project, text)
        if query is not None and query.status != Query.Status.SKIPPED:
            raise ValidationError("This question is one of the examples already.", code="known")
        row = query or _make(project, text, actor)
        label = f"Saved “{shorten(text)}” as {USES[split]}"
        with step(
            project=project, actor=actor, kind="query.saved", label=label, queries=[query.pk] if query else (),
            **about_question(row), used=USES[split],
        ) as doing:  # fmt: skip
            row.status = Query.Status.DONE if row.relevant else Query.Status.OPEN
            row.skip_reason, row.split, row.split_fixed = "", split, True
            row.revision += 1 if query else 0
            row.save()
            judgements.keep_tried(row)
            if query is None:
                doing.made["query"].append(row.pk)
    return row


def _find(project: Project, text: str) -> Query | None:
    return Query.objects.filter(project=project, normalised=text_key(text)).first()


def _make(project: Project, text: str, actor: User) -> Query:
    return Query(
        project=project, query_id=new_ids(project, [text])[0], text=text, normalised=text_key(text), origin=PLAYGROUND,
        status=Query.Status.SKIPPED, skip_reason=PLAYGROUND, author=actor,
    )  # fmt: skip

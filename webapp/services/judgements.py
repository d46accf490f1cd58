"""Grades for documents: given, changed, taken off. The grade on the screen is the one that counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.core.exceptions import ValidationError

from webapp.chunks import chunks
from webapp.models import Document, Grade, Judgement, Project, Query, User
from webapp.selectors.judgements import PLAYGROUND, judgements_of, state_of
from webapp.services import guidelines
from webapp.services.decisions import Conflict, step
from webapp.services.events import about_question

MAX_REST = 200
"""Documents that "none of the rest" may name at once: more than any page shows."""


def grade(
    *, query: Query, doc_id: str, grade: int | None, actor: User, seen: str = "", source: str = "labelling"
) -> None:
    """Give a document a grade, or take the grade off (None).

    `seen` is `version_of` the grade that the person saw. Raises Conflict when it is another one by now, and
    ValidationError for a grade or document that does not exist. Where two people have judged already, this settles.
    """
    if grade is not None and grade not in Grade.values:
        raise ValidationError(f"{grade} is no grade; grades go from 0 to 3.")
    if grade is not None:
        must_exist(query.project, [doc_id])
    label = f"{words(grade).capitalize()}: {doc_id}"
    with step(
        project=query.project, actor=actor, kind="judgement.given", label=label, queries=[query.pk],
        **about_question(query), grade=grade,
    ) as doing:  # fmt: skip
        rows = _rows(query, doc_id)
        if rows and rows[0].grade == grade:
            return
        _check_seen(rows, seen, actor)
        if grade is None:
            _take_off(rows)
        elif not rows:
            _add(query, doc_id, grade, actor, source)
        elif len(rows) == 1 or rows[0].settled:
            _change(rows[0], query, grade, actor, source)
        else:
            doing.label = f"Settled as {words(grade)}: {doc_id}"
            _add(query, doc_id, grade, actor, "settling", settled=True)


def rest_is_not_relevant(*, query: Query, doc_ids: Sequence[str], actor: User) -> int:
    """Give grade 0 to those documents that nobody has judged for this question. Returns how many.

    Raises ValidationError for documents that the project does not have.
    """
    wanted = list(dict.fromkeys(doc_ids))
    if len(wanted) > MAX_REST:
        raise ValidationError(f"{len(wanted)} documents at once; at most {MAX_REST} are shown on a page.")
    must_exist(query.project, wanted)
    with step(
        project=query.project, actor=actor, kind="judgement.rest", label="None of the rest", queries=[query.pk],
        **about_question(query),
    ) as doing:  # fmt: skip
        judged = set(Judgement.objects.filter(query=query, doc_id__in=wanted).values_list("doc_id", flat=True))
        rest = [doc_id for doc_id in wanted if doc_id not in judged]
        guideline = guidelines.current(query.project)
        Judgement.objects.bulk_create(
            Judgement(query=query, doc_id=doc_id, grade=Grade.NOT, judge=actor, guideline=guideline) for doc_id in rest
        )
        doing.label = f"None of the rest: {len(rest)} not relevant"
        doing.facts["documents"] = len(rest)
    return len(rest)


def settle(*, query: Query, doc_id: str, grade: int, actor: User, seen: str) -> None:
    """Decide a disagreement; everybody's own grade stays. Raises as `grade`; `seen` is `state_of` the grades shown."""
    if grade not in Grade.values:
        raise ValidationError(f"{grade} is no grade; grades go from 0 to 3.")
    with step(
        project=query.project, actor=actor, kind="judgement.settled", label=f"Settled as {words(grade)}: {doc_id}",
        queries=[query.pk], **about_question(query), grade=grade,
    ):  # fmt: skip
        rows = _rows(query, doc_id)
        if len({row.judge_id for row in rows}) < 2:
            raise ValidationError("There is nothing to settle: this document was judged by one person only.")
        if state_of(rows) != seen:
            raise Conflict(
                "The grades of this document have changed meanwhile. Nothing was settled: look at them as they are now "
                "and settle again if you still want to."
            )
        if rows[0].settled:
            _change(rows[0], query, grade, actor, "settling")
        else:
            _add(query, doc_id, grade, actor, "settling", settled=True)


def keep_tried(query: Query) -> None:
    """Within a step that makes a tried question an example: its grades of the playground count from then on."""
    rows = Judgement.objects.filter(query=query, source=PLAYGROUND)
    rows.filter(settled=True).update(source="settling")
    rows.filter(settled=False).update(source="labelling")


def version_of(rows: Sequence[Judgement]) -> str:
    """Names the grade that counts as it is now: row and revision; empty when there is none."""
    return f"{rows[0].pk}.{rows[0].revision}" if rows else ""


def must_exist(project: Project, doc_ids: Collection[str]) -> None:
    """Raise ValidationError unless all are documents of the project's current version."""
    if missing := sorted(set(doc_ids) - present_documents(project, doc_ids)):
        raise ValidationError(
            f"There is no document “{missing[0][:60]}” in this project. It may have gone with a newer version.",
            code="unknown_document",
        )


def present_documents(project: Project, doc_ids: Collection[str]) -> set[str]:
    """Those ids that the current version of the documents has."""
    found: set[str] = set()
    for some in chunks(set(doc_ids)):
        rows = Document.objects.filter(corpus=project.corpus_id, doc_id__in=some)
        found.update(rows.values_list("doc_id", flat=True))
    return found


def words(grade: int | None) -> str:
    """A grade in words."""
    if grade is None:
        return "grade taken off"
    return str(Grade(grade).label) if grade in Grade.values else f"grade {grade}"


def _rows(query: Query, doc_id: str) -> list[Judgement]:
    """All grades of a document, the one that counts first."""
    return judgements_of([query.pk])[query.pk].get(doc_id, [])


def _check_seen(rows: Sequence[Judgement], seen: str, actor: User) -> None:
    if version_of(rows) == seen:
        return
    if not rows:
        raise Conflict("The grade was taken off meanwhile. You see it as it is now; press again if you still want to.")
    who = "You have" if rows[0].judge_id == actor.pk else f"{rows[0].judge or 'Somebody'} has"
    where = " in another window" if rows[0].judge_id == actor.pk else ""
    raise Conflict(
        f"{who} changed this meanwhile{where}: it is “{words(rows[0].grade)}” now. Nothing was overwritten; press "
        "again if you still want to change it."
    )


def _add(query: Query, doc_id: str, grade: int, actor: User, source: str, *, settled: bool = False) -> None:
    row = Judgement(
        query=query, doc_id=doc_id, grade=grade, judge=actor, source=source, settled=settled,
        guideline=guidelines.current(query.project),
    )  # fmt: skip
    row.clean_fields()
    row.save(force_insert=True)


def _change(row: Judgement, query: Query, grade: int, actor: User, source: str) -> None:
    """Whoever changes the grade that counts answers for it from then on; the event log knows the one before."""
    row.grade, row.judge, row.source = grade, actor, source
    row.guideline = guidelines.current(query.project)
    row.revision += 1
    row.save(update_fields=["grade", "judge", "source", "guideline", "revision", "at"])


def _take_off(rows: Sequence[Judgement]) -> None:
    if len(rows) > 1 and not rows[0].settled:
        raise ValidationError("Two people have judged this document. Settle their disagreement instead.")
    if rows:
        rows[0].delete()

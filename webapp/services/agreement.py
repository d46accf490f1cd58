"""Second opinions: grades given blind to documents that another person has judged."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db.models import F

from webapp.models import Grade, Judgement, Query, User
from webapp.services import guidelines
from webapp.services.decisions import Conflict, step
from webapp.services.events import about_question
from webapp.services.judgements import present_documents, words


def give_second(*, query: Query, doc_id: str, grade: int, actor: User) -> None:
    """Keep the person's own grade beside the other's, which stays hidden until all of the question are judged.

    Until then it may be changed. Raises ValidationError for a document that nobody else judged, and Conflict for a
    change after the other's grades were shown.
    """
    if grade not in Grade.values:
        raise ValidationError(f"{grade} is no grade; grades go from 0 to 3.")
    label = f"Second opinion, {words(grade)}: {doc_id}"
    with step(
        project=query.project, actor=actor, kind="judgement.seconded", label=label, queries=[query.pk],
        **about_question(query),
    ):  # fmt: skip
        rows = list(Judgement.objects.filter(query=query, settled=False).values_list("doc_id", "judge_id"))
        others = present_documents(query.project, {its for its, judge in rows if judge != actor.pk})
        mine = {its for its, judge in rows if judge == actor.pk}
        if doc_id not in others:
            raise ValidationError("Nobody else has judged this document, so there is nothing to compare with.")
        if others <= mine:
            raise Conflict(
                "You have judged all of this question and have seen the other grades, so yours stays as it was. "
                "Where you disagree, settle it."
            )
        # A grade that is given again is another revision: who settles must have seen it.
        given = {"grade": grade, "source": "second", "guideline": guidelines.current(query.project)}
        Judgement.objects.update_or_create(
            query=query, doc_id=doc_id, judge=actor, settled=False,
            defaults={**given, "revision": F("revision") + 1}, create_defaults=given,
        )  # fmt: skip

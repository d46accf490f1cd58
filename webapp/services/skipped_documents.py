"""Documents that are no good to ask about."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ValidationError

from webapp.models import Project, SkippedDocument, User
from webapp.services.decisions import step
from webapp.services.judgements import must_exist

REASONS: Mapping[str, str] = {
    "empty": "There is too little in it",
    "unclear": "I do not understand it",
    "nobody_asks": "Nobody would search for this",
    "duplicate": "It repeats another document",
    "broken": "The text is damaged",
}


def skip(*, project: Project, doc_id: str, reason: str, actor: User) -> None:
    """Do not suggest a document again. Raises ValidationError for a reason that is not on the list."""
    if reason not in REASONS:
        raise ValidationError("Choose one of the reasons.")
    must_exist(project, [doc_id])
    label = f"Skipped the document {doc_id}"
    known = list(SkippedDocument.objects.filter(project=project, doc_id=doc_id).values_list("pk", flat=True))
    with step(
        project=project, actor=actor, kind="example.document_skipped", label=label, skipped=known, reason=reason
    ) as doing:
        row, made = SkippedDocument.objects.get_or_create(
            project=project, doc_id=doc_id, defaults={"reason": reason, "who": actor}
        )
        if made:
            doing.made["skipped"].append(row.pk)

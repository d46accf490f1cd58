"""What counts as a good question and a relevant document here: texts with versions, never changed once written."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from sptar_engine.data.lines import clean_text
from webapp.models import Guideline, Project, User
from webapp.services import events
from webapp.services.decisions import Conflict

STARTER = """A good question
- is what a person would type into the search box, in their own words;
- can be answered by a document here, and not by nearly all of them;
- does not copy a title.

Grades
- 3 exactly this: the document answers the question fully.
- 2 relevant: it answers it in part, or among other things.
- 1 partly relevant: it is about the subject and helps a little.
- 0 not relevant."""
"""Offered where a project has no guidelines yet."""


def current(project: Project) -> Guideline | None:
    """The version that judgements follow now."""
    return Guideline.objects.filter(project=project).order_by("-number").first()


def write(*, project: Project, text: str, seen: int, actor: User) -> Guideline:
    """Make a new version. The same text again makes none.

    Raises Conflict when the current version is not number `seen` (0 for none) any more, ValidationError for a text
    that is empty or too long.
    """
    text = clean_text(text.replace("\r\n", "\n").strip())[0]
    with transaction.atomic():
        Project.objects.select_for_update().only("pk").get(pk=project.pk, deleted=None)
        latest = current(project)
        if (latest.number if latest else 0) != seen:
            raise Conflict(
                f"{(latest and latest.author) or 'Somebody'} wrote version {latest.number if latest else 0} meanwhile. "
                "Your text is not saved yet: compare the two, and save again what should stand."
            )
        if latest and latest.text == text:
            return latest
        made = Guideline(project=project, number=seen + 1, text=text, author=actor)
        made.full_clean()
        if not text:
            raise ValidationError({"text": "The guidelines are empty. Write at least one sentence."})
        made.save()
        events.record("guideline.written", project=project, actor=actor, version=made.number)
    return made

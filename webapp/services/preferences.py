"""Blind comparisons: two result lists without names, of which a person prefers one."""

from __future__ import annotations

import secrets

from django.core.exceptions import ValidationError
from django.db import transaction

from webapp.models import Preference, Project, User
from webapp.selectors.trained_models import TrainedModel
from webapp.services import decisions, events
from webapp.services.decisions import Conflict
from webapp.services.queries import clean, shorten

AGAINST = ("base", "bm25")
"""What a trained model may be compared with: the untrained one, or keyword search."""

LEFT, RIGHT, SAME = "left", "right", "same"
"""What a person may choose."""


def begin(*, project: Project, model: TrainedModel, against: str, text: str, actor: User) -> Preference:
    """Lay two lists before a person, the trained model's left or right by chance.

    As long as they have not chosen, the same question is the same comparison: asking again turns nothing round. Raises
    ValidationError for a bad text or an unknown search.
    """
    if against not in AGAINST:
        raise ValidationError("Choose what the trained model is compared with.")
    text = clean(text)
    with transaction.atomic():
        decisions.lock(project)
        facts = {"project": project, "experiment": model.experiment, "arm": model.arm, "before": against}
        row = Preference.objects.filter(**facts, text=text, person=actor, choice="").first()
        if row is None:
            row = Preference(**facts, text=text, person=actor, after_left=secrets.choice((True, False)))
            row.clean_fields(exclude=["person"])
            row.save(force_insert=True)
    return row


def choose(*, preference: Preference, side: str, actor: User) -> Preference:
    """Keep a choice. It stands once it is made: what the sides were is shown after it.

    Raises ValidationError for no side, Conflict when a choice was made before.
    """
    if side not in (LEFT, RIGHT, SAME):
        raise ValidationError("Choose the left list, the right list, or no difference.")
    choice = Preference.Choice.SAME
    if side != SAME:
        is_after = (side == LEFT) == preference.after_left
        choice = Preference.Choice.AFTER if is_after else Preference.Choice.BEFORE
    with transaction.atomic():
        rows = Preference.objects.filter(pk=preference.pk, person=actor, choice="")
        if rows.update(choice=choice) != 1:
            raise Conflict("You have chosen already; the first choice stands.")
        events.record(
            "preference.given", project=preference.project, actor=actor, words=shorten(preference.text),
            experiment=preference.experiment.number,
        )  # fmt: skip
    preference.refresh_from_db(fields=["choice"])
    return preference

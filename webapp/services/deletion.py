"""Deleting a project: gone for people at once, its rows and files by an errand (webapp.errands.project_delete)."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.models import Errand, Invitation, Project, StageRun, State, User
from webapp.services import errands, events

KIND = "project.delete"


def delete(*, project: Project, actor: User) -> None:
    """Mark the project deleted, ask for the removal, and stop its work. A second call does nothing.

    The work is stopped in a transaction of its own, since workers lock their row before the project's. Should this
    process end before, reconcile and the errand stop it.
    """
    now = timezone.now()
    with transaction.atomic():
        if not Project.objects.filter(pk=project.pk, deleted=None).update(deleted=now):
            return
        Invitation.objects.filter(project=project, used=None).update(expires=now)
        # Not an event of the project: that would go with it.
        events.record("project.deleted", project=None, actor=actor, name=project.name, slug=project.slug)
        errands.ask(kind=KIND, project=None, subject=project.pk, actor=actor, arguments={"slug": project.slug})
    stop_work(project)


def stop_work(project: Project) -> None:
    """Cancel what waits and ask what runs to stop. The fence keeps out what does not listen."""
    now = timezone.now()
    for work in (StageRun.objects.filter(experiment__project=project), Errand.objects.filter(project=project)):
        work.filter(state__in=[State.WAITING, State.QUEUED]).update(state=State.CANCELLED, finished_at=now)
        work.filter(state=State.RUNNING, cancel_requested=None).update(cancel_requested=now)

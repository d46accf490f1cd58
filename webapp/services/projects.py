"""Projects: made, renamed."""

from __future__ import annotations

from django.db import transaction

from webapp.models import Membership, Project, Role, User
from webapp.services import events


@transaction.atomic
def create(*, name: str, owner: User, description: str = "", is_sample: bool = False) -> Project:
    """Make a project with its first owner. Raises ValidationError for an empty or too long name."""
    project = Project(name=name.strip(), description=description.strip(), is_sample=is_sample)
    project.full_clean()
    project.save()
    Membership.objects.create(project=project, user=owner, role=Role.OWNER)
    events.record("project.created", project=project, actor=owner, name=project.name)
    return project


@transaction.atomic
def change(*, project: Project, actor: User, name: str, description: str) -> Project:
    """Rename a project or describe it anew."""
    before = project.name
    project.name, project.description = name.strip(), description.strip()
    project.full_clean()
    project.save(update_fields=["name", "description"])
    events.record("project.changed", project=project, actor=actor, name=project.name, before=before)
    return project

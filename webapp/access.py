"""Who may open a view: the decorator that every project view has.

A person who is not a member gets 404 for everything of a project, whatever the method, as if it did not exist. A member
whose role is too low gets 403 with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse

from webapp.models import Corpus, Membership, Project, Role
from webapp.prepared import Prepared, instance

View = Callable[..., HttpResponse]


def project_view(role: Role) -> Callable[[View], View]:
    """Look up the project of the address and hand it to the view as `project`; `request.role` is the person's role.

    Put it outermost, so that a stranger learns not even which methods exist. The view's address must have `slug`.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
            membership = find_membership(slug, request.user.pk)
            found = Role(membership.role)
            require(found, role)
            request.role = found  # type: ignore[attr-defined]  # read by templates and views of the project
            request.project = membership.project  # type: ignore[attr-defined]
            return view(request, membership.project, *args, **kwargs)

        guarded.project_role = role  # type: ignore[attr-defined]  # the access test lists views by it
        return guarded

    return decorate


def find_membership(slug: str, user_id: int | None) -> Membership:
    """A person's place in a project, the project and its documents' version known. Raises Http404 for a stranger."""
    rows = _MEMBERSHIPS.rows(slug, user_id) if user_id is not None else []
    if not rows:
        raise Http404("There is no such project.")
    membership = instance(Membership, rows[0])
    membership.project = instance(Project, rows[0], "project__")
    membership.project.corpus = instance(Corpus, rows[0], "project__corpus__") if membership.project.corpus_id else None
    return membership


def require(found: Role, needed: Role) -> None:
    """Raise PermissionDenied, with a sentence, for a role that is too low."""
    if found.level < needed.level:
        raise PermissionDenied(
            f"Your role here is {found.label.lower()} ({found.explained}); this needs the role "
            f"{needed.label.lower()}. Ask an owner of the project."
        )


def _membership_rows(slug: str, user_id: int) -> QuerySet[Membership, dict[str, Any]]:
    models = (("", Membership), ("project__", Project), ("project__corpus__", Corpus))
    columns = [f"{prefix}{field.attname}" for prefix, model in models for field in model._meta.concrete_fields]
    rows = Membership.objects.filter(project__slug=slug, project__deleted=None, user_id=user_id)
    return rows.values(*columns)


_MEMBERSHIPS = Prepared(_membership_rows)

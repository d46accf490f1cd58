"""Who you are, your projects, and what was done in them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import MAX_ID, ApiView, ProjectView, Shape, created, described
from webapp.api.paging import PageQuery, link, page_of, page_shape
from webapp.event_words import NOUNS, VERBS
from webapp.models import ApiToken, Membership, Project, Role
from webapp.selectors import events
from webapp.selectors.steps import steps_of
from webapp.services import projects

TAG = "Projects"


class TokenShape(Shape):
    """The token of the request."""

    name = serializers.CharField()
    prefix = serializers.CharField(help_text="Its first characters.")
    scope = serializers.ChoiceField(choices=ApiToken.Scope.choices)
    project = serializers.CharField(
        source="project.slug", default=None, allow_null=True, help_text="The only project it opens."
    )
    expires = serializers.DateTimeField(allow_null=True)


class PersonShape(Shape):
    """Who asks."""

    email = serializers.EmailField()
    name = serializers.CharField(allow_blank=True)
    token = TokenShape(allow_null=True, help_text="Null in a browser session.")


class NewProject(Shape):
    """A project to make."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ProjectShape(Shape):
    """A project."""

    slug = serializers.CharField(help_text="Its name in addresses.")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices, help_text="Yours in it.")
    documents = serializers.IntegerField(help_text="Of the version in use.")
    version = serializers.IntegerField(allow_null=True, help_text="Of the documents in use.")
    created = serializers.DateTimeField()


class StepShape(Shape):
    """One of the eight steps."""

    key = serializers.CharField()
    name = serializers.CharField()
    state = serializers.CharField(help_text="waiting, ready, running, done, attention or outdated.")
    label = serializers.CharField()
    why = serializers.CharField(allow_blank=True)


class ProjectDetail(ProjectShape):
    """A project and where it stands."""

    steps = StepShape(many=True)


class EventShape(Shape):
    """Something that somebody did."""

    at = serializers.DateTimeField()
    who = serializers.CharField()
    what = serializers.CharField()
    verb = serializers.CharField()


class EventQuery(Shape):
    """Which events; a page has 50."""

    cursor = serializers.IntegerField(required=False, min_value=0, max_value=MAX_ID)
    verb = serializers.ChoiceField(
        required=False, choices=[*VERBS, *(f"{noun}." for noun in NOUNS)], help_text="A verb, or a noun with a dot."
    )


class EventPage(Shape):
    """A page of the log, newest first."""

    results = EventShape(many=True)
    next = serializers.URLField(allow_null=True)


class Me(ApiView):
    """The person behind the token."""

    @described("Me", "Who you are and what your token may do", name="me", answers=PersonShape)
    def get(self, request: Request) -> Response:
        """The person and the token."""
        shown = {"email": self.person.email, "name": self.person.name, "token": self.token}
        return Response(PersonShape(shown).data)


class Projects(ApiView):
    """The projects that the person is a member of."""

    starts: ClassVar = ("POST",)

    @described(TAG, "Your projects, newest first", name="projects", answers=page_shape(ProjectShape), query=[PageQuery])
    def get(self, request: Request) -> Response:
        """Those that the token opens."""
        rows = Membership.objects.select_related("project", "project__corpus").filter(
            user=self.person, project__deleted=None
        )
        if self.token and self.token.project_id:
            rows = rows.filter(project=self.token.project_id)
        chosen = self.query(PageQuery)
        return page_of(request, rows, chosen, lambda found: [_shown(one) for one in found], key="project_id")

    @described(
        TAG, "Make a project", name="project_create", body=NewProject, answers=ProjectShape, status=201,
        text="You become its owner. The token needs the scope run and must not belong to one project.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        """A new project."""
        self.require_scope(Role.EDITOR)
        if self.token and self.token.project_id:
            raise PermissionDenied("This token belongs to one project, so it cannot make others.")
        made = projects.create(owner=self.person, **self.body(NewProject))
        return created(_shown(Membership.objects.select_related("project").get(project=made, user=self.person)))


class OneProject(ProjectView):
    """One project."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "A project and where its steps stand", name="project", answers=ProjectDetail)
    def get(self, request: Request, slug: str) -> Response:
        """The project."""
        steps = StepShape(steps_of(self.project, self.role), many=True).data
        return Response({**_project(self.project, self.role), "steps": steps})


class Events(ProjectView):
    """The log of a project."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Who did what when, newest first", name="events", answers=EventPage, query=[EventQuery])
    def get(self, request: Request, slug: str) -> Response:
        """A page of it."""
        chosen = self.query(EventQuery)
        page = events.page(self.project, before=chosen.get("cursor"), verb=chosen.get("verb", ""))
        following = link(request, page.older) if page.older else None
        return Response({"results": EventShape(page.lines, many=True).data, "next": following})


def _shown(membership: Membership) -> dict[str, Any]:
    return _project(membership.project, Role(membership.role))


def _project(project: Project, role: Role) -> dict[str, Any]:
    corpus = project.corpus
    return {
        "slug": project.slug, "name": project.name, "description": project.description, "role": role.value,
        "documents": corpus.documents if corpus else 0, "version": corpus.number if corpus else None,
        "created": serializers.DateTimeField().to_representation(project.created),
    }  # fmt: skip

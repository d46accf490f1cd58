"""What all views of the API share: whose project it is, which role it takes, and how a request is read.

They are classes, unlike the pages' views: one address answers several methods, each with its own role and schema.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from webapp.access import find_membership, require
from webapp.api.problems import MEDIA_TYPE, Problem
from webapp.models import ApiToken, Project, Role, User

Shape = serializers.Serializer[Any]

SCOPE_ROLES: Mapping[str, Role] = {
    ApiToken.Scope.READ: Role.VIEWER,
    ApiToken.Scope.LABEL: Role.REVIEWER,
    ApiToken.Scope.RUN: Role.EDITOR,
}
"""The highest role a token acts in; its person's own role in the project may be lower and then counts."""

MAX_ID = 2**63 - 1
"""The largest id that a database takes."""


class ApiView(APIView):
    """A view for whoever is logged in or has a token."""

    starts: ClassVar[Collection[str]] = ()
    """Methods that start work; fewer of them are allowed a minute."""

    @property
    def person(self) -> User:
        """Who asks."""
        assert isinstance(self.request.user, User)
        return self.request.user

    @property
    def token(self) -> ApiToken | None:
        """The token of the request; None in a browser session."""
        return self.request.auth if isinstance(self.request.auth, ApiToken) else None

    def query(self, shape: type[Shape]) -> dict[str, Any]:
        """The parameters of the address, checked. Raises a validation error, which is answered with 400."""
        return _checked(shape(data=self.request.query_params))

    def body(self, shape: type[Shape]) -> dict[str, Any]:
        """The body, checked. Raises a validation error, which is answered with 400."""
        return _checked(shape(data=self.request.data))

    def require_scope(self, role: Role) -> None:
        """Raise PermissionDenied for a token that may not act in this role."""
        token = self.token
        if token and SCOPE_ROLES[token.scope].level < role.level:
            needed = next(scope for scope, one in SCOPE_ROLES.items() if one.level >= role.level)
            raise PermissionDenied(
                f"This token is for “{ApiToken.Scope(token.scope).label.lower()}”; this needs one for "
                f"“{ApiToken.Scope(needed).label.lower()}” (the scope {needed})."
            )


class ProjectView(ApiView):
    """A view of one project. `roles` names the lowest role for each method; everybody else's project is a 404."""

    roles: ClassVar[Mapping[str, Role]]
    project: Project
    role: Role

    @classmethod
    def as_view(cls, **kwargs: Any) -> Callable[..., Any]:
        """The view, with its lowest role as pages have it, for the access test."""
        view = super().as_view(**kwargs)
        view.project_role = min(cls.roles.values(), key=lambda role: role.level)
        return view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the project before anything else is looked at, so that a stranger learns not even the methods."""
        super().initial(request, *args, **kwargs)
        slug = kwargs["slug"]
        membership = find_membership(slug, self.person.pk)
        if self.token and self.token.project_id not in (None, membership.project_id):
            raise Http404("There is no such project.")
        self.project, self.role = membership.project, Role(membership.role)
        needed = self.roles.get(request.method or "", Role.VIEWER)
        require(self.role, needed)
        self.require_scope(needed)


class Nothing(serializers.Serializer[Any]):
    """An empty body."""


def described(
    tag: str,
    summary: str,
    *,
    name: str,
    answers: Any = None,
    body: Any = None,
    query: Sequence[type[Shape] | OpenApiParameter] = (),
    status: int = 200,
    also: Mapping[int, Any] | None = None,
    errors: Collection[int] = (),
    text: str = "",
) -> Callable[[Any], Any]:
    """The OpenAPI description of a method; the errors that every address can answer with stand in it by themselves."""
    problems = {400, 401, 403, 404, 406, 429, *errors} | ({413, 415} if body is not None else set())
    # A file has its media type in the key; everything else is JSON.
    responses: dict[Any, Any] = {**(answers if isinstance(answers, dict) else {status: answers}), **(also or {})}
    for code in sorted(problems):
        responses[code, MEDIA_TYPE] = OpenApiResponse(Problem, description=_PROBLEMS[code])
    return extend_schema(
        tags=[tag], summary=summary, description=text or summary, operation_id=name, request=body,
        parameters=list(query), responses=responses,
    )  # fmt: skip


_PROBLEMS = {
    400: "Something in the request is not as it should be.",
    401: "There is no token, or it does not work.",
    403: "The role of the person or the scope of the token is too low.",
    404: "It does not exist, or belongs to a project of others.",
    406: "The answer is JSON; the request accepts none.",
    409: "The state it is in does not allow that now; somebody may have been faster.",
    411: "The length of the file is missing.",
    413: "Too large.",
    415: "The body is of another kind than this address reads.",
    429: "Too many requests in this minute.",
    503: "The search service has no answer now.",
}


def created(data: Any) -> Response:
    """An answer with status 201."""
    return Response(data, status=201)


def _checked(found: Shape) -> dict[str, Any]:
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)

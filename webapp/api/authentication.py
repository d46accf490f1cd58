"""Who asks: a token in the header, or the session of a browser with its CSRF token."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from webapp.models import ApiToken, User
from webapp.selectors.api_tokens import open_token
from webapp.services import api_tokens
from webapp.services.tokens import hash_token


class Bearer(BaseAuthentication):
    """`Authorization: Bearer sptar_…`. `request.auth` is the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """The person and the token; None when the header is not there or is of another kind."""
        kind, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if kind.lower() != "bearer":
            return None
        token = open_token(hash_token(text.strip()))
        if token is None:
            raise AuthenticationFailed(
                "This token does not work: it is mistyped, expired or revoked, or its person's account is closed. "
                "Make a new one on the page Profile, API tokens."
            )
        api_tokens.note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        del request
        return 'Bearer realm="SPTAR"'


class Session(SessionAuthentication):
    """A browser that is logged in, for the documentation page; what changes something needs the CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        """Refuse with a sentence of ours."""
        try:
            # Django's own request: the other one would parse the body first, and refuse what it cannot read.
            super().enforce_csrf(request._request)  # noqa: SLF001
        except PermissionDenied:
            raise PermissionDenied(
                "The CSRF token is missing or not of this session. Send a token in the header Authorization, or reload "
                "the page that you work in."
            ) from None


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # no type information
    """Bearer in the OpenAPI file."""

    target_class = "webapp.api.authentication.Bearer"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """As OpenAPI calls it."""
        del auto_schema
        return {"type": "http", "scheme": "bearer", "description": "A token from the page Profile, API tokens."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # no type information
    """Session in the OpenAPI file."""

    target_class = "webapp.api.authentication.Session"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """As OpenAPI calls it."""
        del auto_schema
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A browser that is logged in."}

"""The description of the API: the OpenAPI file, the page that shows it, and the answer to unknown addresses."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularYAMLAPIView
from rest_framework.exceptions import NotFound
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request

from webapp.api.base import ApiView


class Schema(SpectacularYAMLAPIView):  # type: ignore[misc]  # no type information
    """The OpenAPI file (docs/openapi.yaml), for whoever may ask anything at all."""

    permission_classes: ClassVar = [IsAuthenticated]


@require_GET
def docs(request: HttpRequest) -> HttpResponse:
    """Every address, to read and to try out with the session of the browser."""
    return render(request, "api/docs.html")


@extend_schema(exclude=True)
class Unknown(ApiView):
    """Addresses that do not exist, so that programs get an answer that they can read."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Whatever the method."""
        super().initial(request, *args, **kwargs)
        raise NotFound

"""What a form says of the moment when it was made, so that a second click asks for the same experiment."""

from __future__ import annotations

from django.http import HttpRequest

from webapp.models import Project


def newest_number(project: Project) -> int:
    """Number of the newest experiment, 0 before there is one."""
    newest = project.experiments.order_by("-number").values_list("number", flat=True).first()
    return newest or 0


def shown_number(request: HttpRequest, project: Project) -> int:
    """The newest experiment when the form was made (its field `after`), else the one that is newest now."""
    text = request.POST.get("after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else newest_number(project)

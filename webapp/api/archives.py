"""Downloads: what an experiment has to give, packed as a job."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import ProjectView, Shape, described
from webapp.api.experiments import find as find_experiment
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.archive_kinds import KINDS
from webapp.downloads import attachment
from webapp.models import Archive, Project, Role
from webapp.selectors import archives as found
from webapp.services import archives

TAG = "Downloads"


class NewArchive(Shape):
    """An archive to make."""

    experiment = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="Its number.")
    kind = serializers.ChoiceField(choices=list(KINDS))
    boxes = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=20,
        help_text="What goes in; left out, the boxes that are ticked on the page, which hold no text of people.",
    )  # fmt: skip
    format = serializers.CharField(required=False, default="", allow_blank=True, max_length=20)


class ArchiveShape(Shape):
    """An archive."""

    slug = serializers.CharField(help_text="Its name in addresses.")
    kind = serializers.CharField()
    experiment = serializers.IntegerField(allow_null=True)
    options = serializers.DictField()
    state = serializers.CharField(help_text="open (being made), ready, failed, stopped or gone.")
    name = serializers.CharField(allow_blank=True, help_text="Of the file, once it is made.")
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField(allow_blank=True)
    created = serializers.DateTimeField()


class Archives(ProjectView):
    """The archives of a project."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(TAG, "Archives, newest first", name="archives", answers=page_shape(ArchiveShape), query=[PageQuery])
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        rows = self.project.archives.select_related("experiment", "project").filter(kind__in=KINDS)
        return page_of(request, rows, self.query(PageQuery), lambda some: [shown(one) for one in some])

    @described(
        TAG, "Have an archive made", name="archive_create", body=NewArchive, answers=ArchiveShape, status=201,
        also={200: ArchiveShape}, errors=[409],
        text="Answers 200 with the archive that is there already when nothing has changed since.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Ask for it."""
        given = self.body(NewArchive)
        experiment = find_experiment(self.project, given["experiment"])
        ticked = [box.key for box in KINDS[given["kind"]].boxes if box.ticked]
        archive, is_new = archives.ask(
            experiment=experiment, kind=given["kind"], actor=self.person, boxes=given.get("boxes", ticked),
            chosen=given["format"],
        )  # fmt: skip
        return Response(shown(archive), status=201 if is_new else 200)


class OneArchive(ProjectView):
    """One archive."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Where an archive stands", name="archive", answers=ArchiveShape)
    def get(self, request: Request, slug: str, archive: str) -> Response:
        """The archive."""
        return Response(shown(_find(self.project, archive)))


class DownloadArchive(ProjectView):
    """The file of an archive."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "The file of an archive", name="archive_download",
        answers={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
    )  # fmt: skip
    def get(self, request: Request, slug: str, archive: str) -> FileResponse:
        """The file; 404 until it is made."""
        row = _find(self.project, archive)
        path = found.file_of(row)
        if path is None:
            raise Http404("It is not made yet.")
        return attachment(FileResponse(path.open("rb"), content_type="application/octet-stream"), row.name)


def shown(archive: Archive) -> dict[str, Any]:
    """An archive as JSON."""
    return dict(
        ArchiveShape(
            {
                "slug": archive.slug, "kind": archive.kind, "options": archive.options, "name": archive.name,
                "experiment": archive.experiment.number if archive.experiment else None, "bytes": archive.bytes,
                "state": found.shown(archive).state, "sha256": archive.sha256, "created": archive.created,
            }
        ).data
    )  # fmt: skip


def _find(project: Project, slug: str) -> Archive:
    rows = project.archives.select_related("experiment", "project")
    return get_object_or_404(rows, slug=slug, kind__in=KINDS)

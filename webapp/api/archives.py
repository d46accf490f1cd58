"""Downloads: what an experiment has to give, packed as a job."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, described
from webapp.api.experiments import find as find_experiment
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.archive_kinds import KINDS, MEDIA_TYPES
from webapp.models import Archive, Project, Role
from webapp.selectors import archives as found
from webapp.services import archives
from webapp.streaming import send_file

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
        return page_of(request, rows, self.query(PageQuery), self._show)

    def _show(self, some: list[Archive]) -> list[dict[str, Any]]:
        return [_shape(one) for one in found.shown_all(self.project.pk, some)]

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

    roles: ClassVar = {"GET": Role.VIEWER, "DELETE": Role.EDITOR}

    @described(TAG, "Where an archive stands", name="archive", answers=ArchiveShape)
    def get(self, request: Request, slug: str, archive: str) -> Response:
        """The archive."""
        return Response(shown(_find(self.project, archive)))

    @described(
        TAG, "Remove an archive and its file", name="archive_remove", status=204, answers=None,
        text="What it was made of stays, so it can be made again.",
    )  # fmt: skip
    def delete(self, request: Request, slug: str, archive: str) -> Response:
        """Remove it."""
        archives.remove(archive=_find(self.project, archive), actor=self.person)
        return Response(status=204)


class MakeAgain(ProjectView):
    """Make it again."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Make an archive again that failed, was stopped or lost its file", name="archive_again", body=Nothing,
        answers=ArchiveShape,
    )  # fmt: skip
    def post(self, request: Request, slug: str, archive: str) -> Response:
        """Ask for it; what is there or on its way is left alone."""
        row = _find(self.project, archive)
        archives.again(archive=row, actor=self.person)
        return Response(shown(row))


class StopArchive(ProjectView):
    """Stop."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(TAG, "Stop making an archive", name="archive_stop", body=Nothing, answers=ArchiveShape)
    def post(self, request: Request, slug: str, archive: str) -> Response:
        """It ends within ten seconds."""
        row = _find(self.project, archive)
        archives.stop(archive=row, actor=self.person)
        return Response(shown(row))


class DownloadArchive(ProjectView):
    """The file of an archive."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "The file of an archive", name="archive_download",
        answers={
            (status, content_type.partition(";")[0]): OpenApiResponse(OpenApiTypes.BINARY)
            for status in (200, 206)
            for content_type in MEDIA_TYPES.values()
        },
        text="With a Range header it answers a part (206), so that a download that broke off can go on; ETag names "
        "the content for If-Range.",
    )  # fmt: skip
    def get(self, request: Request, slug: str, archive: str) -> HttpResponseBase:
        """The file; 404 until it is made."""
        row = _find(self.project, archive)
        path = found.file_of(row)
        if path is None:
            raise Http404("It is not made yet.")
        content_type = KINDS[row.kind].media_type_of(row.options)
        asked = request._request  # noqa: SLF001  Django's own request
        return send_file(asked, path, name=row.name, content_type=content_type, tag=row.sha256)


def shown(archive: Archive) -> dict[str, Any]:
    """An archive as JSON."""
    return _shape(found.shown(archive))


def _shape(one: found.Shown) -> dict[str, Any]:
    archive = one.archive
    return dict(
        ArchiveShape(
            {
                "slug": archive.slug, "kind": archive.kind, "options": archive.options, "name": archive.name,
                "experiment": archive.experiment.number if archive.experiment else None, "bytes": archive.bytes,
                "state": one.state, "sha256": archive.sha256, "created": archive.created,
            }
        ).data
    )  # fmt: skip


def _find(project: Project, slug: str) -> Archive:
    rows = project.archives.select_related("experiment", "project")
    return get_object_or_404(rows, slug=slug, kind__in=KINDS)

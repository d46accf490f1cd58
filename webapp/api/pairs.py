"""Examples from files, and into files."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, created, described
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.api.receiving import files_of
from webapp.api.uploads import UploadRow
from webapp.downloads import attachment
from webapp.models import Project, Role, Split, Upload
from webapp.selectors import examples
from webapp.selectors.example_files import FORMATS, lines_of
from webapp.selectors.examples import Filter
from webapp.services import pairs

TAG = "Examples"
KINDS = (Upload.Kind.PAIRS, Upload.Kind.QRELS)


class NewPairs(Shape):
    """A file of examples."""

    file = serializers.FileField(help_text="CSV, TSV, JSON lines of pairs, or qrels; also gzip.")
    queries = serializers.FileField(required=False, help_text="Of qrels: the file with the questions.")
    split = serializers.ChoiceField(
        required=False, default="", allow_blank=True, choices=Split.choices,
        help_text="Empty: as the file says, else the app chooses.",
    )  # fmt: skip


class PairsShape(UploadRow):
    """A file of examples on its way."""

    problems = serializers.ListField(child=serializers.DictField(), help_text="The first rows left out.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows left out by reason.")


class ExportQuery(Shape):
    """Which file, of which questions."""

    kind = serializers.ChoiceField(
        required=False, default="jsonl", choices=list(FORMATS), help_text="csv is safe for spreadsheets, jsonl exact."
    )
    split = serializers.ChoiceField(required=False, choices=[*Split.values, examples.NO_SPLIT])


class Imports(ProjectView):
    """Imports of examples."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    parser_classes: ClassVar = (MultiPartParser,)
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Imports of examples, newest first", name="imports", answers=page_shape(PairsShape), query=[PageQuery]
    )
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        rows = self.project.uploads.filter(kind__in=KINDS)
        return page_of(request, rows, self.query(PageQuery), lambda found: PairsShape(found, many=True).data)

    @described(
        TAG, "Import examples from a file", name="import_create", status=201, answers=PairsShape,
        body={"multipart/form-data": NewPairs}, errors=[409, 411],
        text="Nothing is imported before your word: the import waits, with the stage question, for …/accept/ or "
        "…/discard/. Large files are checked in the background first (stage checking).",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Receive a file."""
        files_of(request)
        given = self.body(NewPairs)
        upload = pairs.receive(
            project=self.project, file=given["file"], queries=given.get("queries"), split=given["split"],
            actor=self.person,
        )  # fmt: skip
        return created(_shown(upload))


class OneImport(ProjectView):
    """One import."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Where an import of examples stands", name="import", answers=PairsShape)
    def get(self, request: Request, slug: str, upload: int) -> Response:
        """The import."""
        return Response(_shown(_find(self.project, upload)))


class AcceptImport(ProjectView):
    """Import the good rows."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Import the good rows and leave the others out", name="import_accept", body=Nothing, answers=PairsShape,
        errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Accept it."""
        found = _find(self.project, upload)
        pairs.accept(upload=found, actor=self.person)
        return Response(_shown(found))


class DiscardImport(ProjectView):
    """Import nothing."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(TAG, "Import nothing of a file", name="import_discard", body=Nothing, answers=PairsShape, errors=[409])
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Discard it."""
        found = _find(self.project, upload)
        pairs.discard(upload=found, actor=self.person)
        return Response(_shown(found))


class Export(ProjectView):
    """The examples as a file."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "All examples as a file that the import reads", name="examples_export", query=[ExportQuery],
        answers={
            (200, content_type.partition(";")[0]): OpenApiResponse(OpenApiTypes.BINARY)
            for content_type in FORMATS.values()
        },
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """The file."""
        chosen = self.query(ExportQuery)
        rows = examples.pairs(self.project, Filter(split=chosen.get("split", "")))
        lines = lines_of(rows, chosen["kind"])
        response = StreamingHttpResponse(lines, content_type=FORMATS[chosen["kind"]])
        return attachment(response, f"{self.project.name} examples.{chosen['kind']}")


def _find(project: Project, pk: int) -> Upload:
    return get_object_or_404(project.uploads.select_related("project", "uploaded_by"), pk=pk, kind__in=KINDS)


def _shown(upload: Upload) -> dict[str, Any]:
    upload.refresh_from_db()
    return dict(PairsShape(upload).data)

"""Documents on their way in: uploaded, checked, decided on, imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import FileResponse, Http404
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
from webapp.downloads import attachment
from webapp.models import Chunking, Project, Role, Upload
from webapp.places import upload_folder
from webapp.reading.checking import PROBLEMS_FILE
from webapp.reading.tables import DELIMITERS, ROLES
from webapp.reading.text_lines import ENCODINGS
from webapp.selectors.uploads import DOCUMENT_KINDS, WORKING, progress
from webapp.services import upload_orders, uploads

TAG = "Documents"


class Choices(Shape):
    """How a file is to be read; what is left out is guessed."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in DOCUMENT_KINDS], required=False)
    encoding = serializers.ChoiceField(choices=list(ENCODINGS), required=False)
    delimiter = serializers.ChoiceField(choices=list(DELIMITERS), required=False)
    header = serializers.BooleanField(required=False, help_text="Whether a table's first row names the columns.")
    roles = serializers.ListField(
        child=serializers.ChoiceField(choices=list(ROLES), allow_blank=True), required=False, max_length=200,
        help_text="What each column of a table is.",
    )  # fmt: skip
    chunking = serializers.ChoiceField(choices=Chunking.choices, required=False)


class NewUpload(Shape):
    """A file with documents."""

    file = serializers.FileField(help_text="JSON lines, CSV, TSV, text, PDF, Word, or a zip of them; also gzip.")
    hold = serializers.BooleanField(
        required=False, default=False, help_text="Wait for the choices (…/check/) instead of checking as guessed."
    )
    chunking = serializers.ChoiceField(choices=Chunking.choices, required=False)


class Acceptance(Shape):
    """The decision to import the good rows."""

    chunking = serializers.ChoiceField(choices=Chunking.choices, required=False)


class ProblemRow(Shape):
    """A row that cannot be used."""

    line = serializers.IntegerField(allow_null=True)
    place = serializers.CharField(allow_blank=True, required=False)
    reason = serializers.CharField()
    fix = serializers.CharField(allow_blank=True, required=False)


class UploadRow(Shape):
    """A file on its way."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Upload.Kind.choices)
    stage = serializers.ChoiceField(
        choices=Upload.Stage.choices,
        help_text="mapping waits for choices, question for the decision on bad rows; done, refused and cancelled end.",
    )
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    rows_good = serializers.IntegerField()
    rows_bad = serializers.IntegerField()
    rows_changed = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    created = serializers.DateTimeField()


class ProgressShape(Shape):
    """How far the work on it is."""

    message = serializers.CharField()
    share = serializers.IntegerField(allow_null=True, help_text="Percent, when known.")
    error = serializers.CharField(allow_blank=True)
    is_over = serializers.BooleanField(help_text="It failed or was stopped.")


class UploadShape(UploadRow):
    """A file on its way, with what was found in it."""

    problems = serializers.ListField(child=serializers.DictField(), help_text="The first bad rows: line, reason, fix.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Bad rows by reason.")
    progress = ProgressShape(allow_null=True, help_text="While it is checked or imported.")


class Uploads(ProjectView):
    """The uploads of documents."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    parser_classes: ClassVar = (MultiPartParser,)
    starts: ClassVar = ("POST",)

    @described(TAG, "Uploads, newest first", name="uploads", answers=page_shape(UploadRow), query=[PageQuery])
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        rows = self.project.uploads.filter(kind__in=DOCUMENT_KINDS).defer("problems", "options", "counts")
        return page_of(request, rows, self.query(PageQuery), lambda found: UploadRow(found, many=True).data)

    @described(
        TAG, "Upload documents", name="upload_create", status=201, answers=UploadShape, errors=[409, 411],
        body={"multipart/form-data": NewUpload},
        text="Keeps the file, guesses what it is and has it checked. Without bad rows it is imported at once; with "
        "some it waits for …/accept/. Ask for the upload until its stage is done, question or refused.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Receive a file."""
        files_of(request)
        given = self.body(NewUpload)
        upload = uploads.receive(project=self.project, file=given["file"], actor=self.person)
        if not given["hold"]:
            wishes = {"chunking": given["chunking"]} if "chunking" in given else {}
            upload_orders.check(upload=upload, actor=self.person, wishes=wishes)
        return created(shown(upload))


class OneUpload(ProjectView):
    """One upload."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Where an upload stands", name="upload", answers=UploadShape)
    def get(self, request: Request, slug: str, upload: int) -> Response:
        """The upload."""
        return Response(shown(find(self.project, upload)))


class _Move(ProjectView):
    """Takes an upload a step further."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    def move(self, pk: int, step: Callable[[Upload], None]) -> Response:
        """Take the step and show where the upload stands then."""
        upload = find(self.project, pk)
        step(upload)
        return Response(shown(upload))


class CheckUpload(_Move):
    """Make the choices."""

    @described(
        TAG, "Check an upload with choices of yours", name="upload_check", body=Choices, answers=UploadShape,
        errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Start the check."""
        wishes = self.body(Choices)
        return self.move(upload, lambda one: upload_orders.check(upload=one, actor=self.person, wishes=wishes))


class AcceptUpload(_Move):
    """Import what is good."""

    @described(
        TAG, "Import the good rows although there are bad ones", name="upload_accept", body=Acceptance,
        answers=UploadShape, errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Start the import."""
        given = self.body(Acceptance)

        def accept(one: Upload) -> None:
            chunking = given.get("chunking") or one.options.get("chunking", Chunking.NONE)
            uploads.import_good(upload=one, chunking=chunking, actor=self.person)

        return self.move(upload, accept)


class ReopenUpload(_Move):
    """Back to the choices."""

    @described(TAG, "Go back to the choices", name="upload_reopen", body=Nothing, answers=UploadShape, errors=[409])
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Reopen it."""
        return self.move(upload, lambda one: uploads.reopen(upload=one, actor=self.person))


class RetryUpload(_Move):
    """Try again."""

    @described(
        TAG, "Try a check or an import again that failed or was stopped", name="upload_retry", body=Nothing,
        answers=UploadShape, errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Ask for the work once more."""
        return self.move(upload, lambda one: uploads.retry(upload=one, actor=self.person))


class CancelUpload(_Move):
    """Give an upload up."""

    @described(TAG, "Give an upload up", name="upload_cancel", body=Nothing, answers=UploadShape, errors=[409])
    def post(self, request: Request, slug: str, upload: int) -> Response:
        """Cancel it."""
        return self.move(upload, lambda one: uploads.cancel(upload=one, actor=self.person))


class UploadProblems(ProjectView):
    """All bad rows."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Every bad row with its reason, as CSV", name="upload_problems",
        answers={(200, "text/csv"): OpenApiResponse(OpenApiTypes.BINARY)},
    )  # fmt: skip
    def get(self, request: Request, slug: str, upload: int) -> FileResponse:
        """The file."""
        path = upload_folder(find(self.project, upload)) / PROBLEMS_FILE
        if not path.exists():
            raise Http404("There is no report.")
        return attachment(FileResponse(path.open("rb"), content_type="text/csv; charset=utf-8"), "problems.csv")


def find(project: Project, pk: int) -> Upload:
    """An upload of documents of this project, else 404."""
    return get_object_or_404(project.uploads.select_related("project"), pk=pk, kind__in=DOCUMENT_KINDS)


def shown(upload: Upload) -> dict[str, Any]:
    """An upload as JSON."""
    upload.progress = progress(upload) if upload.stage in WORKING else None  # type: ignore[attr-defined]
    return dict(UploadShape(upload).data)

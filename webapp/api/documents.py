"""Versions of the documents, the documents of the one in use, and search in them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, described
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.models import Chunking, Corpus, Document, Role
from webapp.selectors import documents
from webapp.services import corpora

TAG = "Documents"
_DEPTH = 100  # hits that a search may ask for


class VersionShape(Shape):
    """A version of the documents."""

    number = serializers.IntegerField()
    documents = serializers.IntegerField()
    chunking = serializers.ChoiceField(choices=Chunking.choices)
    sha256 = serializers.CharField(allow_blank=True)
    in_use = serializers.BooleanField()
    created = serializers.DateTimeField()


class DocumentShape(Shape):
    """A document, or a piece of one."""

    id = serializers.IntegerField(source="pk")
    doc_id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    text = serializers.CharField(source="shown", allow_blank=True, help_text="Its first 100,000 characters.")
    length = serializers.IntegerField(help_text="Characters of the whole text.")
    source_id = serializers.CharField(allow_blank=True, help_text="Of a piece: the id of the whole document.")


class OneDocumentShape(DocumentShape):
    """A document and the version that it is of."""

    version = serializers.IntegerField(source="corpus.number")


class DocumentQuery(PageQuery):
    """Which documents. Pages are small because documents may be long."""

    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=50)
    doc_id = serializers.CharField(required=False, max_length=512, trim_whitespace=False, help_text="Only this one.")


class SearchQuery(Shape):
    """What to search for."""

    q = serializers.CharField(max_length=500)
    depth = serializers.IntegerField(required=False, default=20, min_value=1, max_value=_DEPTH)


class HitShape(Shape):
    """A document that was found."""

    id = serializers.IntegerField()
    doc_id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    snippet = serializers.CharField(allow_blank=True, help_text="A few lines round the first matching word.")


class ResultsShape(Shape):
    """Hits, best first."""

    hits = HitShape(many=True)
    milliseconds = serializers.FloatField()


class Versions(ProjectView):
    """The versions."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Versions, newest first", name="versions", answers=page_shape(VersionShape), query=[PageQuery])
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        rows = self.project.corpora.filter(ready=True).defer("health")
        return page_of(request, rows, self.query(PageQuery), self._show, key="number")

    def _show(self, found: list[Corpus]) -> Any:
        for corpus in found:
            corpus.in_use = corpus.pk == self.project.corpus_id  # type: ignore[attr-defined]  # for the shape
        return VersionShape(found, many=True).data


class UseVersion(ProjectView):
    """Switch versions."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(TAG, "Put a version into use", name="version_use", body=Nothing, answers=VersionShape)
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Use it from now on."""
        corpus = get_object_or_404(self.project.corpora.select_related("project"), number=number)
        corpora.use(corpus=corpus, actor=self.person)
        corpus.in_use = True
        return Response(VersionShape(corpus).data)


class Health(ProjectView):
    """The health report."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Health report of the version in use", name="documents_health", answers=OpenApiTypes.OBJECT,
        text="Counts, lengths, duplicates and empty documents, as the page Documents reads them.",
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """The engine's report; empty before there are documents."""
        return Response(self.project.corpus.health if self.project.corpus else {})


class Documents(ProjectView):
    """The documents in use."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Documents of the version in use", name="documents", answers=page_shape(DocumentShape),
        query=[DocumentQuery],
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """A page of them, in their order."""
        chosen = self.query(DocumentQuery)
        rows = documents.shortened(Document.objects.filter(corpus=self.project.corpus_id))
        if "doc_id" in chosen:
            rows = rows.filter(doc_id=chosen["doc_id"])
        return page_of(
            request, rows, chosen, lambda found: DocumentShape(found, many=True).data, newest_first=False
        )  # fmt: skip


class OneDocument(ProjectView):
    """One document."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "A document of any version", name="document", answers=OneDocumentShape)
    def get(self, request: Request, slug: str, doc: int) -> Response:
        """The document."""
        return Response(OneDocumentShape(documents.one(self.project, doc)).data)


class Search(ProjectView):
    """Search by words."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Search the documents by words (BM25)", name="search", answers=ResultsShape, query=[SearchQuery],
        errors=[503],
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """The hits."""
        chosen = self.query(SearchQuery)
        if self.project.corpus is None:
            raise Http404("There are no documents yet.")
        found = documents.search(self.project.corpus, chosen["q"], chosen["depth"])
        hits = [
            {"id": hit.pk, "doc_id": hit.doc_id, "title": _plain(hit.heading), "snippet": _plain(hit.snippet)}
            for hit in found.hits
        ]
        return Response({"hits": hits, "milliseconds": found.milliseconds})


def _plain(segments: list[documents.Segment]) -> str:
    return "".join(text for text, _ in segments)

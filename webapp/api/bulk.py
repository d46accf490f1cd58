"""One verdict on all questions of a filter."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import MAX_ID, Nothing, ProjectView, Shape, described
from webapp.api.questions import TAG
from webapp.models import BulkReview, Project, Role, Verdict
from webapp.review_words import LIKENESS, REJECT_REASONS
from webapp.selectors.questions import REASONS
from webapp.selectors.review_batches import batch_or_404
from webapp.selectors.review_list import Filter, matching
from webapp.services import review_bulk

_COUNTED = 1000


class BulkFilter(Shape):
    """Which questions; those that have a verdict already are left alone."""

    text = serializers.CharField(required=False, default="", allow_blank=True, max_length=200)
    kept = serializers.ChoiceField(
        required=False, default="", allow_blank=True, choices=["yes", *REASONS],
        help_text="yes: only those that the filter kept; or the reason for which they were dropped.",
    )  # fmt: skip
    rank = serializers.IntegerField(
        required=False, min_value=1, max_value=100_000, help_text="This rank of its own document or a worse one."
    )
    like = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_ID, help_text="Id of a question that they are like."
    )
    how = serializers.ChoiceField(
        required=False, choices=list(LIKENESS), help_text="The same words, most of them, the same start, or as few."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A likeness is of a question in a way."""
        if ("like" in attrs) != ("how" in attrs):
            raise serializers.ValidationError("like and how go together.")
        return attrs


class NewBulk(BulkFilter):
    """A verdict on all of them."""

    verdict = serializers.ChoiceField(choices=[Verdict.ACCEPT.value, Verdict.REJECT.value, Verdict.UNSURE.value])
    reason = serializers.ChoiceField(choices=list(REJECT_REASONS), required=False, allow_blank=True, default="")
    preview = serializers.BooleanField(required=False, default=False, help_text="Only count them; nothing changes.")


class PreviewShape(Shape):
    """How many it would be."""

    count = serializers.IntegerField()
    is_exact = serializers.BooleanField(help_text="False: at least so many.")


class BulkShape(Shape):
    """A verdict on many questions, on its way or given."""

    id = serializers.IntegerField(source="pk")
    verdict = serializers.ChoiceField(choices=Verdict.choices)
    reason = serializers.CharField(allow_blank=True)
    filters = serializers.DictField()
    questions = serializers.IntegerField(help_text="How many have got it.")
    finished_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)


class Bulk(ProjectView):
    """Give a verdict on all."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Give a verdict on all questions of a filter that have none", name="bulk_start", body=NewBulk,
        answers=PreviewShape, also={202: BulkShape},
        text="With preview it answers 200 with their number; else 202, and the work goes on in the background.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """Count, or begin."""
        batch = batch_or_404(self.project, number, arm)
        given = self.body(NewBulk)
        chosen = Filter(
            text=given["text"], kept=given["kept"], rank=given.get("rank"), verdict="none", like=given.get("like"),
            how=given.get("how", ""),
        )  # fmt: skip
        open_ones = chosen.open_to(given["verdict"])
        assert open_ones is not None, "this filter asks for no verdict"
        if given["preview"]:
            found = matching(self.project, batch.folder, open_ones, limit=_COUNTED + 1)
            return Response({"count": min(len(found.ids), _COUNTED), "is_exact": found.reached is None})
        made = review_bulk.start(
            project=self.project, batch=batch.folder, chosen=chosen, verdict=given["verdict"],
            reason=given["reason"], actor=self.person,
        )  # fmt: skip
        return Response(BulkShape(made).data, status=202)


class OneBulk(ProjectView):
    """A verdict on many."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "Where a verdict on many questions stands", name="bulk", answers=BulkShape)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """The action."""
        return Response(_shown(_find(self.project, pk)))


class UndoBulk(ProjectView):
    """Take it back."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Take a verdict on many questions back", name="bulk_undo", body=Nothing, answers=BulkShape, errors=[409]
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Ask for it; what a person has said of single questions since stays."""
        found = _find(self.project, pk)
        review_bulk.undo(bulk=found, actor=self.person)
        return Response(_shown(found))


def _find(project: Project, pk: int) -> BulkReview:
    return get_object_or_404(project.bulk_reviews.select_related("project"), pk=pk)


def _shown(bulk: BulkReview) -> dict[str, Any]:
    bulk.refresh_from_db()
    return dict(BulkShape(bulk).data)

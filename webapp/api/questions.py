"""Generated questions and what people say of them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import MAX_ID, ProjectView, Shape, described
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.models import Project, ReviewStep, Role, Verdict, WeakQuery
from webapp.review_words import QUEUE, QUEUES, REJECT_REASONS
from webapp.selectors.questions import REASONS
from webapp.selectors.review_batches import batch_or_404
from webapp.selectors.review_verdicts import state_of
from webapp.services import review_leases, reviews
from webapp.services.decisions import Conflict

TAG = "Review"
OPEN, ANY = "open", "any"


class QuestionQuery(PageQuery):
    """Which generated questions."""

    verdict = serializers.ChoiceField(required=False, choices=[*Verdict.values, OPEN], help_text="open: no verdict.")
    dropped = serializers.ChoiceField(
        required=False, choices=["no", ANY, *REASONS], help_text="no: only those that are kept; any or a reason."
    )
    disputed = serializers.BooleanField(required=False, default=False)


class QuestionShape(Shape):
    """A generated question."""

    id = serializers.IntegerField(source="pk")
    weak_id = serializers.CharField()
    doc_id = serializers.CharField()
    text = serializers.CharField()
    rank = serializers.IntegerField(allow_null=True, help_text="Of its own document by BM25.")
    loss = serializers.FloatField(allow_null=True, help_text="The question writer's surprise, nats per token.")
    dropped = serializers.CharField(allow_blank=True, help_text="Why it is not used; empty when it is kept.")
    verdict = serializers.ChoiceField(choices=Verdict.choices, allow_blank=True, help_text="The one that counts.")
    edited = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    disputed = serializers.BooleanField()
    reviewed_at = serializers.DateTimeField(allow_null=True)


class ReviewShape(Shape):
    """One person's verdict."""

    verdict = serializers.ChoiceField(choices=Verdict.choices)
    text = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    reviewer = serializers.CharField(source="reviewer.__str__", default="")
    settled = serializers.BooleanField()
    source = serializers.CharField()
    at = serializers.DateTimeField()


class QuestionDetail(QuestionShape):
    """A generated question with everybody's verdicts."""

    reviews = ReviewShape(many=True)
    state = serializers.CharField(help_text="Names these verdicts as they are; send it as `seen` to settle them.")


class NextQuery(Shape):
    """Where the next card comes from."""

    queue = serializers.ChoiceField(choices=list(QUEUES), required=False, default=QUEUE)


class Card(Shape):
    """A question to judge, without its scores and other people's verdicts. It is yours for ten minutes."""

    id = serializers.IntegerField(source="pk")
    doc_id = serializers.CharField()
    text = serializers.CharField()


class NextShape(Shape):
    """The next card; null when nothing waits."""

    question = Card(allow_null=True)


class NewVerdict(Shape):
    """A verdict."""

    verdict = serializers.ChoiceField(choices=Verdict.choices)
    reason = serializers.ChoiceField(
        choices=list(REJECT_REASONS), required=False, allow_blank=True, default="", help_text="Of a rejection."
    )
    text = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2000, help_text="Of an edit: the better question."
    )
    queue = serializers.ChoiceField(
        choices=list(QUEUES), required=False,
        help_text="Where the card came from (…/next/). A second opinion counts only with the queue second.",
    )  # fmt: skip


class Undo(Shape):
    """Which step to take back."""

    step = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_ID, help_text="Your newest one when left out."
    )


class Questions(ProjectView):
    """The questions of one arm of an experiment."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Generated questions of an arm, newest first", name="questions", answers=page_shape(QuestionShape),
        query=[QuestionQuery],
    )  # fmt: skip
    def get(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """A page of them."""
        chosen = self.query(QuestionQuery)
        rows = batch_or_404(self.project, number, arm).questions
        if "verdict" in chosen:
            rows = rows.filter(verdict="" if chosen["verdict"] == OPEN else chosen["verdict"])
        if (dropped := chosen.get("dropped")) is not None and dropped != ANY:
            rows = rows.filter(dropped="" if dropped == "no" else dropped)
        if chosen["disputed"]:
            rows = rows.filter(disputed=True)
        return page_of(request, rows, chosen, lambda found: QuestionShape(found, many=True).data)


class NextQuestion(ProjectView):
    """The next card."""

    roles: ClassVar = {"POST": Role.REVIEWER}

    @described(
        TAG, "The next question for you to judge", name="question_next", body=NextQuery, answers=NextShape,
        text="Nobody else is shown it for ten minutes; asked again, it is the same one until you give your verdict.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int, arm: str) -> Response:
        """Lease it."""
        queue = self.body(NextQuery)["queue"]
        batch = batch_or_404(self.project, number, arm)
        weak = review_leases.take(project=self.project, batch=batch.folder, actor=self.person, queue=queue)
        return Response(NextShape({"question": weak}).data)


class OneQuestion(ProjectView):
    """One generated question."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "A generated question with all verdicts", name="question", answers=QuestionDetail)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """The question."""
        return Response(shown(find(self.project, pk)))


class GiveVerdict(ProjectView):
    """A verdict."""

    roles: ClassVar = {"POST": Role.REVIEWER}

    @described(
        TAG, "Give your verdict on a generated question", name="question_verdict", body=NewVerdict,
        answers=QuestionDetail,
        text="Replaces your earlier verdict; the same again changes nothing, so it may be sent twice. Other people's "
        "verdicts stay: where two disagree, the question is disputed until somebody settles it.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Keep it."""
        weak = find(self.project, pk)
        given = self.body(NewVerdict)
        source = given.pop("queue", "api")
        reviews.give(project=self.project, actor=self.person, weak=weak, source=source, **given)
        weak.refresh_from_db()
        return Response(shown(weak))


class UndoVerdict(ProjectView):
    """Take a verdict back."""

    roles: ClassVar = {"POST": Role.REVIEWER}

    @described(TAG, "Take your last verdict back", name="verdict_undo", body=Undo, answers=QuestionDetail, errors=[409])
    def post(self, request: Request, slug: str) -> Response:
        """Undo it."""
        wanted = self.body(Undo).get("step")
        rows = ReviewStep.objects.filter(project=self.project, actor=self.person).select_related("weak")
        if wanted is not None:
            step = get_object_or_404(rows, pk=wanted)
        else:
            found = rows.filter(undone=None).order_by("-pk").first()
            if found is None:
                raise Conflict("There is no verdict of yours to take back.")
            step = found
        return Response(shown(reviews.undo(project=self.project, actor=self.person, step=step)))


def find(project: Project, pk: int) -> WeakQuery:
    """A generated question of this project, else 404."""
    return get_object_or_404(project.weak_queries, pk=pk)


def shown(weak: WeakQuery) -> dict[str, Any]:
    """A question with its verdicts as JSON."""
    rows = list(weak.reviews.select_related("reviewer").order_by("-settled", "pk"))
    reviews = ReviewShape(rows, many=True).data
    return {**QuestionShape(weak).data, "reviews": reviews, "state": state_of(rows)}

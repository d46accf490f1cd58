"""One question, three searches: keywords, the model before training, the model after."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import ProjectView, Shape, described
from webapp.models import Role
from webapp.selectors.playground import Column, screen_of
from webapp.selectors.playground_choice import LONGEST, choice_of

TAG = "Playground"


class TryQuery(Shape):
    """A question to try."""

    q = serializers.CharField(max_length=LONGEST)
    run = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Number of the experiment whose model is tried."
    )
    arm = serializers.SlugField(required=False, max_length=40, help_text="Which of its models.")


class TriedHit(Shape):
    """A document that was found."""

    rank = serializers.IntegerField()
    id = serializers.IntegerField(source="number")
    doc_id = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    excerpt = serializers.CharField(allow_blank=True)


class TriedSearch(Shape):
    """One of the searches."""

    search = serializers.ChoiceField(choices=["bm25", "before", "after"])
    state = serializers.CharField(help_text="ready, or why it found nothing: building, absent, failed, down, slow …")
    problem = serializers.CharField(allow_blank=True)
    milliseconds = serializers.FloatField()
    hits = TriedHit(many=True)


class TriedShape(Shape):
    """What was found."""

    text = serializers.CharField()
    run = serializers.IntegerField(allow_null=True, help_text="Experiment of the model; null while none is trained.")
    arm = serializers.CharField(allow_null=True)
    searches = TriedSearch(many=True)


class Playground(ProjectView):
    """Try a question."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(
        TAG, "Try a question in all three searches", name="playground", answers=TriedShape, query=[TryQuery],
        text="A search that is not ready says why in its state; …/playground/ on the pages has it made ready.",
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """The first ten of each."""
        given = self.query(TryQuery)
        choice = choice_of(self.project, {name: str(value) for name, value in given.items()})
        if choice.missing:
            raise Http404("There is no such trained model.")
        screen = screen_of(self.project, choice.text, choice.model)
        return Response(
            {
                "text": choice.text,
                "run": choice.model.experiment.number if choice.model else None,
                "arm": choice.model.arm if choice.model else None,
                "searches": [_search(column) for column in screen.columns],
            }
        )


def _search(column: Column) -> dict[str, Any]:
    hits = [
        {
            "rank": hit.rank, "id": hit.number, "doc_id": hit.doc_id,
            "title": "".join(part.text for part in hit.title), "excerpt": "".join(part.text for part in hit.excerpt),
        }
        for hit in column.hits
    ]  # fmt: skip
    outcome = column.outcome
    return {
        "search": column.key, "state": outcome.state, "problem": outcome.problem,
        "milliseconds": outcome.milliseconds, "hits": hits,
    }  # fmt: skip

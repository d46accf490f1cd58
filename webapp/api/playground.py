"""One question, three searches: keywords, the model before training, the model after."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import Http404
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import ProjectView, Shape, created, described
from webapp.api.queries import QueryShape
from webapp.models import Project, Role
from webapp.search import client
from webapp.selectors.playground import Column, screen_of
from webapp.selectors.playground_choice import LONGEST, Choice, choice_of
from webapp.services import model_indexes, playground
from webapp.services.experiments import NotReadyError

TAG = "Playground"


class ModelQuery(Shape):
    """A trained model; the newest one when none is named."""

    run = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Number of the experiment whose model is tried."
    )
    arm = serializers.RegexField(
        r"^[a-z0-9_]+(/[a-z_]+)?$", required=False, max_length=40,
        help_text="Which of its models: an arm with its bi-encoder, or ARM/FAMILY; goes with run.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Arms of several experiments have the same names."""
        if "arm" in attrs and "run" not in attrs:
            raise serializers.ValidationError({"run": ["Name the experiment, too: many have an arm of that name."]})
        return attrs


class TryQuery(ModelQuery):
    """A question to try."""

    q = serializers.CharField(max_length=LONGEST)


class Saved(Shape):
    """A question that was tried, to be kept as an example."""

    q = serializers.CharField(max_length=LONGEST)
    split = serializers.ChoiceField(choices=list(playground.USES), help_text="To measure with, or to learn from.")


class PreparedShape(Shape):
    """What is being made ready."""

    run = serializers.IntegerField(allow_null=True, help_text="Null: the untrained model.")
    arm = serializers.CharField(allow_null=True)


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
        text="A search that is not ready says why in its state; …/playground/prepare/ has it made ready.",
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """The first ten of each."""
        given = self.query(TryQuery)
        choice = _choice(self.project, given)
        screen = screen_of(self.project, choice.text, choice.model)
        return Response(
            {
                "text": choice.text,
                **_named(choice),
                "searches": [_search(column) for column in screen.columns],
            }
        )


class Prepare(ProjectView):
    """Have a search made ready."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Have the documents indexed by a trained model", name="playground_prepare", body=ModelQuery,
        answers=PreparedShape, status=202, errors=[409, 503],
        text="It goes on in the background; the states in …/playground/ say when it is ready.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Ask for it; what is ready costs nothing."""
        choice = _choice(self.project, self.body(ModelQuery))
        if choice.model is not None:
            model_indexes.prepare(found=choice.model, actor=self.person)
        elif self.project.corpus is not None:
            client.prepare(self.project.corpus, client.BASE)
        else:
            raise NotReadyError("There are no documents yet, so there is nothing to index.")
        return Response(_named(choice), status=202)


class Save(ProjectView):
    """Keep a question."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(
        TAG, "Keep a tried question as a test question or an example", name="playground_save", body=Saved,
        answers=QueryShape, status=201,
        text="Judge its documents with …/queries/{id}/judgements/; 400 when it is an example already.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Save it."""
        given = self.body(Saved)
        made = playground.save(project=self.project, text=given["q"], split=given["split"], actor=self.person)
        return created(QueryShape(get_object_or_404(self.project.queries, pk=made.pk)).data)


def _choice(project: Project, given: dict[str, Any]) -> Choice:
    choice = choice_of(project, {name: str(value) for name, value in given.items()})
    if choice.missing:
        raise Http404("There is no such trained model.")
    return choice


def _named(choice: Choice) -> dict[str, Any]:
    model = choice.model
    return {"run": model.experiment.number if model else None, "arm": model.arm if model else None}


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

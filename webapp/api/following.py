"""Experiments that change one thing of another one: with your verdicts, with another threshold."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import ProjectView, described
from webapp.api.experiments import TAG, Again, ExperimentShape, find, newest_number, shown, token_of
from webapp.models import Role
from webapp.services import derive, experiment_orders


class Threshold(Again):
    """Another threshold of the filter."""

    top_k = serializers.IntegerField(
        min_value=1, max_value=10_000, help_text="A question is kept whose document BM25 finds among the first so many."
    )


class WithVerdicts(ProjectView):
    """Train again with the verdicts."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Train again with the verdicts of your review", name="experiment_with_verdicts", body=Again,
        answers=ExperimentShape, status=201, also={200: ExperimentShape}, errors=[409],
        text="A new experiment based on this one; what did not change is taken from its results.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Start it."""
        experiment, before = find(self.project, number), newest_number(self.project)
        token = experiment_orders.own_token(self.person, token_of(self.body(Again)))
        made = derive.with_verdicts(experiment=experiment, actor=self.person, request_token=token)
        return Response(shown(made), status=201 if made.number > before else 200)


class WithThreshold(ProjectView):
    """Train again with another threshold."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Train again with another threshold of the filter", name="experiment_with_threshold", body=Threshold,
        answers=ExperimentShape, status=201, also={200: ExperimentShape}, errors=[409],
        text="A new experiment based on this one; no question is written anew.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Start it."""
        experiment, before = find(self.project, number), newest_number(self.project)
        given = self.body(Threshold)
        token = experiment_orders.own_token(self.person, token_of(given))
        made = derive.with_threshold(
            experiment=experiment, actor=self.person, request_token=token, top_k=given["top_k"]
        )
        return Response(shown(made), status=201 if made.number > before else 200)

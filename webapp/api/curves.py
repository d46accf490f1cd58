"""Learning curves: how good the search is by the number of examples."""

from __future__ import annotations

from typing import ClassVar

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from sptar_engine.arms import ARMS, FAMILIES
from webapp.api.base import ProjectView, Shape, described
from webapp.api.experiments import Again, find, newest_number, token_of
from webapp.api.results import TAG
from webapp.cells import is_trained, wanted
from webapp.forms.experiments import MAX_SEEDS
from webapp.models import Role
from webapp.selectors import learning_curves
from webapp.services import derive, experiment_orders


class NewCurve(Again):
    """A learning curve to measure: one experiment for each number of examples."""

    arm = serializers.ChoiceField(
        choices=[name for name in wanted(list(ARMS), list(FAMILIES)) if is_trained(name)],
        help_text="Which search model: an arm with its bi-encoder, or ARM/FAMILY.",
    )
    sizes = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**31 - 1), min_length=2, max_length=10, required=False,
        help_text="Numbers of training examples, of those that are offered; all of them when left out.",
    )  # fmt: skip
    seeds = serializers.IntegerField(
        required=False, default=1, min_value=1, max_value=MAX_SEEDS, help_text="Repeats of each training."
    )


class ListedCurve(Shape):
    """A learning curve in the list."""

    series = serializers.CharField(help_text="Its name in addresses.")
    name = serializers.CharField()
    sizes = serializers.ListField(child=serializers.IntegerField())
    done = serializers.IntegerField(help_text="How many of its experiments are finished.")


class CurvesShape(Shape):
    """The newest learning curves."""

    results = ListedCurve(many=True)


class PointShape(Shape):
    """One number of examples; the values are null until it is measured."""

    size = serializers.IntegerField()
    experiment = serializers.IntegerField(source="experiment.number")
    mean = serializers.FloatField(allow_null=True, help_text="nDCG@10.")
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    base = serializers.FloatField(allow_null=True, help_text="Of the untrained model on the same questions.")


class GainShape(Shape):
    """What more examples would bring."""

    mean = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    questions = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["yes", "no", "open"])


class CurveShape(Shape):
    """A learning curve, with what is measured so far."""

    series = serializers.CharField()
    arm = serializers.CharField()
    base = serializers.IntegerField(source="base.number", help_text="The experiment that it is based on.")
    seeds = serializers.IntegerField()
    points = PointShape(many=True)
    gain = GainShape(allow_null=True, help_text=f"Of {learning_curves.MORE} more; null before all is measured.")
    sentence = serializers.CharField()


class Curves(ProjectView):
    """All of them."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "The newest learning curves", name="learning_curves", answers=CurvesShape)
    def get(self, request: Request, slug: str) -> Response:
        """The newest first."""
        return Response(CurvesShape({"results": learning_curves.list_curves(self.project)}).data)


class OneCurve(ProjectView):
    """One learning curve."""

    roles: ClassVar = {"GET": Role.VIEWER}

    @described(TAG, "A learning curve and whether more examples would help", name="learning_curve", answers=CurveShape)
    def get(self, request: Request, slug: str, series: str) -> Response:
        """The curve."""
        found = learning_curves.curve_of(self.project, series)
        if found is None:
            raise Http404("There is no such learning curve.")
        return Response(CurveShape(found).data)


class StartCurve(ProjectView):
    """Measure one."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Measure a learning curve", name="learning_curve_start", body=NewCurve, answers=CurveShape, status=201,
        also={200: CurveShape}, errors=[409],
        text="Starts an experiment for each number of examples; the same request_token starts them once.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Start its experiments."""
        experiment, before, given = find(self.project, number), newest_number(self.project), self.body(NewCurve)
        token = experiment_orders.own_token(self.person, token_of(given))
        made = derive.learning_curve(
            experiment=experiment, actor=self.person, request_token=token, arm=given["arm"],
            sizes=given.get("sizes") or derive.curve_sizes(experiment), seeds=given["seeds"],
        )  # fmt: skip
        found = learning_curves.curve_of(self.project, made[0].series)
        return Response(CurveShape(found).data, status=201 if made[0].number > before else 200)

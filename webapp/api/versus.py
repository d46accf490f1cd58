"""Two experiments side by side: what differs in how they were made, and whether one is better."""

from __future__ import annotations

from typing import ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.base import Nothing, ProjectView, Shape, described
from webapp.api.experiments import find
from webapp.api.results import TAG, ErrandShape, ValueShape, VerdictShape
from webapp.models import Experiment, Role
from webapp.selectors.compared_pairs import differences_of, errand_of, paired_of
from webapp.services import pairings


class DifferenceShape(Shape):
    """Something in which the two were made differently."""

    stage = serializers.CharField()
    option = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)


class PairRowShape(Shape):
    """One arm in both, on the test questions that they share."""

    arm = serializers.CharField()
    name = serializers.CharField()
    before = ValueShape(help_text="nDCG@10.")
    after = ValueShape()
    verdict = VerdictShape()
    unchanged = serializers.BooleanField(help_text="Its results are the same in both.")


class TestedShape(Shape):
    """The test of two experiments."""

    rows = PairRowShape(many=True)
    queries = serializers.IntegerField(help_text="Test questions that both have.")
    left_out = serializers.IntegerField()


class AgainstShape(Shape):
    """Two experiments side by side."""

    differences = DifferenceShape(many=True)
    tested = TestedShape(allow_null=True, help_text="Null until the two were tested by today's figures.")
    errand = ErrandShape(allow_null=True, help_text="The newest test that was asked for.")


class Against(ProjectView):
    """An experiment against an earlier one."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(TAG, "How an experiment differs from another one, and the test", name="against", answers=AgainstShape)
    def get(self, request: Request, slug: str, number: int, other: int) -> Response:
        """`other` is the one before."""
        return Response(_shown(find(self.project, other), find(self.project, number)))

    @described(
        TAG, "Have an experiment tested against another one", name="against_test", body=Nothing, answers=AgainstShape,
        also={202: AgainstShape}, errors=[409],
        text="Answers 200 when the test is there already, else 202: it is made in the background.",
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int, other: int) -> Response:
        """Ask for it."""
        before, after = find(self.project, other), find(self.project, number)
        is_there = before.pk != after.pk and paired_of(before, after) is not None
        if not is_there:
            pairings.ask(before=before, after=after, actor=self.person)
        return Response(_shown(before, after), status=200 if is_there else 202)


def _shown(before: Experiment, after: Experiment) -> dict[str, object]:
    found = {
        "differences": differences_of(before, after), "tested": paired_of(before, after),
        "errand": errand_of(before, after),
    }  # fmt: skip
    return dict(AgainstShape(found).data)

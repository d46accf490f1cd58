"""Experiments: planned, started, followed, called off, tried again."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from sptar_engine.arms import ARMS, BI_ENCODER, FAMILIES
from sptar_engine.presets import PRESETS
from webapp.api.base import Nothing, ProjectView, Shape, described
from webapp.api.paging import PageQuery, page_of, page_shape
from webapp.forms.experiments import CHOSEN_ARMS, MAX_SEEDS, USUAL_ARMS
from webapp.forms.options import written
from webapp.models import Experiment, Project, Role, State
from webapp.selectors import experiments as found
from webapp.selectors import measured, plans
from webapp.selectors.comparisons import short
from webapp.services import baselines, experiment_orders, experiments, stages
from webapp.services.experiment_orders import Order

TAG = "Experiments"


class OptionField(serializers.CharField):
    """The value of an option: text, a number, or true and false."""

    def to_internal_value(self, data: Any) -> str:
        """As the form takes it."""
        return str(super().to_internal_value(written(data) if isinstance(data, bool) else data))


class Plan(Shape):
    """What an experiment is to do."""

    preset = serializers.ChoiceField(choices=list(PRESETS), required=False, default="balanced")
    arms = serializers.MultipleChoiceField(
        choices=list(CHOSEN_ARMS), required=False, default=USUAL_ARMS,
        help_text="Compared with the baselines, which always take part.",
    )  # fmt: skip
    families = serializers.MultipleChoiceField(
        choices=list(FAMILIES), required=False, default=(BI_ENCODER,), allow_empty=False,
        help_text="Kinds of search models that every trained arm gets; a hybrid brings the bi-encoder along.",
    )  # fmt: skip
    llm = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=200, help_text="Question writer."
    )
    base = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=200, help_text="Base search model."
    )
    seeds = serializers.IntegerField(
        required=False, default=1, min_value=1, max_value=MAX_SEEDS, help_text="Repeats of each training."
    )
    equal_pairs = serializers.BooleanField(
        required=False, default=False,
        help_text="Train each arm that writes questions once more, on as many as the one with the fewest has.",
    )  # fmt: skip
    settings = serializers.DictField(
        child=serializers.DictField(child=OptionField(max_length=500)), required=False, default=dict,
        help_text='Options that differ from the preset, by stage: {"generate": {"documents": 500}}.',
    )  # fmt: skip


class NewExperiment(Plan):
    """An experiment to start."""

    name = serializers.CharField(required=False, allow_blank=True, default="", max_length=100)
    note = serializers.CharField(required=False, allow_blank=True, default="", max_length=5000)
    request_token = serializers.CharField(
        required=False, max_length=200,
        help_text="Any text of yours: sent again, by you and to the same project, it answers with the experiment "
        "that it has started, and starts no other one.",
    )  # fmt: skip


class Again(Shape):
    """An exact repetition."""

    request_token = serializers.CharField(required=False, max_length=200, help_text="As for a new experiment.")


class RemarkShape(Shape):
    """Something to know before the start."""

    level = serializers.CharField(help_text="bad (blocks), warn, note or good.")
    text = serializers.CharField()


class EstimateShape(Shape):
    """What an experiment would take."""

    low_seconds = serializers.FloatField()
    high_seconds = serializers.FloatField()
    rough = serializers.BooleanField(help_text="Some of it never ran on this machine before.")
    by_stage = serializers.DictField(child=serializers.FloatField(), help_text="Seconds.")
    disk_bytes = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()


class PlanShape(Shape):
    """An experiment before it starts."""

    can_start = serializers.BooleanField()
    steps = serializers.IntegerField()
    time = serializers.CharField(allow_blank=True)
    counts = serializers.DictField(child=serializers.IntegerField())
    remarks = RemarkShape(many=True)
    estimate = EstimateShape()


class ExperimentRow(Shape):
    """An experiment."""

    number = serializers.IntegerField()
    name = serializers.CharField(allow_blank=True)
    note = serializers.CharField(allow_blank=True)
    preset = serializers.CharField()
    arms = serializers.ListField(child=serializers.CharField())
    families = serializers.ListField(child=serializers.CharField(), help_text="Kinds of search models.")
    seeds = serializers.IntegerField()
    equal_pairs = serializers.BooleanField(help_text="Arms are compared at equal numbers of questions as well.")
    state = serializers.ChoiceField(choices=State.choices)
    result = serializers.SerializerMethodField(help_text="In a few words; empty before there is one.")
    created = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_result(self, experiment: Experiment) -> str:
        """The main result."""
        return short(experiment, experiment.newest)  # type: ignore[attr-defined]  # selectors.experiments.with_newest


class StageShape(Shape):
    """One step of an experiment."""

    id = serializers.IntegerField(source="pk")
    step = serializers.CharField(source="step_id")
    stage = serializers.CharField()
    arms = serializers.ListField(child=serializers.CharField())
    family = serializers.CharField(allow_blank=True, help_text="The kind of search model; empty before training.")
    variant = serializers.CharField(allow_blank=True, help_text="equal_pairs, or empty for the arm itself.")
    state = serializers.ChoiceField(choices=State.choices)
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    message = serializers.CharField(allow_blank=True)
    metrics = serializers.DictField()
    error = serializers.CharField(allow_blank=True)
    reused = serializers.BooleanField()
    seconds = serializers.FloatField(allow_null=True)


class ExperimentShape(ExperimentRow):
    """An experiment with its steps."""

    sentence = serializers.CharField(help_text="Where it stands.")
    settings = serializers.DictField(help_text="Options that differ from the defaults, by stage.")
    counts = serializers.DictField(help_text="Documents and examples as they were at the start.")
    version = serializers.IntegerField(help_text="Of the documents.")
    repeat_of = serializers.IntegerField(allow_null=True)
    based_on = serializers.IntegerField(allow_null=True)
    pinned = serializers.BooleanField(help_text="It is the project's baseline.")
    stages = StageShape(many=True)


class Description(Shape):
    """Name and note; what is left out stays."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=100)
    note = serializers.CharField(required=False, allow_blank=True, max_length=5000)


class Pin(Shape):
    """Whether the experiment is the project's baseline."""

    pinned = serializers.BooleanField()


class PlanView(ProjectView):
    """An estimate."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(
        TAG, "What an experiment would take, before it starts", name="experiment_plan", body=Plan, answers=PlanShape
    )
    def post(self, request: Request, slug: str) -> Response:
        """Plan and estimate; nothing is started."""
        form = experiment_orders.form_of(_order(self.body(Plan)))
        if not form.is_valid():
            raise ValidationError(experiment_orders.errors_of(form))
        return Response(_plan(plans.preview(self.project, form)))


class Experiments(ProjectView):
    """The experiments."""

    roles: ClassVar = {"GET": Role.VIEWER, "POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Experiments, newest first", name="experiments", answers=page_shape(ExperimentRow), query=[PageQuery]
    )
    def get(self, request: Request, slug: str) -> Response:
        """A page of them."""
        rows = found.with_newest(self.project.experiments.defer("settings", "machine"))
        return page_of(
            request, rows, self.query(PageQuery), lambda some: ExperimentRow(some, many=True).data, key="number"
        )

    @described(
        TAG, "Start an experiment", name="experiment_start", body=NewExperiment, answers=ExperimentShape, status=201,
        also={200: ExperimentShape}, errors=[409],
        text="Answers 201 with the new experiment, or 200 with the one that the same request_token has started before.",
    )  # fmt: skip
    def post(self, request: Request, slug: str) -> Response:
        """Start it."""
        given = self.body(NewExperiment)
        before = newest_number(self.project)
        made = experiment_orders.place(
            project=self.project, actor=self.person, order=_order(given), request_token=token_of(given)
        )
        return Response(shown(made), status=201 if made.number > before else 200)


class OneExperiment(ProjectView):
    """One experiment."""

    roles: ClassVar = {"GET": Role.VIEWER, "PATCH": Role.EDITOR}

    @described(TAG, "An experiment and its steps", name="experiment", answers=ExperimentShape)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """The experiment."""
        return Response(shown(find(self.project, number)))

    @described(
        TAG, "Change name or note of an experiment", name="experiment_describe", body=Description,
        answers=ExperimentShape,
    )  # fmt: skip
    def patch(self, request: Request, slug: str, number: int) -> Response:
        """Describe it."""
        experiment = find(self.project, number)
        given = {"name": experiment.name, "note": experiment.note, **self.body(Description)}
        experiments.describe(experiment=experiment, actor=self.person, **given)
        return Response(shown(experiment))


class PinExperiment(ProjectView):
    """The project's baseline."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(
        TAG, "Pin an experiment as the project's baseline, or take the pin off", name="experiment_pin", body=Pin,
        answers=ExperimentShape,
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Only one is pinned at a time."""
        experiment, on = find(self.project, number), self.body(Pin)["pinned"]
        if on or self.project.baseline_id == experiment.pk:
            baselines.pin(project=self.project, experiment=experiment if on else None, actor=self.person)
        return Response(shown(experiment))


class CancelExperiment(ProjectView):
    """Stop."""

    roles: ClassVar = {"POST": Role.EDITOR}

    @described(TAG, "Stop an experiment", name="experiment_cancel", body=Nothing, answers=ExperimentShape)
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Running steps end within ten seconds; what is done stays."""
        experiment = find(self.project, number)
        stages.cancel(work=experiment, actor=self.person)
        return Response(shown(experiment))


class RetryExperiment(ProjectView):
    """Go on."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Go on with what failed or was stopped", name="experiment_retry", body=Nothing, answers=ExperimentShape
    )
    def post(self, request: Request, slug: str, number: int) -> Response:
        """What was finished stays."""
        experiment = find(self.project, number)
        stages.retry(work=experiment, actor=self.person)
        return Response(shown(experiment))


class RepeatExperiment(ProjectView):
    """Once more."""

    roles: ClassVar = {"POST": Role.EDITOR}
    starts: ClassVar = ("POST",)

    @described(
        TAG, "Run an experiment again exactly", name="experiment_repeat", body=Again, answers=ExperimentShape,
        status=201, also={200: ExperimentShape}, errors=[409],
    )  # fmt: skip
    def post(self, request: Request, slug: str, number: int) -> Response:
        """The same data and settings."""
        experiment = find(self.project, number)
        token = experiment_orders.own_token(self.person, token_of(self.body(Again)))
        before = newest_number(self.project)
        made = experiments.repeat(experiment=experiment, actor=self.person, request_token=token)
        return Response(shown(made), status=201 if made.number > before else 200)


def find(project: Project, number: int) -> Experiment:
    """An experiment of this project, else 404."""
    rows = project.experiments.select_related("corpus", "repeat_of", "based_on")
    experiment = get_object_or_404(rows, number=number)
    experiment.project = project
    return experiment


def _order(given: dict[str, Any]) -> Order:
    values = {name: value for name, value in given.items() if name != "request_token"}
    values["arms"] = [arm for arm in ARMS if arm in values["arms"]]
    values["families"] = [family for family in FAMILIES if family in values["families"]]
    return Order(**values)


def token_of(given: dict[str, Any]) -> str:
    """The request's token, a new one when it has none."""
    return given.get("request_token") or secrets.token_hex(16)


def newest_number(project: Project) -> int:
    """Number of the newest experiment; 0 when there is none."""
    return project.experiments.order_by("-number").values_list("number", flat=True).first() or 0


def shown(experiment: Experiment) -> dict[str, Any]:
    """An experiment as JSON."""
    steps = found.stages_of(experiment)
    standing = found.standing_of(experiment, steps)
    experiment.newest = measured.newest(experiment).comparison  # type: ignore[attr-defined]  # for the shape
    return {
        **ExperimentRow(experiment).data,
        "sentence": standing.sentence,
        "settings": experiment.settings,
        "counts": experiment.counts,
        "version": experiment.corpus.number,
        "repeat_of": experiment.repeat_of.number if experiment.repeat_of else None,
        "based_on": experiment.based_on.number if experiment.based_on else None,
        "pinned": experiment.project.baseline_id == experiment.pk,
        "stages": StageShape(steps, many=True).data,
    }


def _plan(preview: plans.Preview) -> dict[str, Any]:
    estimate = preview.estimate
    assert estimate is not None  # the form is valid
    return {
        "can_start": not preview.is_blocked,
        "steps": preview.steps,
        "time": preview.time,
        "counts": dict(preview.readiness.counts),
        "remarks": [{"level": remark.level, "text": remark.text} for remark in preview.remarks],
        "estimate": {
            "low_seconds": estimate.low, "high_seconds": estimate.high, "rough": estimate.rough,
            "by_stage": estimate.by_stage, "disk_bytes": estimate.disk.needed,
            "memory_bytes": estimate.memory.needed,
        },
    }  # fmt: skip

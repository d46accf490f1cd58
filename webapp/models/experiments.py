"""Experiments, their stages as jobs, and what the pages draw while they run."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sptar_engine.arms import BI_ENCODER, cell
from webapp.models.corpora import Corpus
from webapp.models.people import Project, User, make_slug
from webapp.models.work import State, Work


class Change(models.TextChoices):
    """How an experiment differs from the one that it is based on."""

    REVIEW = "review", "With your verdicts"
    THRESHOLD = "threshold", "With another threshold"
    SEEDS = "seeds", "With another number of examples"


def bi_encoder_alone() -> list[str]:
    """The families of an experiment when nobody chose."""
    return [BI_ENCODER]


class Experiment(models.Model):
    """What was asked for. The plan is sptar_engine.experiment's; each of its steps is a StageRun."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    number = models.PositiveIntegerField()
    slug = models.CharField(max_length=10, unique=True, default=make_slug, editable=False)
    name = models.CharField(max_length=100, blank=True)
    note = models.TextField(max_length=5000, blank=True)
    request_token = models.CharField(max_length=64)
    """From the form: a second click or a second tab gets the first one's experiment."""
    preset = models.CharField(max_length=20)
    arms = models.JSONField(default=list)
    families = models.JSONField(default=bi_encoder_alone)
    """Kinds of search models that every trained arm gets (sptar_engine.arms.FAMILIES)."""
    settings = models.JSONField(default=dict)
    """Options that differ from the defaults, by stage: the preset's and the person's."""
    seeds = models.PositiveSmallIntegerField(default=1)
    equal_pairs = models.BooleanField(default=False)
    """Whether the arms that write queries are compared once more, all of them trained on equally many."""
    machine = models.JSONField(default=dict)
    """device, dtype and threads: decided once, by the first stage that needs them (sptar_engine.workspace)."""
    corpus = models.ForeignKey(Corpus, on_delete=models.PROTECT, related_name="experiments")
    labels_version = models.PositiveIntegerField()
    dataset = models.CharField(max_length=64)
    """Name of the snapshot folder with documents, queries and judgements (webapp.places.snapshot_folder)."""
    counts = models.JSONField(default=dict)
    """documents, and queries of train, dev and test, as they were at the start."""
    repeat_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="repeats")
    based_on = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="followers")
    """The experiment that this one changes in one respect; what did not change is taken from its results."""
    change = models.CharField(max_length=10, choices=Change.choices, blank=True)
    """In which respect, when `based_on` says whose."""
    decisions = models.CharField(max_length=64, blank=True)
    """Name of the file with the verdicts that take part in training (webapp.places.decisions_file); none if empty."""
    decision_counts = models.JSONField(default=dict)
    """How many verdicts of each kind that file holds."""
    series = models.CharField(max_length=10, blank=True)
    """Shared by the experiments of one learning curve, which differ in the number of training questions alone."""
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    comparison = models.JSONField(default=dict)
    """What sptar_engine.workspace.compare says of the arms evaluated so far, by the judgements it was started with."""
    started_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "number"], name="experiment_numbers_once"),
            models.UniqueConstraint(fields=["project", "request_token"], name="one_experiment_per_request"),
        ]
        indexes: ClassVar = [models.Index(fields=["project", "series"], name="experiment_by_series")]

    def __str__(self) -> str:
        return self.name or f"Experiment {self.number}"


class StageRun(Work):
    """One step of an experiment's plan, shared by its arms."""

    JOB = "stage"

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="stages")
    position = models.PositiveSmallIntegerField()
    step_id = models.CharField(max_length=60)
    stage = models.CharField(max_length=20)
    arms = models.JSONField(default=list)
    family = models.CharField(max_length=20, blank=True)
    """The kind of search model that it is about; empty before training, and in steps of older experiments."""
    variant = models.CharField(max_length=20, blank=True)
    """Which variant of its arm it is about (sptar_engine.arms.Variant); empty for the arm itself."""
    config = models.JSONField(default=dict)
    """The whole settings of the stage; dtype and threads are filled in when the machine has decided."""
    inputs = models.JSONField(default=dict)
    """Role to step id, or to `dataset` / `decisions`."""
    equal = models.JSONField(default=list)
    """Ids of filter steps: the fewest pairs that one of them kept are as many as this step trains on."""
    queue = models.CharField(max_length=10, choices=[("gpu", "gpu"), ("cpu", "cpu")])
    folder = models.CharField(max_length=80, blank=True)
    """Of the result, below the project's store/stages."""
    digest = models.CharField(max_length=64, blank=True)
    seconds = models.FloatField(null=True, blank=True)
    peak_mib = models.PositiveIntegerField(default=0)
    """The largest memory that the work took; 0 where nobody measured it."""
    reused = models.BooleanField(default=False)
    """The result was there already, from another experiment."""
    aside = models.JSONField(default=list)
    """Ids of documents that crashed the stage whenever it came to them; it goes on without them."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["experiment", "step_id"], name="steps_once"),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="stage_state_known"),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "lease_until"], name="stage_by_lease")]

    def __str__(self) -> str:
        return f"{self.step_id} of {self.experiment}"

    @property
    def cell(self) -> str:
        """Its place in the table of arms and families."""
        return cell(self.arms[0], self.family, self.variant)


class CurvePoint(models.Model):
    """Numbers to draw, as a stage reported them: held-out perplexity per epoch, loss, dev nDCG@10."""

    stage_run = models.ForeignKey(StageRun, on_delete=models.CASCADE, related_name="points")
    step = models.BigIntegerField()
    """`done` of the report."""
    values = models.JSONField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["stage_run", "step"], name="points_once")]

    def __str__(self) -> str:
        return f"{self.stage_run_id} at {self.step}"

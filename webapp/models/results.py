"""What people do with results: new judgements, a search tried blind, downloads."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from webapp.models.experiments import Experiment
from webapp.models.people import Project, User, make_slug


class Rescoring(models.Model):
    """An experiment's stored runs, measured by the test judgements of a later day. Number 1 is the first new one."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="rescorings")
    number = models.PositiveIntegerField()
    qrels = models.CharField(max_length=64)
    """Name of the folder with the judgements (webapp.places.qrels_folder), the hash of their content."""
    labels_version = models.PositiveIntegerField()
    judged = models.PositiveIntegerField(default=0)
    """Judgements in it."""
    added = models.IntegerField(default=0)
    """Of these, how many more than the version before had."""
    comparison = models.JSONField(default=dict)
    """As Experiment.comparison, by these judgements."""
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["experiment", "number"], name="rescoring_numbers_once"),
        ]

    def __str__(self) -> str:
        return f"judgements {self.number} of {self.experiment}"


class Preference(models.Model):
    """Which of two nameless result lists a person found better. No judgement: it stays out of every measure."""

    class Choice(models.TextChoices):
        """The side that was preferred, named by the search behind it."""

        BEFORE = "before", "Before"
        AFTER = "after", "After"
        SAME = "same", "No difference"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="preferences")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="preferences")
    arm = models.CharField(max_length=40)
    before = models.CharField(max_length=10)
    """The search that it stands against: bm25 or base."""
    text = models.CharField(max_length=2000)
    after_left = models.BooleanField()
    """Whether the trained model's list stood on the left."""
    choice = models.CharField(max_length=6, choices=Choice.choices, blank=True)
    """Empty until the person has chosen."""
    person = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["experiment", "-id"], name="preference_by_experiment")]

    def __str__(self) -> str:
        return f"{self.text[:50]}: {self.choice}"


class Archive(models.Model):
    """A file made to be downloaded (webapp.errands.archive_make). It lies in webapp.places.archive_folder(archive)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="archives")
    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, null=True, blank=True, related_name="archives")
    slug = models.CharField(max_length=10, unique=True, default=make_slug, editable=False)
    kind = models.CharField(max_length=20)
    """A name of webapp.selectors.archives.KINDS."""
    options = models.JSONField(default=dict)
    """What is to go in."""
    fingerprint = models.CharField(max_length=64)
    """Hash of all that it is made of: the same is not made twice (webapp.selectors.archive_sources)."""
    name = models.CharField(max_length=200, blank=True)
    """The file's name, once it is made."""
    bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "fingerprint"], name="archives_once")]
        indexes: ClassVar = [models.Index(fields=["project", "-id"], name="archive_by_project")]

    def __str__(self) -> str:
        return self.name or self.kind

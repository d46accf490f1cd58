"""What people know: queries, judged documents, and every decision with what it replaced."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from webapp.models.people import Project, User


class Split(models.TextChoices):
    """What a query is used for."""

    TRAIN = "train", "Training"
    DEV = "dev", "Held-out"
    TEST = "test", "Test"


class Grade(models.IntegerChoices):
    """How well a document answers a query. A hit nobody ticked has no grade at all."""

    NOT = 0, "not relevant"
    PARTLY = 1, "partly relevant"
    RELEVANT = 2, "relevant"
    PERFECT = 3, "exactly this"


class Guideline(models.Model):
    """What counts as a good question here. A version is never changed; judgements keep the version they followed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    number = models.PositiveIntegerField()
    text = models.TextField(max_length=20_000)
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "number"], name="guideline_numbers_once")]

    def __str__(self) -> str:
        return f"guideline {self.number}"


class Query(models.Model):
    """A question of the expert: an example once a document is judged relevant to it."""

    class Status(models.TextChoices):
        """Where the labelling of it stands."""

        OPEN = "open", "Not finished"
        DONE = "done", "Finished"
        SKIPPED = "skipped", "Skipped"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="queries")
    query_id = models.CharField(max_length=512)
    text = models.TextField(max_length=2000)
    normalised = models.CharField(max_length=64)
    """SHA-256 of the normalised text (webapp.services.queries): the same question twice is one row."""
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.OPEN)
    split = models.CharField(max_length=5, choices=Split.choices, blank=True)
    """Empty until there are enough examples to split."""
    split_fixed = models.BooleanField(default=False)
    """Set by a person or an import; the app assigns all others."""
    skip_reason = models.CharField(max_length=40, blank=True)
    note = models.TextField(max_length=2000, blank=True)
    flagged = models.BooleanField(default=False)
    relevant = models.PositiveIntegerField(default=0)
    """Documents judged relevant (grade 1 or more); kept by webapp.services.judgements."""
    judged = models.PositiveIntegerField(default=0)
    disputed = models.BooleanField(default=False)
    """Two people disagree on a document of it and nobody has settled it yet."""
    origin = models.CharField(max_length=20, default="written")
    """written, document (asked of a shown document), imported, playground, promoted."""
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    revision = models.PositiveIntegerField(default=1)
    """Raised by each change of text, split, note or status, so that two people notice each other."""
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "query_id"], name="query_ids_once"),
            models.UniqueConstraint(fields=["project", "normalised"], name="query_texts_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "id"], name="query_by_project"),
            models.Index(fields=["project", "status", "id"], name="query_by_status"),
            models.Index(fields=["project", "split", "id"], name="query_by_split"),
            models.Index(fields=["project", "disputed", "id"], name="query_by_dispute"),
        ]

    def __str__(self) -> str:
        return self.text


class Judgement(models.Model):
    """One person's grade for one document and query.

    The grade that counts is the settled one, else that of the first judge (webapp.selectors.judgements).
    """

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="judgements")
    doc_id = models.CharField(max_length=512)
    grade = models.SmallIntegerField()
    judge = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    settled = models.BooleanField(default=False)
    """This grade decides a disagreement."""
    source = models.CharField(max_length=20, default="labelling")
    """labelling, second (given blind, to what another person had judged), settling, import, playground, unjudged (asked
    for from the comparison), promoted (a generated question that was accepted)."""
    guideline = models.ForeignKey(Guideline, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    revision = models.PositiveIntegerField(default=1)
    """Raised by each change, so that two people who edit the same row notice each other."""
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            # Who settles a disagreement keeps the grade they gave before, or agreement could not be measured.
            models.UniqueConstraint(fields=["query", "doc_id", "judge", "settled"], name="one_grade_each"),
            models.UniqueConstraint(
                fields=["query", "doc_id"], condition=models.Q(settled=True), name="one_settled_grade"
            ),
            models.CheckConstraint(condition=models.Q(grade__gte=-100, grade__lte=100), name="grade_in_range"),
        ]

    def __str__(self) -> str:
        return f"{self.doc_id}: {self.grade}"


class SkippedDocument(models.Model):
    """A document that was shown to be asked about and is no good for it. It is not suggested again."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="skipped_documents")
    doc_id = models.CharField(max_length=512)
    reason = models.CharField(max_length=40)
    who = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["project", "doc_id"], name="documents_skipped_once")]

    def __str__(self) -> str:
        return self.doc_id


class Decision(models.Model):
    """A step of the labelling that can be undone: what the rows held before."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="decisions")
    actor = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=30)
    label = models.CharField(max_length=200)
    """The step in words, for the strip of the last ten."""
    before = models.JSONField(default=dict)
    """The rows as they were, by table (webapp.services.undo)."""
    at = models.DateTimeField(auto_now_add=True)
    undone = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "actor", "-id"], name="decision_by_actor")]

    def __str__(self) -> str:
        return self.label

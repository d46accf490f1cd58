"""Generated questions, and what people say of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from webapp.models.labels import Query
from webapp.models.people import Project, User


class Verdict(models.TextChoices):
    """A person's word on a generated question; the values are those of the engine's decisions file."""

    ACCEPT = "accept", "Accepted"
    REJECT = "reject", "Rejected"
    EDIT = "edit", "Edited"
    UNSURE = "unsure", "Flagged"


class WeakQuery(models.Model):
    """A generated question. `batch` is the folder name of the generate stage that wrote it, whoever asked for it.

    `verdict`, `edited`, `reason`, `reviewer` and `reviewed_at` say what counts: the settled review, else the first
    one (webapp.selectors.review_verdicts has the rule, webapp.services.reviews keeps them).
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="weak_queries")
    batch = models.CharField(max_length=80)
    weak_id = models.CharField(max_length=600)
    doc_id = models.CharField(max_length=512)
    text = models.TextField()
    rank = models.PositiveIntegerField(null=True, blank=True)
    """Rank of its own document by BM25; null while unknown or beyond the depth."""
    loss = models.FloatField(null=True, blank=True)
    """The question writer's own surprise, nats per token; null for questions written before it was noted."""
    dropped = models.CharField(max_length=20, blank=True)
    """Why clean-up or filter dropped it; empty when kept or not filtered yet."""
    risk = models.FloatField(default=0.0)
    """How likely it is bad, from its rank and loss: the queue begins with the largest (webapp.jobs.questions)."""
    draw = models.PositiveIntegerField(default=0)
    """A random number that depends on weak_id alone: the smallest of a batch are its random sample."""
    verdict = models.CharField(max_length=8, choices=Verdict.choices, blank=True)
    edited = models.TextField(max_length=2000, blank=True)
    reason = models.CharField(max_length=40, blank=True)
    reviewer = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    disputed = models.BooleanField(default=False)
    """Two people disagree and nobody has settled it yet."""
    promoted = models.ForeignKey(Query, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """The example that was made of it, or that asked the same before."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "batch", "weak_id"], name="weak_queries_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["project", "batch", "id"], name="weak_by_batch"),
            models.Index(fields=["project", "batch", "dropped", "verdict", "-risk", "id"], name="weak_by_risk"),
            models.Index(fields=["project", "batch", "verdict", "id"], name="weak_by_verdict"),
            models.Index(fields=["project", "batch", "dropped", "id"], name="weak_by_reason"),
            models.Index(fields=["project", "batch", "dropped", "verdict", "id", "rank"], name="weak_by_both"),
            models.Index(fields=["project", "batch", "dropped", "draw", "id"], name="weak_by_draw"),
            models.Index(fields=["project", "batch", "rank", "id"], name="weak_by_rank"),
            models.Index(fields=["project", "batch", "id"], name="weak_by_dispute", condition=models.Q(disputed=True)),
        ]

    def __str__(self) -> str:
        return self.text


class BulkReview(models.Model):
    """One verdict on all questions of a filter; its reviews name it, and undoing it takes them all back."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="bulk_reviews")
    batch = models.CharField(max_length=80)
    filters = models.JSONField(default=dict)
    """The filter as the list's address has it."""
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    reason = models.CharField(max_length=40, blank=True)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    last = models.BigIntegerField(default=0)
    """Questions up to this id existed when it was asked for; later ones are left alone."""
    questions = models.PositiveIntegerField(default=0)
    """How many got the verdict."""
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.get_verdict_display()}: {self.questions}"


class Review(models.Model):
    """One person's verdict on one generated question."""

    weak = models.ForeignKey(WeakQuery, on_delete=models.CASCADE, related_name="reviews")
    reviewer = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    text = models.TextField(max_length=2000, blank=True)
    """The better question of an edit."""
    reason = models.CharField(max_length=40, blank=True)
    settled = models.BooleanField(default=False)
    """This verdict decides a disagreement."""
    source = models.CharField(max_length=10, default="queue")
    """sample (of the random 50), queue, second (blind, after another person), settling, list, bulk or api."""
    bulk = models.ForeignKey(BulkReview, on_delete=models.CASCADE, null=True, blank=True, related_name="reviews")
    guideline = models.ForeignKey(
        "webapp.Guideline", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["weak", "reviewer", "settled"], name="one_review_each"),
            models.UniqueConstraint(fields=["weak"], condition=models.Q(settled=True), name="one_settled_review"),
            models.CheckConstraint(condition=models.Q(verdict__in=Verdict.values), name="review_verdict_known"),
        ]
        # Few of a million reviews are not of a bulk action; counters, second opinions and agreement look at these. The
        # indexes hold all that they read, or SQLite would rather go through the whole table.
        indexes: ClassVar = [
            models.Index(
                fields=["id", "reviewer", "weak", "settled", "bulk"],
                condition=models.Q(bulk__isnull=True),
                name="review_one_by_one",
            ),
            models.Index(
                fields=["reviewer", "weak", "settled", "verdict", "source", "bulk"],
                condition=models.Q(bulk__isnull=True),
                name="review_by_person",
            ),
            models.Index(fields=["weak"], condition=models.Q(source="second"), name="review_second"),
        ]

    def __str__(self) -> str:
        return f"{self.weak_id}: {self.verdict}"


class ReviewStep(models.Model):
    """A verdict that its person can undo: what they had said before."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="review_steps")
    actor = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    weak = models.ForeignKey(WeakQuery, on_delete=models.CASCADE, related_name="+")
    settling = models.BooleanField(default=False)
    before = models.JSONField(default=dict)
    """The person's review as it was; empty when there was none."""
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    at = models.DateTimeField(auto_now_add=True)
    undone = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "actor", "-id"], name="review_step_by_actor")]

    def __str__(self) -> str:
        return f"{self.weak_id}: {self.verdict}"


class ReviewLease(models.Model):
    """A question that lies before one person now, so that nobody else is shown it."""

    weak = models.OneToOneField(WeakQuery, on_delete=models.CASCADE, related_name="lease")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    until = models.DateTimeField()
    passed = models.BooleanField(default=False)
    """Its person passed over it: until then it is shown to nobody."""

    class Meta:
        indexes: ClassVar = [models.Index(fields=["until"], name="review_lease_by_end")]

    def __str__(self) -> str:
        return f"{self.weak_id} with {self.reviewer}"

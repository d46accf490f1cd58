"""What a worker does, and the lease by which exactly one process does it (DESIGN section 5)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from webapp.models.people import Project, User


class State(models.TextChoices):
    """Where a piece of work stands."""

    WAITING = "waiting", "Waiting for an earlier step"
    QUEUED = "queued", "In the queue"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


class Work(models.Model):
    """A job that survives its process.

    `attempt` counts claims and is the fence: a process may write only while the row still has its number. The
    process that works renews `lease_until`; when it lies in the past, reconcile queues the work again.
    """

    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=100, blank=True)
    """Host and process that holds the lease, for people."""
    lease_until = models.DateTimeField(null=True, blank=True)
    cancel_requested = models.DateTimeField(null=True, blank=True)
    crashes = models.PositiveIntegerField(default=0)
    """Attempts in a row that ended without a word (killed, out of memory) and got no further than those before."""
    restarts = models.PositiveIntegerField(default=0)
    """How often the work was begun anew since somebody asked for it; shown as "restarted once"."""
    reached = models.BigIntegerField(default=0)
    """The largest `done` of all attempts: one that gets further before it crashes is no step of an endless loop."""
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    metrics = models.JSONField(default=dict)
    """While it runs, the numbers of the last report; when done, those of the result."""
    error = models.TextField(blank=True)
    """A sentence for the person who started it."""
    traceback = models.TextField(blank=True)
    queued_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    JOB: ClassVar[str]
    """What its jobs in Redis are called."""
    queue: Any
    """The queue it waits in: gpu, cpu or short."""

    class Meta:
        abstract = True

    @property
    def job_id(self) -> str:
        """The name of this attempt's job in Redis."""
        return f"{self.JOB}-{self.pk}-{self.attempt}"


class Errand(Work):
    """Short work on the queue `short`: reading an upload, an index, an archive, deleting a project."""

    JOB = "errand"
    queue: ClassVar[str] = "short"

    kind = models.CharField(max_length=30)
    """A name of webapp.errands.KINDS."""
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="errands", null=True, blank=True)
    subject = models.BigIntegerField(default=0)
    """Id of the row it is about; which table, the kind says."""
    arguments = models.JSONField(default=dict)
    asked_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["state", "lease_until"], name="errand_by_lease"),
            models.Index(fields=["project", "kind", "subject"], name="errand_by_subject"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=models.Q(state__in=["waiting", "queued", "running"]),
                name="one_open_errand_each",
            ),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="errand_state_known"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.state}"

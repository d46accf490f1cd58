"""How people and programs get in: browser sessions and tokens of the API."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from webapp.models.people import Project, User


class ApiToken(models.Model):
    """A program's key. It is shown once; only its hash is stored."""

    class Scope(models.TextChoices):
        """What it may do, within what its person may do."""

        READ = "read", "Read everything"
        LABEL = "label", "Judge and review"
        RUN = "run", "Upload, change and start experiments"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    """Its first characters, for people to tell tokens apart."""
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    """The only project it opens; all of the person's when empty."""
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=models.Q(scope__in=["read", "label", "run"]), name="token_scope_known")
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user}"


class OpenSession(models.Model):
    """A browser in which a person is logged in, for them to see and to end."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="open_sessions")
    session_key = models.CharField(max_length=40, unique=True)
    agent = models.CharField(max_length=300, blank=True)
    """The browser, as it names itself."""
    created = models.DateTimeField(default=timezone.now)
    last_seen = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"session of {self.user}"

"""Who there is, what they may do in which project, and the log of what they did."""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters that look alike


def make_slug() -> str:
    """A project's name in addresses: 10 characters, about 49 bits, so that it cannot be guessed."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


class UserManager(BaseUserManager["User"]):
    """Makes users from an e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make a user; without a password only a log-in link lets them in."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Make an operator: sees the page System, not other people's projects."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person. The e-mail address is the log-in name."""

    email = models.EmailField("e-mail address", max_length=254, unique=True)
    name = models.CharField("name", max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    shortcuts = models.BooleanField("single-key shortcuts", default=True)
    joined = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    def __str__(self) -> str:
        return self.name or self.email


class Role(models.TextChoices):
    """What a member may do, from most to least."""

    OWNER = "owner", "Owner"
    EDITOR = "editor", "Editor"
    REVIEWER = "reviewer", "Reviewer"
    VIEWER = "viewer", "Viewer"

    @property
    def level(self) -> int:
        """Higher may more."""
        return {"viewer": 1, "reviewer": 2, "editor": 3, "owner": 4}[self.value]

    @property
    def explained(self) -> str:
        """What the role may do, in a few words."""
        return {
            "owner": "everything, members and deletion included",
            "editor": "documents, examples, experiments",
            "reviewer": "judges examples and reviews generated questions",
            "viewer": "sees everything, changes nothing",
        }[self.value]


class Project(models.Model):
    """One collection of documents with its examples and experiments."""

    slug = models.CharField(max_length=10, unique=True, default=make_slug, editable=False)
    name = models.CharField("name", max_length=100)
    description = models.CharField("what it is about", max_length=500, blank=True)
    is_sample = models.BooleanField(default=False)
    corpus = models.ForeignKey(
        "webapp.Corpus", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    labels_version = models.PositiveIntegerField(default=1, editable=False)
    """Raised by every change of an example; an experiment keeps the number it was started with."""
    baseline = models.ForeignKey(
        "webapp.Experiment", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    """The experiment that others are compared with, when somebody pinned one."""
    topics = models.JSONField(default=dict, editable=False)
    """Topics of the current corpus for the diversity gauge (webapp.services.topics)."""
    members = models.ManyToManyField(User, through="Membership", related_name="projects")
    created = models.DateTimeField(auto_now_add=True)
    deleted = models.DateTimeField(null=True, blank=True, editable=False)
    """Set at once when a project is deleted; its rows and files then go in an errand."""

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "user"], name="one_role_each"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}: {self.role}"


class Invitation(models.Model):
    """An open place in a project. Only the hash of the link's token is stored."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address", blank=True)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.REVIEWER)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, blank=True)
    used_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    def __str__(self) -> str:
        return f"invitation to {self.project} as {self.role}"


class LoginLink(models.Model):
    """A link that logs one person in once. Only the hash of its token is stored."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    used = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"log-in link of {self.user}"


class LoginAttempt(models.Model):
    """A wrong password, counted for a pause (webapp.services.log_in). `key` is a hash of the address or of the host."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["key", "at"], name="attempt_by_key"),
            models.Index(fields=["at"], name="attempt_by_age"),
        ]

    def __str__(self) -> str:
        return f"wrong password at {self.at:%Y-%m-%d %H:%M}"


class EventsAreKept(TypeError):
    """Somebody tried to change or delete a row of the event log."""


class EventQuerySet(models.QuerySet["Event"]):
    """Events can be read and added. They go only with their project (webapp.services.deletion)."""

    def update(self, **kwargs: Any) -> int:
        """Refuse."""
        raise EventsAreKept("The event log is append-only: events are not changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EventsAreKept("The event log is append-only: events are not deleted.")


class Event(models.Model):
    """Who did what when. Rows are only ever added (webapp.services.events)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="events", null=True, blank=True)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    verb = models.CharField(max_length=60)
    """Noun and past verb, such as `upload.imported`."""
    facts = models.JSONField(default=dict)
    at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Event]] = EventQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "-id"], name="event_by_project")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.verb}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row; a row that exists is refused."""
        if not self._state.adding:
            raise EventsAreKept("The event log is append-only: events are not changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EventsAreKept("The event log is append-only: events are not deleted.")

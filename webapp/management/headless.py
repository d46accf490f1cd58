"""What the commands for use without a browser share: for whom they act, how they wait, print and end.

Exit codes: 0 done; 1 refused, with a sentence on standard error; 2 wrong arguments; 3 the work failed or was stopped;
4 the time ran out while it still goes on.
"""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.http import Http404
from django.utils import timezone

from sptar_engine.errors import SptarError
from webapp.access import find_membership, require
from webapp.models import Project, Role, State, User
from webapp.selectors.trained_models import NotTrainedError
from webapp.services.archives import NotThereError
from webapp.services.experiments import NotReadyError

REFUSED, FAILED, TIMED_OUT = 1, 3, 4
_PAUSE = 1.0  # seconds between two looks at work that goes on

_SENTENCES = (NotReadyError, NotThereError, NotTrainedError, PermissionDenied, SptarError, OSError)

T = TypeVar("T")


class HeadlessCommand(BaseCommand):
    """A command that does what a page does, as a person."""

    role: ClassVar[Role] = Role.VIEWER
    """What the person must be in the project."""
    in_project: ClassVar[bool] = True
    waits: ClassVar[bool] = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add those that all have; `declare` adds the others."""
        if self.in_project:
            parser.add_argument("--project", required=True, help="the project's name in addresses")
        parser.add_argument("--as", dest="email", required=True, help="e-mail address of the person who does it")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")
        if self.waits:
            parser.add_argument("--timeout", type=float, default=24 * 3600.0, help="seconds to wait at most")
        self.declare(parser)

    def declare(self, parser: ArgumentParser) -> None:
        """Add the command's own arguments."""

    def work(self, person: User, project: Project | None, options: Mapping[str, Any]) -> dict[str, Any]:
        """Do it and return what `--json` prints; `say` prints the sentences."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Find person and project, do the work, and end with a code that scripts can read."""
        self._as_json = options["json"]
        try:
            person = User.objects.get(email=options["email"].strip().lower(), is_active=True)
            found = self.work(person, self._project(person, options.get("project")), options)
        except User.DoesNotExist:
            raise CommandError(f"There is no account {options['email']}.", returncode=REFUSED) from None
        except Http404:
            sentence = f"{person} is a member of no project “{options.get('project')}” that has this."
            raise CommandError(sentence, returncode=REFUSED) from None
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=REFUSED) from None
        except _SENTENCES as error:
            raise CommandError(str(error), returncode=REFUSED) from error
        if self._as_json:
            self.stdout.write(json.dumps(found, ensure_ascii=False, default=str))

    def say(self, sentence: str) -> None:
        """A line for people."""
        if not self._as_json:
            self.stdout.write(sentence)
            self.stdout.flush()

    def _project(self, person: User, slug: str | None) -> Project | None:
        if slug is None:
            return None
        membership = find_membership(slug, person.pk)
        require(Role(membership.role), self.role)
        return membership.project


def wait(look: Callable[[], T], *, is_over: Callable[[T], bool], seconds: float) -> T:
    """Look again and again until it is over. Raises CommandError with the code for a time-out."""
    end = time.monotonic() + seconds
    while not is_over(found := look()):
        if time.monotonic() >= end:
            raise CommandError(
                "The time ran out; the work goes on. Ask for it again with `manage.py status`.", returncode=TIMED_OUT
            )
        pause()
    return found


def pause() -> None:
    """Let some time pass before the next look."""
    time.sleep(_PAUSE)


def failed(sentence: str) -> CommandError:
    """The error for work that failed or was stopped."""
    return CommandError(sentence, returncode=FAILED)


def is_stuck(state: str) -> bool:
    """Whether a job ended without what was asked for."""
    return state in (State.FAILED, State.CANCELLED)


def now() -> str:
    """The time, for lines that follow work."""
    return timezone.localtime().strftime("%H:%M:%S")

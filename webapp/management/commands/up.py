"""`manage.py up`: everything that `make up` and `make demo` start, until Ctrl-C."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from webapp.operations import startup
from webapp.operations.environment import SECRETS, child_environment
from webapp.operations.processes import processes
from webapp.operations.progress import SampleView
from webapp.operations.supervisor import Supervisor, configuration
from webapp.services import login_links, operators, sample
from webapp.settings import env

_START_SECONDS = 120.0


class Command(BaseCommand):
    """Start all processes under one supervisor and stay with them."""

    help = "Start SPTAR on this machine: database, queue, search, workers and web server. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add ours."""
        parser.add_argument("--sample", action="store_true", help="load the sample project and run an experiment on it")

    def handle(self, *args: Any, sample: bool, **options: Any) -> None:
        """Run until a signal or until the supervisor ends."""
        self._stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())
        data = Path(settings.DATA_DIR)
        try:
            os.umask(0o077)
            startup.make_folders(data)
            with startup.own(data):
                startup.wait_for_earlier_processes(data, self._say)
                startup.check_port(settings.PORT)
                self._say(f"Data folder: {data}")
                startup.prepare_application()
                self._run(data, with_sample=sample)
        except startup.CannotStart as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {error}") from error

    def _run(self, data: Path, *, with_sample: bool) -> None:
        chosen = processes(own_redis=startup.uses_own_redis())
        (data / "run" / "supervisor.conf").write_text(configuration(chosen), encoding="utf-8")
        secrets = {name: value for name in SECRETS if (value := env.str(name, default=""))}
        environment = child_environment(os.environ, secrets, data, settings.PORT)
        supervisor = Supervisor(data, settings.BASE_DIR, environment)
        try:
            self._await_answer(supervisor, data)
            if not self._stop.is_set():
                self._greet(data)
                view = SampleView(sample.load(operators.first()), self._say) if with_sample else None
            while not self._stop.wait(1):
                if not supervisor.is_running:
                    raise startup.CannotStart(f"The supervisor ended; see {data / 'logs' / 'supervisor.log'}.")
                if view:
                    view.look()
        finally:
            connection.close()
            self._end(supervisor)

    def _await_answer(self, supervisor: Supervisor, data: Path) -> None:
        """Wait for the first page. Raises CannotStart when a process that it needs gave up."""
        end = time.monotonic() + _START_SECONDS
        while not self._stop.wait(0.3):
            failed = [name for name, state in supervisor.states().items() if state == "FATAL"]
            if failed or not supervisor.is_running or time.monotonic() > end:
                name = failed[0] if failed else "web" if supervisor.is_running else "start"
                raise startup.CannotStart(_last_words(data, name))
            if _answers(settings.PORT):
                return

    def _greet(self, data: Path) -> None:
        user = operators.first()
        address = f"http://127.0.0.1:{settings.PORT}"
        self._say(f"SPTAR runs at {address}/ and logs to {data / 'logs'}")
        self._say(f"Log in as {user.email}, once and within 15 minutes:\n\n    {address}{login_links.make(user)}\n")
        self._say("Another link: .venv/bin/python manage.py loginlink")
        self._say("Ctrl-C stops everything; started again, it goes on.")

    def _end(self, supervisor: Supervisor) -> None:
        self._say("Stopping: work in progress is put back into the queue, which can take half a minute.")
        supervisor.ask_to_stop()
        while not supervisor.wait(5):
            supervisor.ask_to_stop()
        self._say("Stopped.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _answers(port: int) -> bool:
    """Whether the web process answers any page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/login/")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()


def _last_words(data: Path, name: str) -> str:
    path = data / "logs" / f"{name}.log"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return "\n".join([f"The process {name} did not start. The end of {path}:", *lines[-8:]])

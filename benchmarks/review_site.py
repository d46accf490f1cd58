"""What `benchmarks.review` does inside the application, each in a process: `python -m benchmarks.review_site …`.

    fill N PEOPLE        make a project with N generated questions, and reviewers who are logged in
    write SLUG           insert generated questions and verdicts, one transaction after the other, until SIGTERM
    pages SLUG ROW       the page of questions at a row, ours and by Django's Paginator, in turns

Each prints one JSON line. SPTAR_DATA and DATABASE_URL say where.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from statistics import median
from typing import Any

import django

from benchmarks.web_site import documents, vocabulary

BATCH = "generate-" + "0" * 64
_SEED = 17
_DOCUMENTS = 10_000
_WORDS = (4, 14)  # of a question
_AT_ONCE = 500  # rows of one statement
_DROPPED = ("", "", "", "rank", "duplicate", "short")  # of every six questions three are kept
_REVIEWED_SHARE = 20  # questions to one that has a verdict
_DISPUTED_SHARE = 50  # reviewed questions to one on which people disagree
_WRITE_ROWS = 200  # questions of one transaction, as a generate step beside the readers inserts them
_WRITE_PAUSE = 0.05  # seconds
_TURNS = 15


def fill(number: int, people: int) -> dict[str, Any]:
    """Make the project, its questions and verdicts, and a session of every reviewer."""
    from django.core.management import call_command
    from django.db import connection

    from webapp.models import Corpus, Document, Membership, Role, User
    from webapp.services import projects

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    with connection.cursor() as cursor:
        # For filling alone: nothing here needs to outlive a crash, and a million rows have many indexes.
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("PRAGMA cache_size = -500000")
    owner = User.objects.create_user(f"owner{number}@example.org")
    project = projects.create(name=f"{number:,} questions", owner=owner)
    reviewers = [User.objects.create_user(f"reviewer{at}@example.org") for at in range(people)]
    Membership.objects.bulk_create(
        Membership(project=project, user=person, role=Role.REVIEWER) for person in reviewers
    )  # fmt: skip
    corpus = Corpus.objects.create(project=project, number=1, documents=_DOCUMENTS, ready=True, sha256="0" * 64)
    Document.objects.bulk_create(
        (Document(corpus=corpus, doc_id=one.doc_id, title=one.title, text=one.text) for one in documents(_DOCUMENTS)),
        batch_size=_AT_ONCE,
    )
    project.corpus = corpus
    project.save()
    _add_experiment(project, corpus)
    _add_questions(project, owner, number)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    first = project.weak_queries.order_by("pk").values_list("pk", flat=True)[0]
    return {
        "slug": project.slug, "questions": number, "first": first, "reviewers": [person.pk for person in reviewers],
        "sessions": [_log_in(person) for person in reviewers],
    }  # fmt: skip


def _log_in(person: Any) -> str:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session.update(
        {
            SESSION_KEY: str(person.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: person.get_session_auth_hash(),
        }
    )
    session.save()
    return str(session.session_key)


def _add_experiment(project: Any, corpus: Any) -> None:
    from webapp.models import Experiment, StageRun, State

    made = Experiment.objects.create(
        project=project, number=1, request_token=BATCH[:64], preset="fast", arms=["bm25", "sptar"], corpus=corpus,
        labels_version=1, dataset="0" * 32, state=State.DONE,
    )  # fmt: skip
    for position, (stage, folder) in enumerate([("generate", BATCH), ("filter", "filter-0")]):
        StageRun.objects.create(
            experiment=made, position=position, step_id=f"{stage}.sptar", stage=stage, queue="cpu", arms=["sptar"],
            state=State.DONE, folder=folder,
        )  # fmt: skip


def _add_questions(project: Any, owner: Any, number: int) -> None:
    from webapp.models import Review, WeakQuery

    rows = questions(project, BATCH, owner)
    left = number
    while left:
        made = WeakQuery.objects.bulk_create(islice(rows, min(left, 20 * _AT_ONCE)), batch_size=_AT_ONCE)
        left -= len(made)
        Review.objects.bulk_create(
            [Review(weak=row, reviewer=owner, verdict=row.verdict, reason=row.reason) for row in made if row.verdict],
            batch_size=_AT_ONCE,
        )


def questions(project: Any, batch: str, owner: Any) -> Iterator[Any]:
    """Made-up questions without an end, some dropped, some with a verdict, as filter and reviewers leave them."""
    from django.utils import timezone

    from webapp.models import WeakQuery

    draw = random.Random(f"{_SEED} {batch}")
    words, now = vocabulary()[:5000], timezone.now()
    for at in count():
        verdict = draw.choice(("accept", "reject", "edit", "unsure")) if draw.randrange(_REVIEWED_SHARE) == 0 else ""
        yield WeakQuery(
            project=project, batch=batch, weak_id=f"w{at}", doc_id=f"doc-{draw.randrange(_DOCUMENTS):07d}",
            text=" ".join(draw.choices(words, k=draw.randint(*_WORDS))), rank=draw.randint(1, 100),
            loss=draw.random() * 5, risk=draw.random(), draw=draw.randrange(2**31), dropped=draw.choice(_DROPPED),
            verdict=verdict, reason="vague" if verdict == "reject" else "", reviewer=owner if verdict else None,
            reviewed_at=now if verdict else None,
            disputed=bool(verdict) and draw.randrange(_DISPUTED_SHARE) == 0,
        )  # fmt: skip


def write(slug: str) -> dict[str, Any]:
    """Insert until SIGTERM: questions of another batch, and a verdict of the owner on one of them."""
    from django.db import transaction

    from webapp.models import Project, WeakQuery
    from webapp.services import reviews

    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    project = Project.objects.get(slug=slug)
    owner = project.members.earliest("pk")
    batch = f"generate-{WeakQuery.objects.filter(project=project).latest('pk').pk}"
    rows = questions(project, batch, None)
    transactions = 0
    while not stop:
        fresh = list(islice(rows, _WRITE_ROWS))
        for row in fresh:
            row.verdict = row.reason = ""
            row.reviewed_at, row.disputed = None, False
        with transaction.atomic():
            made = WeakQuery.objects.bulk_create(fresh)
        reviews.give(project=project, actor=owner, weak=made[0], verdict="reject")  # of any question, dropped or not
        transactions += 2
        time.sleep(_WRITE_PAUSE)
    return {"transactions": transactions}


def pages(slug: str, row: int) -> dict[str, Any]:
    """Milliseconds for the rows of the page that begins behind row `row`, both sides in one process and in turns."""
    from django.core.paginator import Paginator

    from webapp.models import Project, WeakQuery
    from webapp.selectors import review_list

    project = Project.objects.get(slug=slug)
    rows = WeakQuery.objects.filter(project=project, batch=BATCH).order_by("pk")
    start = rows.values_list("pk", flat=True)[row - 1]

    def paginated() -> list[Any]:
        return list(Paginator(rows, review_list.PAGE).page(row // review_list.PAGE + 1).object_list)

    def ours() -> list[Any]:
        return list(review_list.page(project, BATCH, review_list.Filter(), after=start).rows)

    sides: dict[str, Callable[[], list[Any]]] = {"ours": ours, "paginator": paginated}
    shown = [[one.pk for one in side()] for side in sides.values()]
    assert shown[0] == shown[1], "both sides show the same questions"
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(_TURNS):
        for name, side in sides.items():
            begin = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - begin)
    return {name: 1000 * median(found) for name, found in seconds.items()}


def main(words: list[str]) -> None:
    """Run one of them and print its line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    django.setup()
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "fill": lambda number, people: fill(int(number), int(people)),
        "write": write,
        "pages": lambda slug, row: pages(slug, int(row)),
    }
    print(json.dumps(commands[words[0]](*words[1:])))


if __name__ == "__main__":
    main(sys.argv[1:])

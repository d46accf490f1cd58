"""What `benchmarks.web` does inside the application, each in a process of its own: `python -m benchmarks.web_site …`.

    fill N              make a project with N documents and N / 100 examples, logged in
    write SLUG          insert documents and judgements, one transaction after the other, until SIGTERM
    pages SLUG ROW      the page of documents at a row, ours and by Django's Paginator, in turns
    import HOW FILE     rows of a corpus.jsonl: `ours`, `bulk_create`, or `whole`: all that an upload goes through

Each prints one JSON line. SPTAR_DATA and DATABASE_URL say where.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import accumulate, islice
from pathlib import Path
from statistics import median
from typing import Any

import django

from sptar_engine.artifacts import read_jsonl, sha256_file, write_jsonl
from sptar_engine.data.beir import CORPUS_FILE, Tally
from sptar_engine.data.health import HealthCheck
from sptar_engine.records import Document as EngineDocument

_SEED = 13
_VOCABULARY = 20_000
_WORDS = (20, 100)  # of a document
_EXAMPLES_SHARE = 100  # documents to an example
_HEALTH_SAMPLE = 1000
_WRITE_ROWS = 200  # documents of one transaction, as an import beside the readers would insert them
_WRITE_PAUSE = 0.05  # seconds
_TURNS = 15


def documents(count: int, seed: int = _SEED) -> Iterator[EngineDocument]:
    """Made-up documents whose words are as unevenly frequent as those of a language."""
    draw = random.Random(seed)
    words = vocabulary()
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    for number in range(count):
        chosen = draw.choices(words, cum_weights=weights, k=draw.randint(*_WORDS))
        yield EngineDocument(f"doc-{number:07d}", " ".join(chosen), " ".join(chosen[:4]).capitalize())


@cache
def vocabulary() -> tuple[str, ...]:
    """Made-up words, the frequent ones first and short. Made once: it takes longer than a page."""
    draw = random.Random(_SEED)
    syllables = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
    found: dict[str, None] = {}
    while len(found) < _VOCABULARY:
        length = 1 + min(4, len(found) // 60)
        found["".join(draw.choices(syllables, k=length)) + ("" if length > 1 else draw.choice("nrst"))] = None
    return tuple(found)


def fill(count: int) -> dict[str, Any]:
    """Make the project, and a session of its owner."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from django.db import connection

    from webapp.models import Corpus, User
    from webapp.places import corpus_folder
    from webapp.services import projects

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    owner = User.objects.create_user(f"owner{count}@example.org")
    project = projects.create(name=f"{count:,} documents", owner=owner)
    corpus = Corpus.objects.create(project=project, number=1, documents=count, health=_health(count))
    path = corpus_folder(corpus) / CORPUS_FILE
    rows = ({"_id": row.doc_id, "title": row.title, "text": row.text} for row in _stored(corpus, count))
    write_jsonl(path, rows)
    corpus.ready, corpus.sha256 = True, sha256_file(path)
    corpus.save()
    project.corpus = corpus
    project.save()
    _add_examples(project, owner, count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    session = SessionStore()
    session.update(
        {
            SESSION_KEY: str(owner.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: owner.get_session_auth_hash(),
        }
    )
    session.save()
    first = corpus.rows.order_by("pk").values_list("pk", flat=True)[0]
    newest = project.queries.order_by("-pk").values_list("pk", flat=True)[0]
    return {
        "slug": project.slug, "session": session.session_key, "first": first, "documents": count, "newest": newest,
        "examples": project.queries.count(),
    }  # fmt: skip


def _stored(corpus: Any, count: int) -> Iterator[EngineDocument]:
    from django.db import transaction

    from webapp.services import corpora

    yield from corpora.store(corpus, ((one, "") for one in documents(count)), transaction.atomic)


def _health(count: int) -> dict[str, Any]:
    check = HealthCheck(lambda text: len(text.split()), 256, _HEALTH_SAMPLE)
    for _ in check.watch(documents(_HEALTH_SAMPLE)):
        pass
    return {**check.report(Tally(documents=count), None).as_dict(), "changed_rows": 0, "left_out": 0}


def _add_examples(project: Any, owner: Any, count: int) -> None:
    """A question for every hundredth document, with one to three judged documents, as people would have left them."""
    from webapp.models import Judgement, Query, Split

    draw = random.Random(_SEED)
    words = vocabulary()
    splits = [Split.TRAIN.value, Split.DEV.value, Split.TEST.value]
    rows = []
    for number in range(max(60, count // _EXAMPLES_SHARE)):
        text = " ".join(draw.choices(words[:3000], k=6))
        rows.append(
            Query(
                project=project, query_id=f"q{number}", text=text, normalised=f"{number:064d}", status="done",
                split=draw.choice(splits), relevant=1, judged=1, author=owner, flagged=draw.random() < 0.02,
            )
        )  # fmt: skip
    made = Query.objects.bulk_create(rows, batch_size=500)
    judged = (
        Judgement(query=row, doc_id=f"doc-{draw.randrange(count):07d}", grade=1 + at, judge=owner)
        for row in made
        for at in range(draw.randint(1, 3))
    )
    while some := list(islice(judged, 500)):
        Judgement.objects.bulk_create(some, ignore_conflicts=True)


def write(slug: str) -> dict[str, Any]:
    """Insert until SIGTERM: documents of another version, and a judgement as labelling makes one."""
    from django.db import transaction

    from webapp.models import Corpus, Judgement, Project, Query
    from webapp.services import corpora

    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    project = Project.objects.get(slug=slug)
    number = project.corpora.count() + 1
    corpus = Corpus.objects.create(project=project, number=number)
    owner = project.members.first()
    pieces = ((one, "") for one in documents(10**7, seed=number))
    newest = Query.objects.filter(project=project).order_by("-pk").first()
    transactions = 0
    while not stop:
        for _ in corpora.store(corpus, islice(pieces, _WRITE_ROWS), transaction.atomic):
            pass
        with transaction.atomic():
            doc_id = f"doc-{number}-{transactions:07d}"
            Judgement.objects.create(query=newest, doc_id=doc_id, grade=1, judge=owner)
        transactions += 2
        time.sleep(_WRITE_PAUSE)
    return {"transactions": transactions}


def pages(slug: str, row: int) -> dict[str, Any]:
    """Milliseconds for the rows of the page that begins behind `row`, and for the whole request that shows them."""
    from django.core.paginator import Paginator
    from django.test import Client

    from webapp.models import Corpus, Document, Project
    from webapp.selectors import documents as listing

    project = Project.objects.select_related("corpus").get(slug=slug)
    client = Client(headers={"host": "127.0.0.1"})
    owner = project.members.first()
    assert owner is not None
    client.force_login(owner)
    start = Document.objects.filter(corpus=project.corpus).order_by("pk").values_list("pk", flat=True)[row - 1]
    ours = listing.page

    def paginated(corpus: Corpus, **_: Any) -> Any:
        rows = Document.objects.filter(corpus=corpus).order_by("pk")
        shown = Paginator(rows, listing.PAGE).page(row // listing.PAGE + 1)
        found = [
            listing.Row(one.pk, one.doc_id, one.title[:200], one.text[:280], one.source_id) for one in shown.object_list
        ]
        return listing.Page(found, shown.has_next() or None, shown.has_previous() or None)

    sides: dict[str, Callable[..., Any]] = {
        "ours": lambda: ours(project.corpus, after=start),
        "paginator": lambda: paginated(project.corpus),
    }
    shown = [[one.doc_id for one in side().rows] for side in sides.values()]
    assert shown[0] == shown[1], "both sides show the same documents"
    seconds: dict[str, list[float]] = {name: [] for name in (*sides, "ours_request", "paginator_request")}
    for _ in range(_TURNS):
        for name, side in sides.items():
            begin = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - begin)
            listing.page = partial(_call, side)
            begin = time.perf_counter()
            answer = client.get(f"/p/{slug}/documents/", {"after": start})
            seconds[f"{name}_request"].append(time.perf_counter() - begin)
            assert answer.status_code == 200, answer.status_code
    return {name: 1000 * median(found) for name, found in seconds.items()}


def _call(side: Callable[..., Any], corpus: Any, **where: Any) -> Any:
    del corpus, where  # each side knows the page that is measured
    return side()


def import_rows(how: str, path: Path) -> dict[str, Any]:
    """Seconds, and MB that the process grew by at its peak, without what it had before."""
    from django.core.management import call_command

    from webapp.models import Corpus, User
    from webapp.services import projects

    call_command("migrate", verbosity=0, skip_checks=True)
    owner = User.objects.create_user(f"importer-{how}@example.org")
    project = projects.create(name=how, owner=owner)
    corpus = Corpus.objects.create(project=project, number=1)
    sides: dict[str, Callable[[], int]] = {
        "ours": lambda: _import_ours(corpus, path),
        "bulk_create": lambda: _import_bulk(corpus, path),
        "whole": lambda: _import_whole(project, owner, path),
    }
    before = _resident_mb()
    begin = time.perf_counter()
    rows = sides[how]()
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "seconds": seconds, "rate": rows / seconds, "extra_mb": peak - before}


def _import_ours(corpus: Any, path: Path) -> int:
    from django.db import transaction

    from webapp.services import corpora

    rows = (EngineDocument(row["_id"], row["text"], row["title"]) for row in read_jsonl(path))
    return sum(1 for _ in corpora.store(corpus, ((row, "") for row in rows), transaction.atomic))


def _import_bulk(corpus: Any, path: Path) -> int:
    from webapp.models import Document

    rows = [
        Document(corpus=corpus, doc_id=row["_id"], title=row["title"], text=row["text"]) for row in read_jsonl(path)
    ]
    return len(Document.objects.bulk_create(rows))


def _import_whole(project: Any, owner: Any, path: Path) -> int:
    """An upload from its receipt to its documents in use, as a worker does it: checked, measured, stored."""
    import shutil

    from webapp.errands import KINDS
    from webapp.jobs.runner import run_errand
    from webapp.models import Errand, Upload
    from webapp.services import uploads
    from webapp.uploads import ReceivedFile

    copy = path.with_name("arrived.jsonl")
    shutil.copyfile(path, copy)
    file = ReceivedFile(copy, name="corpus.jsonl", size=path.stat().st_size)
    upload = uploads.receive(project=project, file=file, actor=owner)
    file.close()
    uploads.start_check(upload=upload, kind=Upload.Kind.JSONL, options=upload.options, actor=owner)
    for kind in (uploads.CHECK, uploads.IMPORT):
        errand = Errand.objects.get(kind=kind, subject=upload.pk)
        run_errand(errand.pk, errand.attempt, KINDS)
    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.DONE, upload.error
    return int(upload.rows_good)


def _resident_mb() -> float:
    pages_held = int(Path("/proc/self/statm").read_text().split()[1])
    return pages_held * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(words: list[str]) -> None:
    """Run one of them and print its line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    django.setup()
    commands: dict[str, Callable[..., dict[str, Any]]] = {
        "fill": lambda count: fill(int(count)),
        "write": write,
        "pages": lambda slug, row: pages(slug, int(row)),
        "import": lambda how, path: import_rows(how, Path(path)),
    }
    print(json.dumps(commands[words[0]](*words[1:])))


if __name__ == "__main__":
    main(sys.argv[1:])

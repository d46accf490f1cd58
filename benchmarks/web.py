"""Pages while people work: 95th percentiles at 10,000 and at many documents, and the import of documents.

    python -m benchmarks.web --rows 1000000 --json

The application runs as `manage.py up` runs it (gunicorn with its processes and threads, the search service), on a data
folder of its own; 20 clients, logged in, pause one second between pages, and a writer inserts all the while: 200
documents and a judgement every 50 ms, each in a transaction. Three kinds of pages in equal parts: the list of documents
at a random place, the list of examples at a random place or filtered, and a keyword search of two words. All of a
request counts, to the last byte of its page. The small project and the large one take turns.

`paginator` is the same page of documents, behind row 500,000 (or the middle, with fewer rows), through Django's
Paginator, which counts all rows and skips those before; the time is that for the page's rows, both sides in one process
and in turns. Drawing the page costs the same on both sides; `checks.request_ms` and `checks.paginator_request_ms` have
it with them. `bulk_create` reads the same file of 100,000
documents into a list of model objects and saves that by one call; ours is what an upload's import does with the rows
of its file. `checks.extra_mb` is what the whole work of such an upload (checking, health report, rows) adds to the
memory of its process, `checks.upload_rows_per_s` its speed.

With DATABASE_URL or TEST_POSTGRES_URL of a PostgreSQL server that answers, everything is measured there too, in
databases of their own that go afterwards: `checks.postgres`.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.web_site import documents, vocabulary
from sptar_engine.artifacts import write_jsonl
from webapp.operations.processes import command

_ROOT = Path(__file__).resolve().parent.parent
_SMALL = 10_000
_IMPORTED = 100_000
_CLIENTS = 20
_PAUSE = 1.0  # seconds between two pages of a client
_DEEP_ROW = 500_000
_FREQUENT = 2000  # words of the vocabulary that queries are made of
_PATIENCE = 1800.0  # seconds for an index of a million documents
KINDS = ("documents", "examples", "search")


@dataclass
class Site:
    """A filled data folder and how to run commands on it."""

    folder: Path
    database: str
    about: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of the application; none of the caller's own settings take part."""
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "SPTAR_DATA": str(self.folder),
            "SECRET_KEY": "a-key-for-measurements-only-" + "0123456789" * 3,
            "PYTHONPATH": str(_ROOT),
            "LOG_LEVEL": "ERROR",
            "GUNICORN_CMD_ARGS": "--log-level error",
            **({"DATABASE_URL": self.database} if self.database else {}),
        }

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command of benchmarks.web_site to its end."""
        done = subprocess.run(  # noqa: S603 our own module
            [sys.executable, "-m", "benchmarks.web_site", *words],
            cwd=_ROOT, env=self.environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    @contextmanager
    def process(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a process until the block ends."""
        process = subprocess.Popen(  # noqa: S603 our own commands
            [sys.executable, *words], cwd=_ROOT, env=self.environment, stdout=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    @contextmanager
    def web(self) -> Iterator[None]:
        """Run the web process as `manage.py up` does, on a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        _, *words = command("web", {**self.environment, "PORT": str(self.port)})
        with self.process(*words):
            yield

    def get(self, path: str, connection: http.client.HTTPConnection) -> tuple[int, bytes]:
        """One page, whole."""
        connection.request("GET", path, headers={"Cookie": f"sessionid={self.about['session']}"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def build(folder: Path, database: str, rows: int) -> Site:
    """Fill a data folder."""
    folder.mkdir(mode=0o700)
    site = Site(folder, database)
    tell(f"filling {rows:,} documents")
    site.about = site.run("fill", str(rows))
    return site


@contextmanager
def serving(site: Site) -> Iterator[None]:
    """Run the application on the site, its index ready."""
    with site.process("manage.py", "search_service"), site.web():
        _await_index(site)
        yield


def _await_index(site: Site) -> None:
    """Ask for a search until there is an answer; the first question begins the index."""
    end = time.monotonic() + _PATIENCE
    tell(f"indexing {site.about['documents']:,} documents")
    word = vocabulary()[50]
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        try:
            status, body = site.get(f"/p/{site.about['slug']}/documents/?{urlencode({'q': word})}", connection)
            if status == 200 and f"<mark>{word}".encode() in body.lower():
                return
            if b"could not be built" in body:
                raise SystemExit("The search service could not index the documents.")
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(1)
    raise SystemExit("The search service did not index the documents in time.")


def load(site: Site, seconds: float, seed: int) -> dict[str, list[float]]:
    """Milliseconds of each page, by kind, while the writer writes."""
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    failed: list[str] = []
    end = time.monotonic() + seconds
    with site.process("-m", "benchmarks.web_site", "write", site.about["slug"]) as writer:
        threads = [
            threading.Thread(target=_visit, args=(site, end, seed * 1000 + number, taken, failed))
            for number in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if writer.poll() is not None:
            raise SystemExit("The writer ended while pages were measured.")
    if failed:
        raise SystemExit(f"{len(failed)} pages failed, the first with {failed[0]}.")
    return taken


def _visit(site: Site, end: float, seed: int, taken: Mapping[str, list[float]], failed: list[str]) -> None:
    """One client: a page, a second of reading, the next page."""
    draw = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    time.sleep(draw.random() * _PAUSE)
    turn = seed
    while time.monotonic() < end:
        kind = KINDS[turn % len(KINDS)]
        turn += 1
        path = address(kind, site.about, draw)
        begin = time.perf_counter()
        try:
            status, _ = site.get(path, connection)
        except (OSError, http.client.HTTPException) as error:
            failed.append(f"{type(error).__name__} for {path}")
            return
        if status != 200:
            failed.append(f"status {status} for {path}")
            return
        taken[kind].append(1000 * (time.perf_counter() - begin))
        time.sleep(_PAUSE)
    connection.close()


def address(kind: str, about: Mapping[str, Any], draw: random.Random) -> str:
    """A page of that kind, at a random place."""
    base = f"/p/{about['slug']}"
    if kind == "documents":
        return f"{base}/documents/?after={about['first'] + draw.randrange(about['documents'])}"
    if kind == "search":
        return f"{base}/documents/?{urlencode({'q': ' '.join(draw.choices(query_words(), k=2))})}"
    if draw.random() < 0.5:
        return f"{base}/examples/?split={draw.choice(('train', 'dev', 'test'))}"
    return f"{base}/examples/?before={about['newest'] - draw.randrange(about['examples'])}"


@cache
def query_words() -> list[str]:
    """The words that queries are made of."""
    return list(vocabulary()[:_FREQUENT])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def measure(folder: Path, database: Databases, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything on one kind of database."""
    sites = {rows: build(folder / str(rows), database.make(), rows) for rows in (_SMALL, arguments.rows)}
    taken: dict[int, dict[str, list[float]]] = {rows: {kind: [] for kind in KINDS} for rows in sites}
    for turn in range(arguments.turns):
        for rows, site in sites.items():
            with serving(site):
                tell(f"turn {turn + 1} of {arguments.turns}: {_CLIENTS} clients on {rows:,} documents")
                load(site, 5, seed=99)  # warms up
                for kind, found in load(site, arguments.seconds, seed=turn).items():
                    taken[rows][kind] += found
    row = min(_DEEP_ROW, arguments.rows // 2)
    tell(f"the page behind row {row:,}")
    deep = sites[arguments.rows].run("pages", sites[arguments.rows].about["slug"], str(row))
    return {"taken": taken, "deep": deep, "imports": measure_imports(folder, database, arguments.repeats)}


def measure_imports(folder: Path, database: Databases, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """Imports of the same file, in turns, each into a new database."""
    path = folder / "documents.jsonl"
    rows = ({"_id": one.doc_id, "title": one.title, "text": one.text} for one in documents(_IMPORTED))
    write_jsonl(path, rows)
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "bulk_create": [], "whole": []}
    for turn in range(repeats):
        for how, results in found.items():
            if how == "whole" and turn:
                continue
            site = Site(folder / f"import-{how}-{turn}", database.make())
            site.folder.mkdir(mode=0o700)
            results.append(site.run("import", how, str(path)))
            tell(f"import, {how}: {results[-1]['rate']:,.0f} rows/s, {results[-1]['extra_mb']:.0f} MB more")
    return found


def figures(measured: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The numbers of one kind of database."""
    p95 = {
        size: {kind: round(percentile(found, 0.95), 1) for kind, found in kinds.items()}
        for size, kinds in measured["taken"].items()
    }
    rates = {how: median(one["rate"] for one in found) for how, found in measured["imports"].items()}
    return {
        "page_ms": round(measured["deep"]["ours"], 2),
        "paginator_ms": round(measured["deep"]["paginator"], 2),
        "rows_per_s": round(rates["ours"]),
        "bulk_create_rows_per_s": round(rates["bulk_create"]),
        "ratio": {
            "paginator": round(measured["deep"]["paginator"] / measured["deep"]["ours"], 2),
            "bulk_create": round(rates["ours"] / rates["bulk_create"], 2),
        },
        "checks": {
            "flat_1m_over_10k": round(max(p95[rows][kind] / p95[_SMALL][kind] for kind in KINDS), 2),
            "p95_ms": max(p95[rows].values()),
            "extra_mb": round(max(one["extra_mb"] for one in measured["imports"]["whole"])),
            "upload_rows_per_s": round(rates["whole"]),
            "request_ms": round(measured["deep"]["ours_request"], 1),
            "paginator_request_ms": round(measured["deep"]["paginator_request"], 1),
            "rows": rows,
            "pages": sum(len(found) for kinds in measured["taken"].values() for found in kinds.values()),
            "p95_ms_10k": p95[_SMALL],
            "p95_ms_1m": p95[rows],
        },
    }


def summarise(found: Mapping[str, Any], postgres: Mapping[str, Any] | None) -> dict[str, Any]:
    """The line that every benchmark ends with."""
    return {
        "benchmark": "web",
        "unit": "milliseconds for a page deep in the list; rows per second of an import",
        "ours": {"page": found["page_ms"], "import": found["rows_per_s"]},
        "peers": {"paginator": found["paginator_ms"], "bulk_create": found["bulk_create_rows_per_s"]},
        "ratio": found["ratio"],
        "checks": {
            **found["checks"],
            **({"postgres": {**postgres["ratio"], **postgres["checks"]}} if postgres else {}),
        },
    }


class Databases:
    """New databases: files of SQLite, or some of a PostgreSQL server, dropped at the end."""

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._made: list[str] = []

    def make(self) -> str:
        """The address of a new one; empty for SQLite in the data folder."""
        if not self._server:
            return ""
        self._made.append(f"bench_{secrets.token_hex(6)}")
        self._execute(f'CREATE DATABASE "{self._made[-1]}"')
        return urlsplit(self._server)._replace(path=f"/{self._made[-1]}").geturl()

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *error: object) -> None:
        for name in self._made:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)


def postgres_server() -> str:
    """The address of a PostgreSQL server that answers, or "" """
    for name in ("TEST_POSTGRES_URL", "DATABASE_URL"):
        address_found = os.environ.get(name, "")
        if not address_found.startswith("postgres"):
            continue
        import psycopg

        try:
            with psycopg.connect(address_found, connect_timeout=3):
                return address_found
        except psycopg.OperationalError as error:
            tell(f"{name} does not answer, so PostgreSQL is left out: {error}")
    return ""


def tell(line: str) -> None:
    """Say what is going on, on standard error."""
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=about)
    parser.add_argument("--rows", type=int, default=1_000_000, help="documents of the large project")
    parser.add_argument("--seconds", type=float, default=40, help="of load in each turn")
    parser.add_argument("--turns", type=int, default=2, help="turns of load on each project")
    parser.add_argument("--repeats", type=int, default=3, help="imports of each kind; the medians count")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    found: dict[str, dict[str, Any]] = {}
    server = postgres_server()
    for name, address_of in (("sqlite", ""), *((("postgres", server),) if server else ())):
        tell(f"on {name}")
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            databases = stack.enter_context(Databases(address_of))
            found[name] = figures(measure(folder, databases, arguments), arguments.rows)
    if not arguments.json:
        for name, numbers in found.items():
            print(f"{name}: 95 % of pages within {numbers['checks']['p95_ms']:.0f} ms, {numbers['ratio']}")
    print(json.dumps(summarise(found["sqlite"], found.get("postgres"))))


if __name__ == "__main__":
    main()

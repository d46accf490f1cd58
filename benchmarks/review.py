"""The review while people review: 95th percentiles over 10,000 and over many generated questions.

    python -m benchmarks.review --rows 1000000 --json

The application runs as `manage.py up` runs it (gunicorn with its processes and threads), on a data folder of its own.
Twenty reviewers, each logged in, pause one second between two things they do, and a writer inserts all the while: 200
questions of another experiment and a verdict every 50 ms, each in a transaction of its own. They do four things in
equal parts, the first round of which is not counted: `list`, the list at a random place; `filter`, the list by
verdict, reason, rank or text; `next`, the next card (the one before them is passed over); `verdict`, a verdict on the
card, whose answer brings the next one. All of a request counts, to the last byte of its page. The small project and
the large one take turns.

No card may lie before two people: `checks.shown_twice` counts those that did, `checks.verdicts` the verdicts given,
`checks.verdicts_lost` those of them that the database does not have once.

`paginator` is the same page of the list, behind row 500,000 (or the middle, with fewer rows), through Django's
Paginator, which counts all rows and skips those before. `checks.playground_p95_ms` is the page of a question in the
playground over 10,000 documents, `checks.search_service_p95_ms` its three searches alone (benchmarks.playground).
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.web import Site, percentile, tell
from benchmarks.web_site import vocabulary

_SMALL = 10_000
_REVIEWERS = 20
_PAUSE = 1.0  # seconds between two pages of a reviewer
_DEEP_ROW = 500_000
_PATIENCE = 60.0  # seconds for the web process to answer
_TOKEN = "a" * 32  # of the form, the same in cookie and header, as Django asks for
KINDS = ("list", "filter", "next", "verdict")


class ReviewSite(Site):
    """A filled data folder and how to run commands on it."""

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command of benchmarks.review_site to its end."""
        done = subprocess.run(  # noqa: S603 our own module
            [sys.executable, "-m", "benchmarks.review_site", *words],
            cwd=Path(__file__).resolve().parent.parent, env=self.environment, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@dataclass
class Load:
    """What the reviewers saw: milliseconds by kind, the cards each was shown, the verdicts each gave."""

    taken: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    shown: list[set[int]] = field(default_factory=list)
    given: list[list[int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Reviewer:
    """One person's browser."""

    def __init__(self, site: Site, number: int, seed: int) -> None:
        self._site, self._draw = site, random.Random(seed)
        self._cookie = f"sessionid={site.about['sessions'][number]}; csrftoken={_TOKEN}"
        self._connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        self._base = f"/p/{site.about['slug']}/review/1/sptar"
        self.card = 0
        self.shown: set[int] = set()
        self.given: list[int] = []

    def begin(self) -> None:
        """Take the first card."""
        self._take(self._post(f"{self._base}/cards/queue/next/"))

    def do(self, kind: str) -> None:
        """One of KINDS. Raises RuntimeError for a page that is not what was asked for."""
        if kind == "verdict":
            card = self.card
            self._take(self._post(f"{self._base}/questions/{card}/verdict/", verdict=self._verdict(), queue="queue"))
            self.given.append(card)
        elif kind == "next":
            self._take(self._post(f"{self._base}/questions/{self.card}/skip/", queue="queue"))
        else:
            about = self._site.about
            query = self._filter() if kind == "filter" else {}
            query["after"] = str(about["first"] + self._draw.randrange(about["questions"] * 9 // 10))
            page = self._ask("GET", f"{self._base}/list/?{urlencode(query)}")
            if b"Generated questions" not in page:
                raise RuntimeError("the list is not a list")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _verdict(self) -> str:
        return self._draw.choice(("accept", "accept", "reject", "unsure"))

    def _filter(self) -> dict[str, str]:
        words = vocabulary()
        return self._draw.choice(
            [
                {"verdict": "none", "kept": "yes"}, {"verdict": "reject", "kept": "yes"}, {"kept": "rank"},
                {"verdict": "accept"}, {"disputed": "on"}, {"rank": "60"}, {"reason": "vague", "verdict": "reject"},
                {"text": self._draw.choice(words[:2000])},
            ]
        )  # fmt: skip

    def _take(self, page: bytes) -> None:
        found = re.search(rb'data-weak="(\d+)"', page)
        if not found:
            raise RuntimeError("no card came")
        self.card = int(found[1])
        self.shown.add(self.card)

    def _post(self, path: str, **values: str) -> bytes:
        return self._ask("POST", path, urlencode(values))

    def _ask(self, method: str, path: str, body: str | None = None) -> bytes:
        headers = {"Cookie": self._cookie}
        if body is not None:
            headers |= {
                "X-CSRFToken": _TOKEN, "HX-Request": "true", "Content-Type": "application/x-www-form-urlencoded",
            }  # fmt: skip
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        page = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status} for {path}")
        return page


def build(folder: Path, rows: int) -> ReviewSite:
    """Fill a data folder."""
    folder.mkdir(mode=0o700)
    site = ReviewSite(folder, "")
    tell(f"filling {rows:,} generated questions")
    site.about = site.run("fill", str(rows), str(_REVIEWERS))
    return site


@contextmanager
def serving(site: Site) -> Iterator[None]:
    """Run the web process on the site."""
    with site.web():
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
            try:
                connection.request("GET", "/login/")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.1)
            finally:
                connection.close()
        yield


def load(site: Site, seconds: float, seed: int) -> Load:
    """Have the reviewers review while the writer writes."""
    found = Load()
    with site.process("-m", "benchmarks.review_site", "write", site.about["slug"]) as writer:
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_review, args=(site, end, number, seed * 1000 + number, found))
            for number in range(_REVIEWERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if writer.poll() is not None:
            raise SystemExit("The writer ended while pages were measured.")
    if found.failed:
        raise SystemExit(f"{len(found.failed)} pages failed, the first with {found.failed[0]}.")
    return found


def _review(site: Site, end: float, number: int, seed: int, found: Load) -> None:
    """One reviewer: something, a second of reading, the next thing."""
    reviewer = Reviewer(site, number, seed)
    time.sleep(random.Random(seed).random() * _PAUSE)
    try:
        reviewer.begin()
        for turn in count(seed):
            if time.monotonic() >= end:
                break
            kind = KINDS[turn % len(KINDS)]
            begin = time.perf_counter()
            reviewer.do(kind)
            if turn - seed >= len(KINDS):  # before, the processes read their templates
                found.taken[kind].append(1000 * (time.perf_counter() - begin))
            time.sleep(_PAUSE)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        found.failed.append(f"{type(error).__name__}: {error}")
    finally:
        reviewer.close()
        found.shown.append(reviewer.shown)
        found.given.append(reviewer.given)


def lost(site: Site, loads: Sequence[Load]) -> int:
    """Verdicts that reviewers gave and that the database does not have exactly once."""
    given = [card for one in loads for cards in one.given for card in cards]
    people = ",".join(str(int(pk)) for pk in site.about["reviewers"])
    with sqlite3.connect(site.folder / "sptar.sqlite3") as database:
        rows = database.execute(
            f"SELECT weak_id FROM webapp_review WHERE reviewer_id IN ({people})"  # noqa: S608 numbers
        )
        kept = Counter(pk for (pk,) in rows)
    return sum(kept[card] != 1 for card in given) + sum(card not in set(given) for card in kept)


def shown_twice(loads: Sequence[Load]) -> int:
    """Cards of a load that lay before two people. (Between loads, leases of passed cards may well end.)"""
    return sum(times > 1 for one in loads for times in Counter(pk for cards in one.shown for pk in cards).values())


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything but the playground."""
    sites = {rows: build(folder / str(rows), rows) for rows in (_SMALL, arguments.rows)}
    loads: dict[int, list[Load]] = {rows: [] for rows in sites}
    warming: dict[int, list[Load]] = {rows: [] for rows in sites}
    for turn in range(arguments.turns):
        for rows, site in sites.items():
            with serving(site):
                tell(f"turn {turn + 1} of {arguments.turns}: {_REVIEWERS} reviewers of {rows:,} questions")
                warming[rows].append(load(site, 5, seed=99 + turn))
                loads[rows].append(load(site, arguments.seconds, seed=turn))
    row = min(_DEEP_ROW, arguments.rows // 2)
    tell(f"the page behind row {row:,}")
    deep = sites[arguments.rows].run("pages", sites[arguments.rows].about["slug"], str(row))
    everything = [one for some in (*loads.values(), *warming.values()) for one in some]
    return {
        "loads": loads,
        "deep": deep,
        "shown_twice": shown_twice(everything),
        "verdicts": sum(len(cards) for one in everything for cards in one.given),
        "lost": sum(lost(site, [*loads[rows], *warming[rows]]) for rows, site in sites.items()),
    }


def summarise(measured: Mapping[str, Any], rows: int, playground: Mapping[str, Any]) -> dict[str, Any]:
    """The line that every benchmark ends with; `playground` are the checks of benchmarks.playground."""
    p95 = {
        size: {kind: round(percentile([ms for one in loads for ms in one.taken[kind]], 0.95), 1) for kind in KINDS}
        for size, loads in measured["loads"].items()
    }
    ours, paginator = measured["deep"]["ours"], measured["deep"]["paginator"]
    return {
        "benchmark": "review",
        "unit": "milliseconds for a page deep in the list",
        "ours": {"page": round(ours, 2)},
        "peers": {"paginator": round(paginator, 2)},
        "ratio": {"paginator": round(paginator / ours, 2)},
        "checks": {
            "p95_ms": max(p95[rows].values()),
            "flat_1m_over_10k": round(max(p95[rows][kind] / p95[_SMALL][kind] for kind in KINDS), 2),
            **playground,
            "shown_twice": measured["shown_twice"],
            "verdicts": measured["verdicts"],
            "verdicts_lost": measured["lost"],
            "rows": rows,
            "pages": sum(
                len(some) for loads in measured["loads"].values() for one in loads for some in one.taken.values()
            ),
            "p95_ms_10k": p95[_SMALL],
            "p95_ms_1m": p95[rows],
        },
    }  # fmt: skip


def measure_playground() -> dict[str, Any]:
    """The checks of the playground."""
    from benchmarks import playground

    tell("searches in the playground")
    checks = playground.measure()["checks"]
    return {name: checks[name] for name in ("playground_p95_ms", "two_people_p95_ms", "search_service_p95_ms")}


def main(words: Sequence[str] | None = None) -> None:
    """Run and print."""
    about = (__doc__ or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=about)
    parser.add_argument("--rows", type=int, default=1_000_000, help="generated questions of the large project")
    parser.add_argument("--seconds", type=float, default=40, help="of load in each turn")
    parser.add_argument("--turns", type=int, default=2, help="turns of load on each project")
    parser.add_argument("--no-playground", action="store_true", help="leave the playground out")
    parser.add_argument("--json", action="store_true", help="print the JSON line alone")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measured = measure(Path(folder), arguments)
    playground = {} if arguments.no_playground else measure_playground()
    line = summarise(measured, arguments.rows, playground)
    if not arguments.json:
        print(f"95 % of pages within {line['checks']['p95_ms']:.0f} ms over {arguments.rows:,} generated questions")
    print(json.dumps(line))


if __name__ == "__main__":
    main()

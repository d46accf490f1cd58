"""Having something built by the search service and seeing it through, also when the service is started anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from sptar_engine.errors import StageError
from webapp.models import Corpus
from webapp.search import client
from webapp.search.client import SearchUnavailable

PAUSE = 0.5  # seconds between two questions to the service

_DOWN = "Waiting for the search service, which is not running"

Report = Callable[[int, int, str], None]
"""Takes `done` of `total` and what is done; may raise to stop following."""


def follow(corpus: Corpus, what: str, report: Report, *, begin: bool = True) -> bool:
    """Return True when an index, vectors or topics are ready. A build goes on where an earlier service stopped.

    Without `begin` nothing is started, and False says that nothing is under way. Raises StageError when it cannot be
    built. The service goes on with it when `report` raises.
    """
    first = client.prepare if begin else client.build_of
    ask = first
    while True:
        try:
            build = ask(corpus, what)
        except SearchUnavailable as error:
            if error.reason not in ("down", "busy"):
                raise StageError(str(error)) from error
            ask = first
            report(0, 0, _DOWN)
        else:
            if build.state == "ready" or (build.state == "absent" and not begin):
                return build.state == "ready"
            if build.state == "failed":
                raise StageError(build.message)
            ask = first if build.state == "absent" else client.build_of
            report(build.done, build.total, build.message)
        time.sleep(PAUSE)

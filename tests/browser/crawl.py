"""All pages that a person can reach by links, one of each kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from playwright.sync_api import Page

from sptar_engine.arms import ARMS, FAMILIES

_NAMED = re.compile(r"/(archives|learning-curves)/[^/]+(?=/)")  # by letters drawn at random
_ARM = re.compile(rf"(?<=/)({'|'.join(ARMS)})(/({'|'.join(FAMILIES)}))?(?=/)")


def reachable(page: Page, site: str, *starts: str) -> Iterator[tuple[str, int]]:
    """Each address with its status; the page stands at it when it is HTML. Paths alike but for numbers are one kind."""
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        address = waiting.pop(0)
        if kind_of(address) in seen:
            continue
        seen.add(kind_of(address))
        answer = page.request.get(address)
        is_saved = "attachment" in answer.headers.get("content-disposition", "")
        is_page = answer.status < 400 and "text/html" in answer.headers.get("content-type", "") and not is_saved
        if is_page:
            page.goto(address)
        yield address, answer.status
        if is_page:
            waiting += [link for link in _links(page, site) if link not in waiting]


def kind_of(address: str) -> str:
    """The path with every number, and every arm with or without a family, alike."""
    return re.sub(r"\d+", "N", _ARM.sub("A", _NAMED.sub(r"/\1/N", urlsplit(address).path)))


def _links(page: Page, site: str) -> list[str]:
    """Addresses of this site that the page links to."""
    in_full = "links => links.map(link => new URL(link.getAttribute('href'), location).href)"  # of links in charts too
    found = page.eval_on_selector_all("a[href]", in_full)
    parts = [urlsplit(address) for address in found if address.startswith(f"{site}/")]
    return list(dict.fromkeys(part.path + (f"?{part.query}" if part.query else "") for part in parts))

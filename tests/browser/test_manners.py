"""What static/js/sptar.js does between htmx and the page, before a server that the test plays itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import django_htmx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
HTMX = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>Page</title>
<script src="/htmx.js"></script><script src="/sptar.js" defer></script>
<div id="flash"></div><main>{part}
<form hx-post="/save" hx-swap="none" action="/save"><button id="save">Save</button></form>
<input id="link" value="https://x.example/"><button id="copy" data-copies="link">Copy</button></main>
<div id="announcer" aria-live="polite"></div>"""
PART = """<div id="part" hx-get="/part" hx-trigger="every 200ms" hx-swap="outerHTML" data-poll="hidden-too">
<b id="count">{count}</b><details id="shut"><summary id="shut-summary">Shut</summary>a</details>
<details id="wide" open><summary id="wide-summary">Open</summary><a id="inside" href="/">link</a></details></div>"""
HIDE = "Object.defineProperty(document, 'hidden', {get: () => true})"


class Server:
    """Answers by path; `behave` says what the poll and the form get."""

    def __init__(self) -> None:
        self.behave: Callable[[Route], None] | None = None
        self.polls = 0

    def answer(self, route: Route) -> None:
        """Answer one request."""
        path = route.request.url.split("sptar.test")[1]
        if path == "/htmx.js":
            route.fulfill(path=HTMX)
        elif path == "/sptar.js":
            route.fulfill(path=ROOT / "static" / "js" / "sptar.js")
        elif path in ("/part", "/save"):
            self.polls += path == "/part"
            self.behave(route) if self.behave else self.show(route)
        else:
            route.fulfill(body=PAGE.format(part=PART.format(count=0)), content_type="text/html")

    def show(self, route: Route) -> None:
        """Answer as a server does where nothing is wrong."""
        route.fulfill(body=PART.format(count=self.polls), content_type="text/html")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page with a poll, a form and a button that copies."""
    context = browser.new_context()
    made = context.new_page()
    made.set_default_timeout(10_000)
    made.route("http://sptar.test/**", server.answer)
    made.goto("http://sptar.test/")
    yield made
    context.close()


def next_polls(page: Page, server: Server, count: int = 2) -> None:
    wanted = server.polls + count
    page.wait_for_function("wanted => Number(document.getElementById('count').textContent) >= wanted", arg=wanted)


def test_a_poll_leaves_open_what_is_open_and_the_focus_where_it_is(page: Page, server: Server) -> None:
    page.click("#shut-summary")
    next_polls(page, server)
    assert page.evaluate("document.getElementById('shut').open && document.activeElement.id") == "shut-summary"
    page.focus("#inside")
    next_polls(page, server)
    assert page.evaluate("document.activeElement.id") == "inside"
    page.click("#wide-summary")
    next_polls(page, server)
    assert page.evaluate("document.getElementById('wide').open") is False
    assert page.evaluate("document.activeElement.id") == "wide-summary"


def test_a_lost_connection_stands_on_the_page_until_it_is_back(page: Page, server: Server) -> None:
    server.behave = lambda route: route.abort()
    expect(page.locator("#poll-failed")).to_have_text("The connection is lost. Trying again.")
    page.click("#save")
    expect(page.locator("#not-sent")).to_have_text("Nothing was saved: the server does not answer. Press again.")
    assert page.locator("#flash .notice").count() == 2
    server.behave = None
    expect(page.locator("#poll-failed")).to_have_count(0)
    expect(page.locator("#not-sent")).to_have_count(1)
    page.click("#save")
    expect(page.locator("#not-sent")).to_have_count(0)


@pytest.mark.parametrize("status", [403, 404])
def test_a_poll_of_what_is_gone_ends_and_says_so(page: Page, server: Server, status: int) -> None:
    server.behave = lambda route: route.fulfill(status=status, headers={"HX-Retarget": "#flash"}, body="gone")
    expect(page.locator("#page-over")).to_contain_text("Reload the page.")
    before = server.polls
    page.wait_for_timeout(700)
    assert server.polls == before


def test_a_poll_that_fails_goes_on_and_is_announced_once(page: Page, server: Server) -> None:
    server.behave = lambda route: route.fulfill(status=500, body="")
    expect(page.locator("#announcer")).to_contain_text("could not be brought up to date")
    page.evaluate("document.getElementById('announcer').textContent = ''")
    before = server.polls
    page.wait_for_timeout(700)
    assert server.polls > before
    assert page.text_content("#announcer") == ""
    server.behave = None
    expect(page.locator("#poll-failed")).to_have_count(0)


def test_a_hidden_page_looks_once_in_a_while_and_its_title_says_that_all_is_over(page: Page, server: Server) -> None:
    page.evaluate(HIDE)
    next_polls(page, server, 1)
    before = server.polls
    page.wait_for_timeout(700)
    assert server.polls == before
    page.evaluate(
        "document.body.dispatchEvent(new CustomEvent('sptar:finished', {bubbles: true, detail: {value: 'Done.'}}))"
    )
    assert page.title() == "✓ Page"


def test_the_same_announcement_twice_is_two_changes(page: Page) -> None:
    page.evaluate("""() => { window.said = 0;
        new MutationObserver(() => { window.said += document.getElementById('announcer').textContent === 'Saved.'; })
            .observe(document.getElementById('announcer'), {childList: true}); }""")
    for number in (1, 2):
        page.evaluate(
            "document.body.dispatchEvent(new CustomEvent('sptar:announce', {bubbles: true, detail: 'Saved.'}))"
        )
        page.wait_for_function("number => window.said === number", arg=number)


def test_copy_answers_on_the_button_and_works_over_plain_http(page: Page) -> None:
    assert page.evaluate("!navigator.clipboard")
    page.click("#copy")
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("document.getElementById('link').selectionEnd") == len("https://x.example/")
    expect(page.locator("#copy")).to_have_text("Copy")

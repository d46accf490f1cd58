"""A real browser before the real application: its processes, Redis, workers and search; stages that take no model."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Response, sync_playwright

from tests.webapp.operations.machines import Machine
from tests.webapp.operations.started import Up, free_port

FAKE_STAGES = "tests.webapp.jobs.process_settings"
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str:
    """The command of a browser of this machine, or ""."""
    return next((found for name in _NAMES if (found := shutil.which(name))), "")


def launch(playwright: Playwright) -> Browser:
    """Start it. Chromium's own sandbox needs rights that containers do not give."""
    return playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, or the reason why not."""
    if not find_browser():
        reason = f"no browser: none of {', '.join(_NAMES)} is installed"
        if os.environ.get("SPTAR_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        made = launch(playwright)
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(browser: Browser) -> Iterator[Up]:
    """The application, started as `make up` starts it."""
    del browser  # without one there is no use in starting
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        variables = {"PORT": str(free_port()), "DJANGO_SETTINGS_MODULE": FAKE_STAGES, "HF_TOKEN": "hf_neverToBeSeen"}
        machine = Machine(Path(folder) / "data", variables)
        started = Up(machine)
        started.wait_until_it_runs()
        yield started
        started.stop()


class Complaints(list[str]):
    """What the browser's console and the network said against us."""

    def watch(self, page: Page) -> None:
        """Listen to a page."""
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.append(f"{page.url}: {error}"))
        page.on("response", self._look)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _look(self, response: Response) -> None:
        if response.status >= 500:
            self.append(f"{response.status} for {response.request.method} {response.url}")


@pytest.fixture(scope="module")
def context(browser: Browser, site: Up) -> Iterator[BrowserContext]:
    """A person's browser: logged in by the link that the start printed."""
    made = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=site.address)
    made.set_default_timeout(30_000)
    page = made.new_page()
    link = re.search(r"http://\S+/login/link/\S+", site.said)
    assert link, site.said
    page.goto(link[0])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.address}/")
    page.goto(link[0])
    assert page.get_by_role("button", name="Log in").count() == 0, "the link works once"
    page.close()
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of the person. The test fails when the console says anything."""
    made = context.new_page()
    complaints = Complaints()
    complaints.watch(made)
    yield made
    made.close()
    assert complaints == []

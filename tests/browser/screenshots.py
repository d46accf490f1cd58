"""`make screenshots`: every page of the sample project, wide and narrow, light and dark, as small pictures.

Starts the application with the sample on `var/screenshots` (or $SPTAR_DATA), waits until its experiment is done, which
takes about 15 minutes the first time, works with it a little (five minutes: a review, a training with the verdicts, a
blind comparison, an experiment with several kinds of search models), and then follows every link.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import find_browser, launch
from tests.browser.crawl import kind_of, reachable
from tests.webapp.operations.machines import ROOT, Machine
from tests.webapp.operations.started import Up, free_port

SIZES = {1280: 800, 390: 844}  # width and height of the screen
_TALLEST = 1500  # pixels of a page that a picture shows
_COLOURS = 48
_PATIENCE = 3600.0  # seconds for the sample's experiment
_QUESTION = "how do I read a file line by line"


def take_all(site: Up, browser: Browser, out: Path) -> list[str]:
    """Picture every page; return the names, without size and theme."""
    out.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(base_url=site.address, reduced_motion="reduce")
    page = context.new_page()
    link = re.search(r"http://\S+/login/link/\S+", site.said)
    if link is None:
        raise SystemExit(f"No log-in link: {site.said}")
    page.goto("/login/")
    names = [take(page, "login", out)]
    page.goto(link[0])
    names.append(take(page, "login-link", out))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.address}/")
    sample = page.locator("main a[href^='/p/']").first.get_attribute("href") or "/"
    home = "/".join(sample.split("/")[:3])
    for address, status in reachable(page, site.address, *work(page, home), "/", sample):
        if status < 400 and urlsplit(page.url).path == urlsplit(address).path:
            names.append(take(page, name_of(address), out))
    context.close()
    return names


def work(page: Page, home: str) -> list[str]:
    """What a person does with the sample in some minutes; returns addresses to which no link leads."""
    review(page, home)
    retrain(page, home)
    page.goto(f"{home}/compare/2/")
    page.locator("#before-after").click()
    page.wait_for_load_state()
    page.locator("a:has-text('Show it'), table.comparison").first.wait_for(timeout=1000 * _PATIENCE)
    tried = f"{home}/playground/?q={quote(_QUESTION)}"
    other = [tried, blind(page, tried), f"{home}/review/1/sptar/cards/sample/", f"{home}/compare/runs/?a=1&b=2"]
    return [*grid(page, home), *other]


def review(page: Page, home: str) -> None:
    """Some verdicts on the random sample, unless there are some."""
    page.goto(f"{home}/review/1/sptar/cards/sample/")
    if page.locator("#next-card").count():
        page.keyboard.press("n")
    page.locator("article.review-card").wait_for()
    if page.locator("#review-strip li").count():
        return
    for key in "aaraafaraaaa":
        shown = page.locator("article.review-card").get_attribute("data-weak")
        page.keyboard.press(key)
        if key == "r":
            page.locator("details.reasons[open]").wait_for()
            page.keyboard.press("2")
        page.wait_for_function("shown => !document.querySelector(`article[data-weak='${shown}']`)", arg=shown)


def retrain(page: Page, home: str) -> None:
    """The sample's experiment with these verdicts, unless it is there; wait until it is done."""
    where = f"/api/v1/projects/{home.split('/')[2]}/experiments/2/"
    if page.request.get(where).status == 404:
        page.goto(f"{home}/experiments/1/retrain/")
        page.get_by_role("button", name="Train again").click()
        page.wait_for_load_state()
    wait_until_done(page, where)


def grid(page: Page, home: str) -> list[str]:
    """The sample's experiment with three kinds of search models, unless it is there; returns its pages.

    Its questions are those of experiment 1, so that only the trainings are new.
    """
    where = f"/api/v1/projects/{home.split('/')[2]}/experiments/3/"
    if page.request.get(where).status == 404:
        page.goto(f"{home}/experiments/new/?like=1")
        for family in ("adapter", "hybrid"):
            page.locator(f"input[name=families][value={family}]").check()
        page.locator("#before-start").click()
        page.wait_for_url("**/experiments/3/")
    wait_until_done(page, where)
    return [f"{home}/experiments/3/", f"{home}/compare/3/", f"{home}/download/?experiment=3"]


def wait_until_done(page: Page, where: str) -> None:
    """Wait for an experiment, by its address for programs."""
    end = time.monotonic() + _PATIENCE
    while (found := page.request.get(where).json())["state"] != "done":
        if found["state"] in ("failed", "cancelled") or time.monotonic() > end:
            raise SystemExit(f"Experiment {found['number']} is {found['state']}.")
        time.sleep(2)


def blind(page: Page, tried: str) -> str:
    """A blind comparison that nobody has decided yet; where both models are the same there is none."""
    page.goto(tried)
    end = time.monotonic() + _PATIENCE
    while page.locator("#column-after [data-hit]").count() == 0 and time.monotonic() < end:
        if page.get_by_role("button", name="Make it ready").count():
            page.get_by_role("button", name="Make it ready").first.click()
        page.wait_for_timeout(2000)
        page.goto(tried)
    if page.locator("summary[data-key=b]").count() == 0:
        return tried
    page.locator("summary[data-key=b]").click()
    page.locator("#blind-q").fill(page.locator("#q").input_value())
    page.locator("button[name=against]").first.click()
    page.wait_for_url("**/blind/**")
    return urlsplit(page.url).path


def name_of(address: str) -> str:
    """A file name for the kind of a page: `review-one-filter` for /p/abc/review/1/sptar/filter/."""
    parts = [part for part in kind_of(address).strip("/").split("/") if part and part != "A"]
    if parts[:1] == ["p"]:
        parts = parts[2:] or ["project"]
    return "-".join("one" if part == "N" else part for part in parts) or "home"


def take(page: Page, name: str, out: Path) -> str:
    """Four pictures of the page as it stands."""
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_load_state("networkidle")
            tall = min(_TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
            shown = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": width, "height": max(tall, height)})
            shrink(shown).save(out / f"{name}.{width}.{scheme}.png", optimize=True)
    return name


def shrink(picture: bytes) -> Image.Image:
    """The same picture with few colours: a tenth of the bytes."""
    return Image.open(io.BytesIO(picture)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)


def main() -> None:
    """Start, wait, take, stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    arguments = parser.parse_args()
    if not find_browser():
        raise SystemExit("Screenshots need a browser; on Debian: apt-get install chromium")
    data = Path(os.environ.get("SPTAR_DATA", str(ROOT / "var" / "screenshots"))).resolve()
    data.parent.mkdir(parents=True, exist_ok=True)
    site = Up(Machine(data, {"PORT": str(free_port()), "SECRET_KEY": ""}), "--sample")
    try:
        site.wait(lambda: "sample experiment is" in site.said, _PATIENCE)
        with sync_playwright() as playwright:
            browser = launch(playwright)
            names = take_all(site, browser, arguments.out)
            browser.close()
    finally:
        site.stop()
    sys.stdout.write(f"{len(names)} pages in {arguments.out}\n")


if __name__ == "__main__":
    main()

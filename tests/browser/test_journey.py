"""One person, from an empty project to a compared experiment; then every page that can be reached from there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.crawl import kind_of, reachable
from tests.webapp.operations.started import Up

pytestmark = [pytest.mark.browser, pytest.mark.processes]

TOPICS = ("heron", "ferry", "harbour", "lantern", "anchor", "tide", "gull", "crane")
_LOOKED_AT = {"include": [["html"]], "exclude": [["#api-docs"]]}  # of a page, by axe
SECRET_WORD = "zanzibarquark"
"""Stands in every document and must stand in no log (T43)."""


@pytest.fixture(scope="module")
def state() -> dict[str, str]:
    """What the journey leaves for the tests after it."""
    return {}


def test_a_person_goes_all_the_way(page: Page, site: Up, tmp_path: Path, state: dict[str, str]) -> None:
    page.goto("/")
    page.locator("a[href='/projects/new/']").first.click()
    page.get_by_label("Name").fill("Harbour rules")
    page.get_by_role("button", name="Create the project").click()
    slug = urlsplit(page.url).path.split("/")[2]
    state["project"] = f"/p/{slug}/"

    upload_documents(page, slug, tmp_path)
    wait_for_search(page, slug)
    label_three_questions(page, slug)
    import_pairs(page, slug, tmp_path)
    run_experiment(page, slug, site)


def upload_documents(page: Page, slug: str, folder: Path) -> None:
    """A table with two bad rows: the report names them, the good ones come in."""
    rows = [f"d{at},{TOPICS[at % 8].title()} {at},{text_of(at)}" for at in range(60)]
    rows[10:10] = ["d3,Again,A second document with the id of another one", "d90,,"]
    (folder / "rules.csv").write_text("\n".join(["id,title,text", *rows]) + "\n")
    page.goto(f"/p/{slug}/documents/")
    page.set_input_files("input[type=file]", folder / "rules.csv")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Check and import").click()
    expect(page.get_by_role("heading", name=re.compile("2 rows cannot be used, 60 are good"))).to_be_visible()
    shown = page.locator("main").inner_text()
    assert "12" in shown
    assert "13" in shown, "both bad lines are named"
    with page.expect_download() as download:
        page.locator("a[href*='/problems/']").first.click()
    report = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert len(report.strip().splitlines()) == 3, report
    page.get_by_role("button", name="Import the 60 good rows").click()
    expect(page.get_by_text("60 documents imported")).to_be_visible(timeout=60_000)


def text_of(number: int) -> str:
    return (
        f"Rule {number} of the harbour says what holds for a {TOPICS[number % 8]} near pier {number} in the "
        f"{'morning' if number % 2 else 'evening'}: keep {number + 3} metres away. {SECRET_WORD}"
    )


def wait_for_search(page: Page, slug: str) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        page.goto(f"/p/{slug}/documents/?q=lantern")
        if page.locator("main mark").count():
            return
        time.sleep(0.5)
    pytest.fail(page.locator("main").inner_text())


def label_three_questions(page: Page, slug: str) -> None:
    """Three questions, hits ticked by keys alone, one step taken back."""
    for number, topic in enumerate(TOPICS[:3]):
        page.goto(f"/p/{slug}/examples/label/")
        page.get_by_label("Question", exact=True).fill(f"how far away must a {topic} stay from the pier")
        page.keyboard.press("Enter")
        expect(page.locator("[data-hit]").first).to_be_visible()
        page.keyboard.press("3")
        expect(page.locator("[data-hit].graded")).to_have_count(1)
        page.keyboard.press("1")
        expect(page.locator("[data-hit].graded")).to_have_count(2)
        if number == 0:
            expect(page.locator("#strip [data-key=u]")).to_be_visible()
            page.keyboard.press("u")
            page.wait_for_load_state()
            expect(page.locator("[data-hit].graded")).to_have_count(1)
        expect(page.locator("#state")).to_contain_text("relevant")
        page.keyboard.press("n")
        page.wait_for_load_state()
        expect(page.locator("h1")).to_be_visible()


def import_pairs(page: Page, slug: str, folder: Path) -> None:
    rows = [f"what is rule {at} about the {TOPICS[at % 8]},d{at},2" for at in range(30)]
    (folder / "pairs.csv").write_text("\n".join(["query,doc_id,grade", *rows]) + "\n")
    page.goto(f"/p/{slug}/examples/import/")
    page.locator("input[type=file]").first.set_input_files(folder / "pairs.csv")
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Import 30 rows").click(timeout=60_000)
    expect(page.get_by_text("Imported: 30 new questions, 30 judgements")).to_be_visible(timeout=60_000)


def run_experiment(page: Page, slug: str, site: Up) -> None:
    """Started, watched, reloaded while it works, done."""
    control = site.machine.data / "control"
    control.mkdir(exist_ok=True)
    (control / "hold").touch()
    page.goto(f"/p/{slug}/experiments/new/")
    page.get_by_text("Fast", exact=True).click()
    page.locator("button[name=action][value=start]:visible").first.click()
    page.wait_for_url(re.compile(r"/experiments/1/$"))
    expect(page.locator("main")).to_contain_text("Running", timeout=60_000, ignore_case=True)
    page.reload()
    expect(page.locator("main")).to_contain_text("Running", ignore_case=True)
    (control / "hold").unlink()
    # Nobody reloads: the page follows by itself.
    expect(page.locator("main")).to_contain_text("nDCG@10", timeout=120_000)
    wait_until(lambda: state_of(page, slug) == "done", 120, page)


def state_of(page: Page, slug: str) -> str:
    """What the list of experiments says of the first one."""
    answer = page.request.get(f"/p/{slug}/experiments/")
    return "done" if re.search(r">\s*Done", answer.text()) else ""


def wait_until(condition: Callable[[], bool], seconds: float, page: Page) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(page.locator("main").inner_text())
        time.sleep(0.5)


def test_every_page_has_no_serious_violation_no_dead_link_and_fits_a_phone(
    page: Page, site: Up, state: dict[str, str]
) -> None:
    assert state, "the journey before this test did not come far enough"
    found: list[str] = []
    pages = set()
    for address, status in reachable(page, site.address, "/", state["project"]):
        if status >= 400:
            found.append(f"{address}: status {status}")
        elif urlsplit(page.url).path == urlsplit(address).path:
            pages.add(kind_of(address))
            found += look_at(page, address)
    assert found == []
    assert len(pages) > 25, sorted(pages)


def look_at(page: Page, address: str) -> list[str]:
    """Serious violations in both themes, and whether a screen has to be moved sideways, with all that folds unfolded.

    The list of the API's addresses is Swagger UI's; the OpenAPI file says the same to those whom it shuts out.
    """
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for violation in Axe().run(page, context=_LOOKED_AT).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                found.append(f"{address} ({scheme}): {violation['id']}: {violation['help']}: {nodes}")
    page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true; })")
    for screen in (390, 768, 1024, 1280):
        page.set_viewport_size({"width": screen, "height": 900})
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > screen:
            found.append(f"{address}: {width} px wide on a screen of {screen}")
    return found


def test_no_text_of_a_document_and_no_secret_stands_where_others_can_read_it(
    page: Page, site: Up, state: dict[str, str]
) -> None:
    assert state, "the journey before this test did not come far enough"
    page.goto("/profile/tokens/")
    page.get_by_label("Name").fill("a program")
    page.get_by_role("button", name="Make the token").click()
    token = page.locator("#token-text").input_value()
    for path in ("me/", "projects/", f"projects/{state['project'].split('/')[2]}/documents/", "nothing/"):
        page.request.get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    page.reload()
    assert token not in page.content()
    secrets = {"text of a document": SECRET_WORD, "token": token, "key": site.machine.environment["SECRET_KEY"]}
    secrets |= {"key of the hub": site.machine.variables["HF_TOKEN"]}
    found = [(what, path) for path in _readable(site) for what, one in secrets.items() if one.encode() in _bytes(path)]
    assert found == []
    database = b"".join(_bytes(path) for path in site.machine.data.glob("sptar.sqlite3*"))
    assert token.encode() not in database


def _readable(site: Up) -> list[Path]:
    """Logs, and what every process of the application shows of itself."""
    logs = [*(site.machine.data / "logs").glob("*"), site.log]
    assert len(logs) > 5
    return [*logs, *(Path(f"/proc/{pid}/{name}") for pid in site.others() for name in ("cmdline", "environ"))]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process has ended
        return b""

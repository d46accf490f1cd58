"""The whole circle on the sample: review, retrain, compare, judge, try, download, and load what was downloaded.

The models are tiny and random (tests.browser.small_models), all else is what `make demo` runs: processes, queue,
workers, Lucene, training, search service.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import clean_place, small_models
from tests.browser.conftest import Complaints
from tests.browser.test_journey import look_at
from tests.webapp.operations.machines import Machine
from tests.webapp.operations.started import Up, free_port

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PATIENCE = 900  # seconds for an experiment
QUESTION = "how do i read a file line by line"
NEAR = 1e-5  # of a score: what batches of other sizes may change by rounding


@pytest.fixture(scope="module")
def site(browser: Browser) -> Iterator[Up]:
    """The application with the sample, its experiment done."""
    del browser
    with tempfile.TemporaryDirectory(prefix="web-") as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        small_models.write(data / small_models.FOLDER)
        variables = {"PORT": str(free_port()), "DJANGO_SETTINGS_MODULE": "tests.browser.small_settings"}
        started = Up(Machine(data, variables), "--sample")
        started.wait(lambda: "The sample experiment is" in started.said, PATIENCE)
        assert "The sample experiment is done" in started.said, started.said
        yield started
        started.stop()


@pytest.fixture(scope="module")
def home(context: BrowserContext) -> str:
    """The address of the sample project."""
    page = context.new_page()
    page.goto("/")
    found = page.locator("main a[href^='/p/']").first.get_attribute("href")
    page.close()
    assert found
    return "/".join(found.split("/")[:3])


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    """What a test leaves for those after it."""
    return {}


def test_twenty_questions_are_reviewed_by_keys_alone(page: Page, site: Up, home: str) -> None:
    page.goto(f"{home}/review/")
    page.get_by_role("link", name="Review 50 at random").click()
    page.wait_for_url("**/cards/sample/")
    page.keyboard.press("n")
    expect(page.locator("#the-question")).to_be_focused()
    answers = ["a", "a", "r1", "a", "r2", "a", "f", "r3", "a", "e", "r4", "a", "r5", "a", "rr", "a", "a", "r2", "a"]
    for answer in answers:
        give(page, answer)
    expect(page.locator(".tally")).to_have_text("19 of 50 random questions are reviewed")
    before = on_the_card(page)
    give(page, "r1")
    expect(page.locator(".tally")).to_contain_text("20 of 50")
    expect(page.locator("#review-strip li").first).to_contain_text("Rejected")
    page.keyboard.press("u")
    expect(page.locator(".tally")).to_contain_text("19 of 50")
    assert on_the_card(page) == before, "what was taken back lies before one again"
    give(page, "a")
    expect(page.locator(".tally")).to_contain_text("20 of 50")
    rows = read(site, "SELECT verdict, reason, text FROM webapp_review")
    verdicts = [verdict for verdict, _, _ in rows]
    assert sorted(verdicts) == ["accept"] * 11 + ["edit"] + ["reject"] * 7 + ["unsure"]
    reasons = sorted(reason for verdict, reason, _ in rows if verdict == "reject")
    assert reasons == ["", "copied", "garbled", "unanswered", "unnatural", "vague", "vague"]
    assert [text for verdict, _, text in rows if verdict == "edit"] == ["how do i say it better"]
    page.goto(f"{home}/review/")
    page.wait_for_url(re.compile(r"/review/1/sptar/$"))
    expect(page.locator("#sample-sentence")).to_contain_text("20 of 50 are reviewed")


def on_the_card(page: Page) -> str:
    """The number of the question that lies on the desk."""
    return page.locator("article.review-card").get_attribute("data-weak") or ""


def give(page: Page, keys: str) -> None:
    """Press the keys of a verdict and wait for the next card, whose question has the focus."""
    before = on_the_card(page)
    page.keyboard.press(keys[0])
    if keys[0] == "e":
        expect(page.locator("#better")).to_be_focused()
        page.locator("#better").fill("how do i say it better")
        page.keyboard.press("Enter")
    elif keys[1:]:
        page.locator("details.reasons[open]").wait_for()
        page.keyboard.press(keys[1])
    page.wait_for_function("before => !document.querySelector(`article[data-weak='${before}']`)", arg=before)
    expect(page.locator("#the-question")).to_be_focused()


def test_a_filter_gets_one_verdict_and_one_undo(page: Page, site: Up, home: str) -> None:
    count = reject_all(page, home, "string")
    assert count > 0
    by_bulk = "SELECT COUNT(*) FROM webapp_review WHERE bulk_id IS NOT NULL"
    assert read(site, by_bulk) == [(count,)]
    page.keyboard.press("u")
    expect(page.locator("#bulk-status")).to_contain_text("Taken back", timeout=60_000)
    assert read(site, by_bulk) == [(0,)]
    assert read(site, "SELECT COUNT(*) FROM webapp_review") == [(20,)], "what people said one by one stays"


def test_two_people_at_once_are_never_shown_the_same_card(page: Page, browser: Browser, site: Up, home: str) -> None:
    page.goto(f"{home}/settings/")
    form = page.locator(f"form[action='{home}/invitations/']")
    form.locator("select").select_option("reviewer")
    form.get_by_role("button").click()
    link = page.locator("#invitation-link").input_value()
    other = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=site.address)
    other.set_default_timeout(30_000)
    second, complaints = other.new_page(), Complaints()
    complaints.watch(second)
    second.goto(link)
    second.get_by_label("E-mail").fill("second@example.org")
    second.get_by_label("Name").fill("Sina Second")
    second.locator("input[type=password]").first.fill("correct horse battery")
    second.get_by_role("button", name="Make my account and join").click()
    desk = f"{home}/review/1/sptar/cards/queue/"
    shown: dict[Page, list[str]] = {page: [], second: []}
    for person in shown:
        person.goto(desk)
        person.keyboard.press("n")
    for person in shown:
        person.locator("article.review-card").wait_for()
    for turn in range(8):
        before = {person: on_the_card(person) for person in shown}
        for person in shown:  # both keys go out before either answer is waited for
            shown[person].append(before[person])
            person.keyboard.press("a" if turn % 2 else "f")
        for person in shown:
            person.wait_for_function(
                "before => !document.querySelector(`article[data-weak='${before}']`)", arg=before[person]
            )
    mine, theirs = shown[page], shown[second]
    assert len({*mine, *theirs}) == 16, (mine, theirs)
    given = read(site, "SELECT reviewer_id, weak_id FROM webapp_review WHERE source = 'queue'")
    assert len(given) == 16
    assert {*mine, *theirs} == {str(weak) for _, weak in given}, "a verdict was lost"
    assert sorted(sum(who == one for who, _ in given) for one in {who for who, _ in given}) == [8, 8]
    assert complaints == []
    other.close()


def test_verdicts_train_a_new_model_and_only_what_they_change_is_done_anew(page: Page, site: Up, home: str) -> None:
    reject_all(page, home, "file")
    page.goto(f"{home}/review/1/sptar/effect/")
    expect(page.locator("#effect")).to_contain_text("of the training set")
    page.get_by_role("link", name="Train again with these verdicts").click()
    expect(page.locator("main")).to_contain_text("Comes back at once")
    page.get_by_role("button", name="Train again").click()
    page.wait_for_url(re.compile(r"/experiments/2/$"))
    wait_for(page, lambda: experiment_state(site, 2) in ("done", "failed"), PATIENCE)
    assert experiment_state(site, 2) == "done", page.locator("main").inner_text()
    steps = "SELECT step_id FROM webapp_stagerun JOIN webapp_experiment AS made ON made.id = experiment_id"
    anew = read(site, f"{steps} WHERE number = 2 AND NOT reused")
    assert {step.split(".")[0] for (step,) in anew} == {"teach", "train", "evaluate", "package"}
    page.reload()
    expect(page.locator("main")).to_contain_text("nDCG@10")


def reject_all(page: Page, home: str, text: str) -> int:
    """Reject all kept questions with this in their text and no verdict; returns how many there are."""
    page.goto(f"{home}/review/1/sptar/list/?kept=yes")
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(f"text={text}"))
    page.locator("#action").select_option("reject-vague")
    page.locator("#preview").click()
    count = int(re.findall(r"(\d+) question", page.locator("h1").inner_text())[0])
    page.locator("#do-bulk").click()
    expect(page.locator("#bulk-status")).to_contain_text(f"Done: {count} question", timeout=60_000)
    return count


def experiment_state(site: Up, number: int) -> str:
    return str(read(site, f"SELECT state FROM webapp_experiment WHERE number = {number}")[0][0])  # noqa: S608 - a number


def wait_for(page: Page, condition: Callable[[], bool], seconds: float) -> None:
    """Look again and again, with the page alive meanwhile."""
    for _ in range(int(seconds)):
        if condition():
            return
        page.wait_for_timeout(1000)
    pytest.fail(page.locator("main").inner_text())


def read(site: Up, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the application's database, as they are now."""
    connection = sqlite3.connect(site.machine.data / "sptar.sqlite3", timeout=30)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_before_and_after_review_are_compared_with_one_click(page: Page, home: str) -> None:
    page.goto(f"{home}/compare/2/")
    page.get_by_role("button", name="Before and after review").click()
    page.wait_for_url(re.compile(r"/compare/runs/\?a=1&b=2"))
    if page.locator("#testing a").count() == 0 and page.locator("table.comparison").count() == 0:
        page.locator("#testing a", has_text="Show it").wait_for(timeout=60_000)
    page.goto(f"{home}/compare/runs/?a=1&b=2")
    expect(page.locator("h1")).to_have_text("Before and after review")
    table = page.locator("table.comparison")
    expect(table).to_contain_text("the same results: nothing of it changed")
    assert page.locator("section", has=page.locator("#differences-title")).locator("tbody tr").count() >= 1


def test_two_results_that_nobody_judged_are_judged_and_the_stored_runs_measured_anew(page: Page, home: str) -> None:
    page.goto(f"{home}/compare/2/")
    page.locator("#questions details summary").click()
    page.locator("#questions table a").first.click()
    page.wait_for_url(re.compile(r"/question/"))
    for _ in range(2):
        card = page.locator("[data-hit]:not(.graded)").first
        number = card.get_attribute("id")
        card.locator("button.v1").click()
        expect(page.locator(f"#{number}")).to_have_class(re.compile("graded"))
    page.goto(f"{home}/compare/2/")
    page.locator("#score").click()
    expect(page.locator("#scoring")).to_contain_text("Judgements 1", timeout=60_000)
    page.goto(f"{home}/compare/2/")
    versions = page.locator("section", has=page.locator("#judgements-title")).locator("tbody tr")
    expect(versions.first).to_contain_text("(+2)")


def test_the_playground_shows_three_searches(page: Page, home: str, state: dict[str, Any]) -> None:
    page.goto(f"{home}/playground/?run=2&arm=sptar")
    wait_for(page, lambda: _all_ready(page), 300)
    page.locator("#q").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#column-after [data-hit]").first.wait_for()
    wait_for(page, lambda: _all_answer(page), 60)
    hits = page.locator("#column-after [data-hit]")
    state["ranking"] = [int(hits.nth(at).get_attribute("data-doc") or 0) for at in range(hits.count())]
    assert "q=how" in page.url, "the address can be passed on"


def _all_answer(page: Page) -> bool:
    """A model that has to be loaded first may answer late; its column then offers to look again."""
    columns = [page.locator(f"#column-{name}") for name in ("bm25", "before", "after")]
    if again := next((one for one in columns if one.locator("[data-hit]").count() < 5), None):
        again.get_by_role("link", name="Look again").click()
        page.wait_for_load_state()
        return False
    return True


def _all_ready(page: Page) -> bool:
    for button in page.get_by_role("button", name="Make it ready").all():
        button.click()
        page.wait_for_load_state()
    # A model that training did not help says so and searches as the untrained one does.
    return page.locator("section.column", has_text="Ready.").count() == 3


def test_the_downloaded_model_gives_that_ranking_where_nothing_of_ours_is(
    page: Page, site: Up, home: str, state: dict[str, Any], tmp_path: Path
) -> None:
    assert state.get("ranking"), "the search before this test did not come far enough"
    page.goto(f"{home}/download/?experiment=2")
    expect(page.locator("main")).to_contain_text("Loaded in a clean process")
    with page.expect_download() as download:
        page.locator("#download-model").click()
    line, sha = page.locator("#load").inner_text(), page.locator("#sha").inner_text()
    place, home_folder = tmp_path / "library", tmp_path / "home"
    place.mkdir()
    home_folder.mkdir()
    archive = Path(download.value.path())
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == sha
    with zipfile.ZipFile(archive) as content:
        content.extractall(home_folder)
    names = clean_place.lay_out(place, "sentence-transformers")
    assert not {"django", "peft", "pyserini"} & set(names)
    (home_folder / "documents.json").write_text(json.dumps(documents(site)), encoding="utf-8")
    program = PROGRAM.format(line=line, question=QUESTION)
    found = clean_place.run(place, home_folder, program)
    assert found["ours"] == []
    scores = {int(pk): score for pk, score in found["scores"].items()}
    shown = state["ranking"]
    for first, second in pairwise(shown):
        assert scores[first] > scores[second] - NEAR
    beyond = max(score for pk, score in scores.items() if pk not in shown)
    assert beyond < scores[shown[-1]] + NEAR


PROGRAM = """
import importlib.util, json
{line}
documents = json.load(open("documents.json"))
question, vectors = model.encode_query([{question!r}]), model.encode_document(list(documents.values()))
scores = model.similarity(question, vectors)[0].tolist()
ours = [name for name in ("sptar_engine", "webapp", "tests", "django", "peft") if importlib.util.find_spec(name)]
print(json.dumps({{"scores": dict(zip(documents, scores)), "ours": ours}}))
"""


def documents(site: Up) -> dict[str, str]:
    """All documents of the sample as the page Download says they are given to the model."""
    rows = read(site, "SELECT id, title, text FROM webapp_document")
    return {str(pk): f"{title} {text}" if title else text for pk, title, text in rows}


NEW = (
    "review/1/sptar/", "review/1/sptar/cards/sample/", "review/1/sptar/cards/queue/", "review/1/sptar/cards/second/",
    "review/1/sptar/list/?scores=1", "review/1/sptar/agreement/", "review/1/sptar/disagreements/",
    "review/1/sptar/filter/", "review/1/sptar/effect/", "review/1/sptar/promote/", "experiments/2/",
    "experiments/1/retrain/", "experiments/1/learning-curve/", "learning-curves/", "compare/", "compare/2/",
    "compare/runs/?a=1&b=2", "playground/?q=how+do+i+sort+a+list", "download/", "download/2/card/",
)  # fmt: skip
OF_NOBODY = ("/profile/sessions/", "/profile/tokens/", "/api/v1/docs/")


def test_the_new_pages_have_no_serious_violation_and_fit_a_phone(page: Page, home: str, state: dict[str, Any]) -> None:
    assert state.get("ranking"), "the tests before this one did not come far enough"
    found: list[str] = []
    for address in [*(f"{home}/{part}" for part in NEW), *OF_NOBODY]:
        answer = page.goto(address)
        assert answer is not None
        if answer.status >= 400:
            found.append(f"{address}: status {answer.status}")
            continue
        page.wait_for_load_state("networkidle")
        found += look_at(page, address)
    assert found == []

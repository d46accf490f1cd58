"""Evil text in every column, shown by every page (T37), in every table to download (T40), and evil addresses (T39)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from tests.webapp.compare.conftest import another, measured_one  # noqa: F401  fixtures
from tests.webapp.download.results import pack, write
from tests.webapp.experiments.conftest import make_experiment, ready  # noqa: F401  fixtures
from tests.webapp.markup import EVIL, FORMULA, MARK, Reader, poison
from tests.webapp.playground.conftest import FakeSearch, search  # noqa: F401  fixtures
from tests.webapp.test_access import READABLE, address
from webapp.models import (
    ApiToken,
    Archive,
    BulkReview,
    CurvePoint,
    Document,
    Errand,
    Experiment,
    Invitation,
    OpenSession,
    Preference,
    Project,
    Query,
    Review,
    ReviewStep,
    Role,
    State,
    Upload,
    User,
    WeakQuery,
)
from webapp.places import store_folder
from webapp.services import events

BATCH = "generate-x"
QUERIES = {
    "playground": "?q={evil}&run=1&arm=sptar", "playground_results": "?q={evil}&run=1&arm=sptar",
    "playground_column": "?q={evil}&run=1&arm=sptar", "compare_question": "?id=q14&arm=sptar&against=bm25",
    "compare_runs": "?a=1&b=2", "compare_progress": "?a=1&b=2", "review_list": "?text={evil}&scores=1",
    "review_bulk": "?action=reject&text=z", "documents": "?q={evil}", "examples": "?q={evil}",
    "model_card": "?boxes=name&boxes=note&boxes=examples", "compare_export": "", "review_cards": "?scores=1",
}  # fmt: skip
"""What the addresses of some pages ask for."""

MUST_SHOW = {
    "review_batch", "review_cards", "review_list", "review_question", "review_like", "review_bulk",
    "review_disagreements", "filter", "retrain", "promote_all", "learning_curves", "compare", "experiment_compare",
    "compare_question", "compare_runs", "compare_export", "playground", "playground_pair", "download", "model_card",
    "sessions", "tokens", "api_questions", "api_question", "api_experiments",
}  # fmt: skip
"""Pages on which the evil text must stand, so that the test is not empty."""


@pytest.fixture
def world(
    another: Experiment,  # noqa: F811  a fixture
    measured_one: Experiment,  # noqa: F811
    owner: User,
    stranger: User,
) -> Any:
    """A project with two measured experiments and a row of everything; the ids as tests.webapp.rows has them."""
    project = measured_one.project
    write_stages(measured_one)
    weak = write_questions(project, owner, stranger)
    bulk = BulkReview.objects.create(project=project, batch=BATCH, verdict="accept", actor=owner, last=weak.pk)
    step = ReviewStep.objects.create(project=project, actor=owner, weak=weak, verdict="accept")
    archive = Archive.objects.create(project=project, experiment=measured_one, kind="runs", fingerprint="f")
    preference = Preference.objects.create(
        project=project, experiment=measured_one, arm="sptar", before="base", text="x", after_left=True, person=owner
    )
    upload = Upload.objects.create(project=project, kind="jsonl", name="a", uploaded_by=owner)
    pairs = Upload.objects.create(project=project, kind="pairs", name="p", uploaded_by=owner)
    curve = Experiment.objects.filter(pk=another.pk)
    curve.update(series="curve12345", change="seeds", arms=["sptar"])
    errand = Errand.objects.create(project=project, kind="upload.check", subject=upload.pk, state=State.FAILED)
    invitation = Invitation.objects.create(
        project=project, role=Role.VIEWER, token_hash="h", invited_by=owner, expires="2099-01-01T00:00Z"
    )
    events.record("upload.imported", project=project, actor=owner)
    token = ApiToken.objects.create(user=owner, name="t", prefix="sptar_abcdef", token_hash="h", project=project)
    browser = OpenSession.objects.create(user=owner, session_key="x" * 32)
    return SimpleNamespace(
        project=project, slug=project.slug, user=owner.pk, upload=upload.pk, pairs=pairs.pk, version=1, experiment=1,
        document=Document.objects.filter(corpus=project.corpus).latest("pk").pk, errand=errand.pk, weak=weak.pk,
        example=Query.objects.filter(project=project).latest("pk").pk, step=0, review_step=step.pk, bulk=bulk.pk,
        stage=measured_one.stages.latest("pk").pk, archive=archive.slug, token=token.pk, browser=browser.pk,
        preference=preference.pk, invitation=invitation.pk, series="curve12345",
    )  # fmt: skip


def write_stages(experiment: Experiment) -> None:
    """Generated, filtered and trained, with what a playground looks for."""
    stages = experiment.stages
    stages.filter(step_id="generate.sptar").update(folder=BATCH)
    stages.filter(stage="filter").update(folder="filter-x", metrics={"kept": 2, "total": 3})
    train = stages.filter(stage="train").latest("pk")
    stages.filter(pk=train.pk).update(folder="train-x")
    model = store_folder(experiment.project) / "stages" / "train-x" / "model"
    model.mkdir(parents=True)
    (model / "modules.json").write_text("[]")
    stages.filter(stage="package").update(folder="package-x")
    write(store_folder(experiment.project) / "stages" / "package-x", {"result.json": b"{}"})
    pack(store_folder(experiment.project) / "stages" / "package-x")
    CurvePoint.objects.create(stage_run=train, step=1, values={"loss": 1.0})


def write_questions(project: Project, owner: User, other: User) -> WeakQuery:
    """Three questions: accepted by all, contested, and about a document that is gone."""
    kept = {"project": project, "batch": BATCH, "text": "x", "rank": 3, "edited": "x", "reviewer": owner}
    first = WeakQuery.objects.create(**kept, weak_id="w1", doc_id="d1", verdict="edit")
    second = WeakQuery.objects.create(**kept, weak_id="w2", doc_id="d2", verdict="accept", disputed=True)
    WeakQuery.objects.create(project=project, batch=BATCH, weak_id="w3", doc_id=EVIL, text="x", dropped="rank")
    for weak, person, verdict in ((first, owner, "edit"), (second, owner, "accept"), (second, other, "reject")):
        Review.objects.create(weak=weak, reviewer=person, verdict=verdict, text="x")
    return first


def text_of(answer: HttpResponse) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return body.decode(errors="replace")


def pages(client: Client, world: Any, evil: str) -> Iterator[tuple[str, HttpResponse, str]]:
    """Every address that can be read, with its answer."""
    for name in READABLE:
        query = QUERIES.get(name, "").replace("{evil}", re.sub(r"[#&+% ]", "", evil)[:150])
        answer = client.get(address(name, world) + query)
        assert answer.status_code < 500, (name, answer.status_code)
        yield name, answer, text_of(answer)


def test_evil_text_in_every_column_is_text_on_every_page(
    world: Any,
    client: Client,
    search: FakeSearch,  # noqa: F811  a fixture
) -> None:
    assert poison(EVIL) >= 35
    User.objects.update(is_staff=True)
    alive, shown = {}, set()
    for name, answer, page in pages(client, world, EVIL):
        kind = answer.headers.get("Content-Type", "")
        if MARK in page:
            shown.add(name)
        if "html" in kind or "svg" in kind:
            if found := Reader(page).alive:
                alive[name] = found[:3]
        elif MARK in page:
            assert "nosniff" in answer["X-Content-Type-Options"], name
            assert kind.startswith(("application/", "text/csv", "text/plain", "text/tab-separated")), (name, kind)
    assert alive == {}
    assert MUST_SHOW - shown == set()


def test_the_reader_of_pages_sees_what_is_alive() -> None:
    assert Reader(f"<p title='x'>{EVIL}</p>").alive
    assert Reader('<a hx-on:click="x">').alive
    assert Reader('<p class="zqevil1">').alive
    assert Reader("<b>49zqevil6</b>").alive
    assert not Reader(
        '<input value="zqevil1 &quot;&gt;&lt;script&gt;"><a href="/x/?q=zqevil1">zqevil1</a><script src="/a.js">'
    ).alive


@pytest.mark.parametrize("kind", ["report", "means-chart", "questions-chart"])
def test_files_of_a_comparison_hold_evil_text_as_text(world: Any, client: Client, kind: str) -> None:
    poison(EVIL)
    answer = client.get(reverse("compare_export", args=[world.slug, 1, kind]))
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    page = text_of(answer)
    styles = re.compile(r"<style>.*?</style>", re.S)
    assert Reader(styles.sub("", page)).alive == []


def tables(client: Client, world: Any) -> Iterator[tuple[str, list[list[str]]]]:
    """Every CSV and TSV file that can be downloaded, as a spreadsheet would read it."""
    addresses = [reverse("compare_export", args=[world.slug, 1, kind]) for kind in ("figures", "questions", "qrels")]
    addresses += [reverse("project_events_csv", args=[world.slug])]
    addresses += [reverse("examples_export", args=[world.slug, kind]) for kind in ("csv", "tsv")]
    for one in addresses:
        answer = client.get(one)
        if answer.status_code == 200:
            page = text_of(answer).lstrip("\ufeff")
            delimiter = "\t" if "\t" in page.splitlines()[0] else ","
            yield one, list(csv.reader(io.StringIO(page), delimiter=delimiter))


def test_no_cell_of_a_downloaded_table_is_a_formula(world: Any, client: Client) -> None:
    poison(FORMULA)
    formulas, seen = [], 0
    for place, rows in tables(client, world):
        for cell in (cell for row in rows for cell in row):
            seen += FORMULA in cell
            if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(r"[-+]?[\d.]+", cell):
                formulas.append((place, cell))
    assert formulas == []
    assert seen > 10


PARAMETERS = (
    "a", "b", "after", "against", "arm", "before", "boxes", "disputed", "experiment", "how", "id", "judgements", "k",
    "kept", "like", "model", "number", "q", "queue", "rank", "reason", "run", "scores", "text", "verdict", "who",
    "action", "column", "format", "kind", "limit", "cursor", "series", "seeds", "sizes",
)  # fmt: skip
VALUES = ("", "-1", "0", str(10**30), "1e9", "nan", "%00", "%F0%9F%92%A9", "../../x", "'--", "1,2", "٣", "x" * 5000)
_NEW = "review|filter|promote|retrain|learning|compare|experiment_compare|playground|download|model_card|archive|api_"
NEW = [name for name in READABLE if re.match(_NEW, name)]


@pytest.mark.parametrize("value", VALUES)
def test_nonsense_in_the_addresses_of_the_pages_gets_a_default_or_a_refusal(
    world: Any,
    client: Client,
    search: FakeSearch,  # noqa: F811  a fixture
    value: str,
) -> None:
    for name in NEW:
        query = "&".join(f"{parameter}={value}" for parameter in PARAMETERS)
        answer = client.get(f"{address(name, world)}?{query}")
        text_of(answer)
        assert answer.status_code in {200, 302, 400, 404, 410, 422, 503}, (name, answer.status_code)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_each_nonsense_alone_too(
    world: Any,
    client: Client,
    search: FakeSearch,  # noqa: F811  a fixture
    parameter: str,
) -> None:
    for name in ("review_list", "filter", "compare_runs", "compare_question", "experiment_compare", "playground"):
        for value in VALUES:
            answer = client.get(f"{address(name, world)}?{parameter}={value}")
            assert answer.status_code in {200, 302, 400, 404}, (name, value, answer.status_code)


def test_a_question_with_markup_goes_through_review_as_it_is(
    world: Any, client: Client, member: Callable[[str], User]
) -> None:
    """What a person types instead of a generated question comes back as typed, and shown as text."""
    where = reverse("review_give", args=[world.slug, 1, "sptar", world.weak])
    client.post(where, {"verdict": "edit", "text": EVIL, "queue": "list"})
    assert WeakQuery.objects.get(pk=world.weak).edited == EVIL
    page = client.get(reverse("review_question", args=[world.slug, 1, "sptar", world.weak])).content.decode()
    assert MARK in page
    assert Reader(page).alive == []

"""The page "Download", the parts that follow an archive, and the files as they are sent (T41)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.webapp.download.conftest import Make, do_errand
from tests.webapp.download.results import finished_experiment
from webapp.models import Archive, Errand, Event, Experiment, Project, State, User
from webapp.selectors import archives as found
from webapp.services import archives

HTMX = {"HX-Request": "true"}


@pytest.fixture
def base(project: Project) -> str:
    return f"/p/{project.slug}/download/"


def test_an_empty_project_is_told_what_will_be_here(client: Client, base: str) -> None:
    page = client.get(base).content.decode()
    assert "Nothing to download yet" in page
    assert page.count("btn-primary") == 1


def test_the_page_offers_the_checked_model_with_how_to_use_it(
    client: Client, base: str, experiment: Experiment
) -> None:
    page = client.get(base).content.decode()
    assert "Loaded in a clean process" in page
    assert "python -m pip install &quot;sentence-transformers==6.2.0&quot;" in page
    assert "model = SentenceTransformer(&quot;retriever&quot;)  # sentence-transformers==6.2.0" in page
    assert re.search(r'id="sha"[^>]*>[0-9a-f]{64}<', page)
    assert page.count("btn-primary") == 1
    for title in (
        "Soft prompt",
        "Generated questions",
        "Result lists",
        "Report",
        "Document vectors",
        "Everything in one",
    ):
        assert title in page


def test_a_point_of_a_learning_curve_is_offered_only_when_asked_for(project: Project, owner: User) -> None:
    finished_experiment(project, owner, number=1)
    finished_experiment(project, owner, number=2, packed=False)
    finished_experiment(project, owner, number=3)
    Experiment.objects.filter(number=3).update(series="abc")
    shelf = found.shelf_of(project)
    assert shelf.experiment is not None and shelf.experiment.number == 1
    assert [one.number for one in shelf.choices] == [2, 1, 3]
    asked = found.shelf_of(project, 3).experiment
    assert asked is not None and asked.number == 3


def test_a_model_that_did_not_pass_gets_no_badge(client: Client, base: str, experiment: Experiment) -> None:
    folder = found.sources_of(experiment).packed.archive.parent  # type: ignore[union-attr]
    listing = (folder / "package.json").read_text().replace('"passed": true', '"passed": false')
    (folder / "package.json").write_text(listing)
    assert "Loaded in a clean process" not in client.get(base).content.decode()


@pytest.mark.parametrize("harm", ["cut", "flipped", "foreign"])
def test_a_damaged_model_is_told_and_the_other_downloads_stay(
    client: Client, base: str, experiment: Experiment, harm: str
) -> None:
    packed = found.sources_of(experiment).packed
    assert packed is not None
    whole = packed.archive.read_bytes()
    if harm == "foreign":
        with zipfile.ZipFile(packed.archive, "w") as opened:
            opened.writestr("else.txt", "no card here")
    elif harm == "cut":
        packed.archive.write_bytes(whole[: len(whole) // 2])
    else:
        with zipfile.ZipFile(packed.archive) as opened:
            card = opened.getinfo(f"{packed.name}/README.md")
        at = card.header_offset + 30 + len(card.filename) + 20
        packed.archive.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    page = client.get(base).content.decode()
    assert "is damaged or gone from the disk" in page
    assert "Generated questions" in page
    assert client.get(f"{base}{experiment.number}/card/").status_code == 404
    with pytest.raises(archives.NotThereError, match="damaged"):
        archives.ask(experiment=experiment, kind="retriever", actor=None)


def test_an_experiment_without_a_model_says_what_is_missing(
    client: Client, base: str, project: Project, owner: User
) -> None:
    finished_experiment(project, owner, packed=False)
    page = client.get(base).content.decode()
    assert "This experiment has packed no search model yet." in page
    assert "This experiment has taught no question writer yet." in page


def test_the_newest_experiment_with_a_model_is_shown_and_others_can_be_chosen(
    client: Client, base: str, project: Project, owner: User, experiment: Experiment
) -> None:
    finished_experiment(project, owner, number=2, packed=False)
    assert '<option value="1" selected>' in client.get(base).content.decode()
    assert '<option value="2" selected>' in client.get(f"{base}?experiment=2").content.decode()
    assert client.get(f"{base}?experiment=3").status_code == 404
    assert client.get(f"{base}?experiment=x").status_code == 200


def test_a_page_needs_few_queries_however_many_archives(
    client: Client, base: str, experiment: Experiment, make: Make
) -> None:
    make("runs")
    with CaptureQueriesContext(connection) as few:
        client.get(base)
    for kind in ("report", "soft_prompt", "questions"):
        make(kind)
    with CaptureQueriesContext(connection) as many:
        client.get(base)
    assert len(many) == len(few) <= 14


def test_making_one_leads_back_to_where_it_can_be_followed(client: Client, base: str, experiment: Experiment) -> None:
    answer = client.post(f"{base}1/make/", {"kind": "questions", "chosen": "jsonl"})
    archive = Archive.objects.get()
    assert answer["Location"] == f"{base}?experiment=1#archive-{archive.slug}"
    assert archive.options == {"format": "jsonl"}
    page = client.get(base).content.decode()
    assert 'hx-trigger="every 2s"' in page and "You can close this page" in page
    do_errand(archive)
    part = client.get(f"{base}archives/{archive.slug}/", headers=HTMX).content.decode()
    assert "every 2s" not in part and "SHA-256" in part and part.strip().startswith(f'<li id="archive-{archive.slug}"')
    assert client.get(f"{base}archives/{archive.slug}/")["Location"] == answer["Location"]
    client.post(f"{base}1/make/", {"kind": "questions", "chosen": "jsonl"})
    assert Archive.objects.count() == 1
    assert "Nothing has changed since" in client.get(base).content.decode()


@pytest.mark.parametrize(
    "given",
    [{}, {"kind": "weights"}, {"kind": "runs", "box": "name"}, {"kind": "questions", "chosen": "exe"},
     {"kind": "runs", "box": "\0"}, {"kind": "everything"}, {"kind": "questions", "chosen": "x" * 500}],
)  # fmt: skip
def test_nonsense_starts_nothing_and_says_so(
    client: Client, base: str, experiment: Experiment, given: dict[str, str]
) -> None:
    page = client.post(f"{base}1/make/", given, follow=True).content.decode()
    assert "Nothing was started." in page
    assert not Archive.objects.exists()


def test_a_viewer_downloads_and_starts_nothing(
    base: str, make: Make, member: Callable[[str], User], login: Callable[[User], Client]
) -> None:
    archive = make("runs")
    viewer = login(member("viewer"))
    page = viewer.get(base).content.decode()
    assert "Make it" not in page and "Remove" not in page and f"archives/{archive.slug}/file/" in page
    assert viewer.get(f"{base}archives/{archive.slug}/file/").status_code == 200
    assert viewer.post(f"{base}1/make/", {"kind": "runs"}).status_code == 403


def test_stopping_trying_again_and_removing(client: Client, base: str, experiment: Experiment) -> None:
    client.post(f"{base}1/make/", {"kind": "runs"})
    place = f"{base}archives/{Archive.objects.get().slug}/"
    assert client.get(f"{place}file/").status_code == 404
    client.post(f"{place}stop/")
    assert "Try again" in client.get(place, headers=HTMX).content.decode()
    client.post(f"{place}again/")
    assert Errand.objects.latest("pk").state == State.QUEUED
    Errand.objects.filter(state=State.QUEUED).update(state=State.FAILED, error="The server's disk is full.")
    assert "The server&#x27;s disk is full." in client.get(place, headers=HTMX).content.decode()
    client.post(f"{place}remove/")
    assert not Archive.objects.exists()
    assert list(Event.objects.filter(verb__startswith="archive").values_list("verb", flat=True)) == [
        "archive.asked", "archive.asked", "archive.removed",
    ]  # fmt: skip


def test_removing_takes_the_file_along(
    client: Client, base: str, make: Make, django_capture_on_commit_callbacks: Callable[..., object]
) -> None:
    archive = make("runs")
    path = found.file_of(archive)
    assert path is not None
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        client.post(f"{base}archives/{archive.slug}/remove/")
    assert not path.parent.exists()


def test_the_card_is_previewed_with_the_boxes_that_are_ticked(
    client: Client, base: str, experiment: Experiment
) -> None:
    page = client.get(f"{base}1/card/").content.decode()
    assert "## Measured" in page and "Example queries\n" not in page
    assert page.count("btn-primary") == 1
    part = client.get(f"{base}1/card/?chosen=1&box=examples&box=nonsense", headers=HTMX).content.decode()
    assert part.strip().startswith('<div id="card"')
    assert "## Example queries" in part and "## Measured" not in part
    assert '<input type="hidden" name="box" value="examples">' in part and "nonsense" not in part
    assert "what may a \\*reader\\* borrow?" in part


def test_what_people_wrote_is_text_on_the_preview(client: Client, base: str, experiment: Experiment) -> None:
    Experiment.objects.update(note="<script>alert(1)</script> {{7*7}}")
    page = client.get(f"{base}1/card/?chosen=1&box=note").content.decode()
    assert "<script>alert" not in page and "{{7\\*7}}" in page


def test_no_card_before_there_is_a_model(client: Client, base: str, project: Project, owner: User) -> None:
    finished_experiment(project, owner, packed=False)
    assert client.get(f"{base}1/card/").status_code == 404


NAMES = [
    "../../etc/passwd", "a\r\nSet-Cookie: x=1", 'quo"te\'s', "Bücher für 漢字 🎉", "x" * 300, "..", "C:\\con", "a\0b",
    "=cmd()", "%0d%0aX: y", "name; filename=evil.exe",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_sent_along_safely_and_is_no_path(client: Client, base: str, make: Make, name: str) -> None:
    archive = make("runs")
    Archive.objects.filter(pk=archive.pk).update(name=f"{name[:190]}.zip")
    answer = client.get(f"{base}archives/{archive.slug}/file/")
    sent = answer["Content-Disposition"]
    assert sent.startswith("attachment; filename")
    assert not re.search(r"[\r\n\0]", sent) and ".." not in sent and "/" not in sent and "\\" not in sent
    assert len(sent) < 500 and "Set-Cookie" not in answer.headers
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    quoted = re.fullmatch(r'attachment; filename="([^"]*)"', sent)
    assert quoted or re.fullmatch(r"attachment; filename\*=utf-8''[A-Za-z0-9%._~-]+", sent), sent


@pytest.mark.parametrize("name", NAMES)
def test_a_project_of_any_name_has_downloads(
    client: Client, base: str, make: Make, project: Project, name: str
) -> None:
    Project.objects.update(name=name.replace("\0", "")[:100])
    project.refresh_from_db()
    archive = make("report")
    answer = client.get(f"{base}archives/{archive.slug}/file/")
    assert answer.status_code == 200
    assert b"<title>Winter" in b"".join(answer.streaming_content)  # type: ignore[arg-type]
    assert [path.name for path in Path(found.file_of(archive).parent).iterdir()] == ["content"]  # type: ignore[union-attr]


def bytes_of(answer: object) -> bytes:
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def test_a_file_is_sent_whole_and_in_parts(client: Client, base: str, make: Make) -> None:
    archive = make("runs")
    whole = found.file_of(archive).read_bytes()  # type: ignore[union-attr]
    place = f"{base}archives/{archive.slug}/file/"
    answer = client.get(place)
    assert (answer["Accept-Ranges"], answer["ETag"], int(answer["Content-Length"])) == (
        "bytes", f'"{archive.sha256}"', len(whole),
    )  # fmt: skip
    assert bytes_of(answer) == whole
    size = len(whole)
    for asked, part, said in [
        ("bytes=0-9", whole[:10], f"bytes 0-9/{size}"),
        ("bytes=100-", whole[100:], f"bytes 100-{size - 1}/{size}"),
        ("bytes=-7", whole[-7:], f"bytes {size - 7}-{size - 1}/{size}"),
        (f"bytes=5-{10**15}", whole[5:], f"bytes 5-{size - 1}/{size}"),
        (f"bytes=-{10**15}", whole, f"bytes 0-{size - 1}/{size}"),
    ]:
        answer = client.get(place, headers={"Range": asked, "If-Range": f'"{archive.sha256}"'})
        assert (answer.status_code, answer["Content-Range"], bytes_of(answer)) == (206, said, part), asked
        assert int(answer["Content-Length"]) == len(part)
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=" + "9" * 50 + "-", ""])
def test_a_range_that_is_none_gives_the_whole_file(client: Client, base: str, make: Make, asked: str) -> None:
    place = f"{base}archives/{make('runs').slug}/file/"
    assert client.get(place, headers={"Range": asked}).status_code == 200


def test_a_range_beyond_the_end_is_refused(client: Client, base: str, make: Make) -> None:
    archive = make("runs")
    for asked in (f"bytes={archive.bytes}-", "bytes=9-3", "bytes=-0"):
        answer = client.get(f"{base}archives/{archive.slug}/file/", headers={"Range": asked})
        assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{archive.bytes}"), asked


def test_a_part_of_another_file_is_not_mixed_in(client: Client, base: str, make: Make) -> None:
    place = f"{base}archives/{make('runs').slug}/file/"
    answer = client.get(place, headers={"Range": "bytes=0-9", "If-Range": '"of an older file"'})
    assert answer.status_code == 200


def test_another_projects_archive_is_not_found_through_ones_own(
    base: str, make: Make, stranger: User, login: Callable[[User], Client]
) -> None:
    archive = make("runs")
    own = Project.objects.create(name="Own")
    own.memberships.create(user=stranger, role="owner")
    browser = login(stranger)
    for end in ("", "file/"):
        assert browser.get(f"/p/{own.slug}/download/archives/{archive.slug}/{end}").status_code == 404
    for end in ("again/", "stop/", "remove/"):
        assert browser.post(f"/p/{own.slug}/download/archives/{archive.slug}/{end}").status_code == 404
    assert Archive.objects.filter(pk=archive.pk).exists()


def test_the_jobs_page_leads_to_the_downloads(client: Client, base: str, experiment: Experiment, owner: User) -> None:
    archives.ask(experiment=experiment, kind="runs", actor=owner)
    page = client.get("/jobs/").content.decode()
    assert "Make a download" in page and f'href="{base}"' in page

"""The pages of documents and uploads: what they show, to whom, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.webapp.documents.attempts import run_errand
from tests.webapp.documents.conftest import Receive
from tests.webapp.documents.samples import pdf, zipped
from webapp.models import Corpus, Document, Errand, Project, State, Upload, User
from webapp.search import client as search_client
from webapp.search.client import Found, Hit, SearchUnavailable
from webapp.selectors import documents

pytestmark = pytest.mark.django_db

Make = Callable[..., Any]
Login = Callable[[User], Client]

ATTACKS = ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "{{7*7}}", '<b hx-get="/x" hx-trigger="load">x</b>']
HTMX = {"HTTP_HX_REQUEST": "true"}


def rows(count: int, text: str = "The library opens at nine in the morning and closes in the evening.") -> bytes:
    return b"".join(
        json.dumps({"_id": f"d{number}", "title": f"Title {number}", "text": f"{text} {number}"}).encode() + b"\n"
        for number in range(count)
    )


@pytest.fixture
def at(project: Project) -> Callable[..., str]:
    def address(name: str, *arguments: Any) -> str:
        return reverse(name, args=[project.slug, *arguments])

    return address


@pytest.fixture
def hits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def answer(*doc_ids: str) -> None:
        found = Found([Hit(doc_id, 1.0) for doc_id in doc_ids], 3.0)
        monkeypatch.setattr(search_client, "find", lambda *arguments, **named: found)

    return answer


def page(client: Client, url: str, **named: Any) -> str:
    response = client.get(url, **named)
    assert response.status_code == 200
    return response.content.decode()


# The list


def test_without_documents_the_page_teaches_and_receives(client: Client, at: Make) -> None:
    shown = page(client, at("documents"))

    assert 'type="file"' in shown
    assert "A lost card costs five euros." in shown
    assert "corpus.jsonl" in shown


def test_a_viewer_sees_no_upload_form(login: Login, member: Make, at: Make) -> None:
    shown = page(login(member("viewer")), at("documents"))

    assert 'type="file"' not in shown
    assert "An editor or owner of this project uploads them." in shown


def test_the_list_goes_on_by_key_and_back(client: Client, at: Make, imported: Make) -> None:
    corpus = imported(rows(120))
    ids = list(Document.objects.filter(corpus=corpus).order_by("id").values_list("id", flat=True))

    first = documents.page(corpus)
    second = documents.page(corpus, after=first.after)
    third = documents.page(corpus, after=second.after)
    back = documents.page(corpus, before=third.before)

    assert [row.pk for row in first.rows] == ids[:50]
    assert [row.pk for row in third.rows] == ids[100:]
    assert (first.before, third.after) == (None, None)
    assert [row.pk for row in back.rows] == ids[50:100]
    assert documents.page(corpus, before=back.before).before is None
    shown = page(client, at("documents") + f"?after={first.after}")
    assert "Title 50" in shown and "Title 49" not in shown


def test_the_list_takes_few_queries_whatever_its_length(
    client: Client, at: Make, imported: Make, django_assert_num_queries: Any
) -> None:
    imported(rows(60))

    # Session, person, membership with project and corpus, two of the stepper; then uploads, version, rows.
    with django_assert_num_queries(7):
        page(client, at("documents"))


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?after=" + "9" * 40, "?before=\u0661", "?q=" + "x" * 9000])
def test_nonsense_in_the_address_is_no_error(client: Client, at: Make, imported: Make, query: str) -> None:
    imported(rows(2))

    assert client.get(at("documents") + query).status_code == 200


def test_attacks_in_documents_are_text(client: Client, at: Make, imported: Make, hits: Make) -> None:
    lines = [json.dumps({"_id": text, "title": text, "text": f"word {text}"}) for text in ATTACKS]
    corpus = imported("\n".join(lines).encode(), "<img src=x onerror=alert(1)>.jsonl")
    hits(*ATTACKS)

    one = Document.objects.filter(corpus=corpus).first()
    for url in (at("documents"), at("documents") + "?q=word+script", at("document", one.pk), at("versions")):
        shown = page(client, url)
        for attack in ("<script>alert", "<svg onload", "<b hx-get", "<img src=x", ">49<"):
            assert attack not in shown


# Search


def test_hits_are_shown_in_their_order_with_their_words_marked(
    client: Client, at: Make, imported: Make, hits: Make
) -> None:
    imported(rows(3))
    hits("d2", "d0")

    shown = page(client, at("documents") + "?q=opening+libraries")

    assert shown.index("Title 2") < shown.index("Title 0")
    assert "<mark>library</mark> <mark>opens</mark>" in shown
    assert "Title 1" not in shown


def test_nothing_found_says_what_to_do(client: Client, at: Make, imported: Make, hits: Make) -> None:
    imported(rows(1))
    hits()

    assert "No document holds these words." in page(client, at("documents") + "?q=zebra")


def test_without_the_search_service_the_list_stays(
    client: Client, at: Make, imported: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(rows(1))

    def down(*arguments: Any, **named: Any) -> None:
        raise SearchUnavailable("The search service does not answer.", "down")

    monkeypatch.setattr(search_client, "find", down)
    shown = page(client, at("documents") + "?q=library")

    assert "The search service does not answer." in shown
    assert "Title 0" in shown


def test_a_search_takes_few_queries(
    client: Client, at: Make, imported: Make, hits: Make, django_assert_num_queries: Any
) -> None:
    imported(rows(30))
    hits(*(f"d{number}" for number in range(20)))

    with django_assert_num_queries(7):
        page(client, at("documents") + "?q=library")


# One document


def test_a_document_is_shown_with_its_neighbours(client: Client, at: Make, imported: Make) -> None:
    corpus = imported(rows(3))
    first, second, third = Document.objects.filter(corpus=corpus).order_by("id")

    shown = page(client, at("document", second.pk))

    assert "closes in the evening. 1" in shown
    assert at("document", first.pk) in shown and at("document", third.pk) in shown


def test_a_document_of_another_project_does_not_exist(client: Client, at: Make, owner: User) -> None:
    other = Corpus.objects.create(project=Project.objects.create(name="Other"), number=1)
    document = Document.objects.create(corpus=other, doc_id="x", text="secret")

    assert client.get(at("document", document.pk)).status_code == 404


def test_a_very_long_document_is_shown_in_part(client: Client, at: Make, imported: Make) -> None:
    corpus = imported(json.dumps({"_id": "a", "text": "word " * 30_000}).encode())

    shown = page(client, at("document", corpus.rows.get().pk))

    assert "The first 100000 of" in shown
    assert len(shown) < 120_000


# An upload's choices


def test_a_table_is_previewed_as_it_will_be_searched(client: Client, at: Make, receive: Receive) -> None:
    upload = receive("Nr;Titel;Inhalt\n1;Öffnung;Um neun.\n".encode("latin-1"), "rules.csv")

    shown = page(client, at("upload", upload.pk))

    assert "Öffnung" in shown and "Um neun." in shown
    for name, value in (("encoding", "latin-1"), ("delimiter", ";"), ("role_2", "text")):
        assert f'name="{name}"' in shown
        assert f'<option value="{value}" selected>' in shown


def test_other_choices_change_the_preview_and_keep_nothing(client: Client, at: Make, receive: Receive) -> None:
    upload = receive(b"a,b,c\n1,First,Second\n", "rules.csv")
    data = {
        "kind": "table", "encoding": "utf-8", "delimiter": ",", "header": "on", "seen": "table/utf-8/,",
        "role_0": "id", "role_1": "text", "role_2": "title", "chunking": "none",
    }  # fmt: skip

    shown = page(client, at("upload_preview", upload.pk), data=data, **HTMX)

    assert shown.lstrip().startswith('<div id="look"')
    row = shown[shown.index("<tbody>") : shown.index("</tbody>")]
    assert row.index("Second") < row.index("First")
    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.MAPPING
    assert upload.options["roles"] != ["id", "text", "title"]


def test_another_delimiter_guesses_the_columns_anew(client: Client, at: Make, receive: Receive) -> None:
    upload = receive(b"id;x,text\n1;x,Second\n", "rules.csv")
    data = {"kind": "table", "encoding": "utf-8", "delimiter": ",", "seen": "table/utf-8/;", "role_0": "text"}

    shown = page(client, at("upload_preview", upload.pk), data=data, **HTMX)

    assert 'name="role_1"' in shown and 'name="role_2"' not in shown


def test_the_choices_start_the_check(client: Client, at: Make, receive: Receive) -> None:
    upload = receive(b"a,b\n1,Text\n", "rules.csv")

    response = client.post(
        at("upload_check", upload.pk),
        {"kind": "table", "encoding": "utf-8", "delimiter": ",", "header": "on", "seen": "table/utf-8/,",
         "role_0": "id", "role_1": "text", "chunking": "paragraphs"},
    )  # fmt: skip

    assert response.status_code == 302
    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.CHECKING
    assert upload.options["roles"] == ["id", "text"]
    assert upload.options["chunking"] == "paragraphs"
    assert Errand.objects.get().kind == "upload.check"
    assert "Checking every row" in page(client, at("upload", upload.pk))


@pytest.mark.parametrize(
    ("roles", "sentence"),
    [
        (["id", "id"], "Two columns are marked as the id. Choose one of them."),
        (["id", ""], "No column is marked as text. Choose at least one: it is what people search in."),
    ],
)
def test_choices_that_make_no_sense_get_a_sentence(
    client: Client, at: Make, receive: Receive, roles: list[str], sentence: str
) -> None:
    upload = receive(b"a,b\n1,Text\n", "rules.csv")
    data = {"kind": "table", "encoding": "utf-8", "delimiter": ",", "header": "on", "seen": "table/utf-8/,"}

    response = client.post(
        at("upload_check", upload.pk), {**data, "chunking": "none", **{f"role_{n}": r for n, r in enumerate(roles)}}
    )

    assert response.status_code == 422
    assert sentence in response.content.decode()


def test_a_kind_that_the_bytes_do_not_allow_is_not_offered(client: Client, at: Make, receive: Receive) -> None:
    zip_page = page(client, at("upload", receive(zipped(a__txt="x"), "x.zip").pk))
    pdf_page = page(client, at("upload", receive(pdf("x"), "x.pdf").pk))

    assert 'value="texts"' in zip_page and 'value="table"' not in zip_page
    assert 'value="pdf"' in pdf_page and 'value="jsonl"' not in pdf_page
    assert "a.txt" in zip_page


def test_a_kind_that_was_not_offered_is_not_taken(client: Client, at: Make, receive: Receive) -> None:
    upload = receive(pdf("x"), "x.pdf")

    response = client.post(
        at("upload_check", upload.pk), {"kind": "table", "seen": "table/utf-8/,", "chunking": "none"}
    )

    assert response.status_code == 422
    upload.refresh_from_db()
    assert upload.stage == Upload.Stage.MAPPING


# The check, the question, the import


def test_progress_is_a_fragment_for_htmx_and_the_page_for_others(
    client: Client, at: Make, receive: Receive, owner: User
) -> None:
    upload = receive(rows(2))
    client.post(
        at("upload_check", upload.pk),
        {"kind": "jsonl", "encoding": "utf-8", "chunking": "none", "seen": "jsonl/utf-8/"},
    )
    Errand.objects.update(state=State.RUNNING, done=30, total=60, message="12 rows read")

    fragment = page(client, at("upload_progress", upload.pk), **HTMX)

    assert fragment.lstrip().startswith('<section id="upload-progress"')
    assert "12 rows read" in fragment and "50 %" in fragment and 'hx-trigger="every 2s"' in fragment
    assert client.get(at("upload_progress", upload.pk)).status_code == 302

    run_errand("upload.check", upload)
    run_errand("upload.import", upload)
    response = client.get(at("upload_progress", upload.pk), **HTMX)
    assert response.headers["HX-Redirect"] == at("upload", upload.pk)
    assert "2 documents imported as version 1" in page(client, at("upload", upload.pk))


def test_failed_work_says_why_and_can_be_tried_again(client: Client, at: Make, receive: Receive) -> None:
    upload = receive(rows(2))
    client.post(
        at("upload_check", upload.pk),
        {"kind": "jsonl", "encoding": "utf-8", "chunking": "none", "seen": "jsonl/utf-8/"},
    )
    Errand.objects.update(state=State.FAILED, error="The disk is full.")

    fragment = page(client, at("upload_progress", upload.pk), **HTMX)
    assert "The disk is full." in fragment and "every 2s" not in fragment and "Try again" in fragment

    client.post(at("upload_retry", upload.pk))
    assert Errand.objects.filter(kind="upload.check", state=State.QUEUED).count() == 1


def test_bad_rows_are_listed_and_the_report_can_be_saved(client: Client, at: Make, checked: Make) -> None:
    upload = checked(rows(2) + b"<script>broken\n" + b"{}\n")

    shown = page(client, at("upload", upload.pk))

    assert "2 rows cannot be used, 2 are good" in shown
    assert "Import the 2 good rows" in shown and "Cancel and upload a corrected file" in shown
    assert "<script>broken" not in shown
    response = client.get(at("upload_problems", upload.pk))
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"cut short or not JSON" in b"".join(response)  # type: ignore[arg-type]  # a stream of bytes


def test_the_good_rows_are_imported_on_request(client: Client, at: Make, checked: Make, project: Project) -> None:
    upload = checked(rows(2) + b"broken\n")

    client.post(at("upload_import", upload.pk), {"chunking": "none"})
    run_errand("upload.import", upload)

    project.refresh_from_db()
    assert project.corpus.documents == 2
    assert "1 bad row was left out." in page(client, at("upload", upload.pk))


def test_a_decision_that_comes_too_late_gets_a_sentence(client: Client, at: Make, checked: Make) -> None:
    upload = checked(rows(2) + b"broken\n")
    client.post(at("upload_import", upload.pk), {"chunking": "none"})

    response = client.post(at("upload_import", upload.pk), {"chunking": "none"}, follow=True)

    assert "This upload has gone on in the meantime" in response.content.decode()


def test_a_cancelled_upload_says_so(client: Client, at: Make, checked: Make) -> None:
    upload = checked(rows(2) + b"broken\n")

    client.post(at("upload_cancel", upload.pk))

    assert "This upload was cancelled. Nothing of it was imported." in page(client, at("upload", upload.pk))


def test_a_refused_file_is_explained_and_can_be_read_anew(client: Client, at: Make, checked: Make) -> None:
    upload = checked(b"{}\n")

    assert "None of the 1 rows can be used" in page(client, at("upload", upload.pk))
    client.post(at("upload_reopen", upload.pk))
    assert "As it will be searched" in page(client, at("upload", upload.pk))


def test_the_same_file_again_is_noticed(client: Client, at: Make, imported: Make, receive: Receive) -> None:
    imported(rows(2))

    assert "The very same file was imported on" in page(client, at("upload", receive(rows(2)).pk))


# Versions and health


def test_versions_are_listed_and_switched(client: Client, at: Make, imported: Make, project: Project) -> None:
    imported(rows(2))
    imported(rows(3), "second.jsonl")

    shown = page(client, at("versions"))
    assert "second.jsonl" in shown and "Use version 1" in shown

    client.post(at("version_use", 1))
    project.refresh_from_db()
    assert project.corpus.number == 1


def test_long_documents_bring_the_offer_to_cut_them(client: Client, at: Make, imported: Make) -> None:
    imported(json.dumps({"_id": "a", "text": "many different words " * 200}).encode())

    shown = page(client, at("documents"))
    assert "Make a version of 3 pieces" in shown
    assert "100 % are longer than what the search model reads at once" in shown

    response = client.post(at("version_cut", 1), follow=True)
    assert "Importing" in response.content.decode()


def test_health_is_told_in_words(client: Client, at: Make, imported: Make) -> None:
    imported(rows(2) + rows(1).replace(b"d0", b"e0"))

    shown = page(client, at("documents"))

    assert "There are only 3." in shown
    assert "1 repeats the text of an earlier one, such as e0." in shown
    assert "English, as it seems" in shown
    assert "<svg" in shown and "<table" in shown


# Who may what


def addresses(upload: Upload, document: Document) -> list[tuple[str, str, tuple[Any, ...], str]]:
    return [
        ("get", "documents", (), "viewer"),
        ("get", "document", (document.pk,), "viewer"),
        ("get", "versions", (), "viewer"),
        ("post", "version_use", (1,), "editor"),
        ("post", "version_cut", (1,), "editor"),
        ("get", "upload_new", (), "editor"),
        ("post", "upload_new", (), "editor"),
        ("get", "upload", (upload.pk,), "viewer"),
        ("get", "upload_preview", (upload.pk,), "editor"),
        ("post", "upload_check", (upload.pk,), "editor"),
        ("get", "upload_progress", (upload.pk,), "viewer"),
        ("post", "upload_import", (upload.pk,), "editor"),
        ("post", "upload_reopen", (upload.pk,), "editor"),
        ("post", "upload_retry", (upload.pk,), "editor"),
        ("post", "upload_cancel", (upload.pk,), "editor"),
        ("get", "upload_problems", (upload.pk,), "viewer"),
    ]


def test_strangers_get_404_and_low_roles_403(
    login: Login, member: Make, stranger: User, at: Make, imported: Make
) -> None:
    corpus = imported(rows(2))
    reviewer, outsider = login(member("reviewer")), login(stranger)

    for method, name, arguments, role in addresses(corpus.upload, corpus.rows.first()):
        url = at(name, *arguments)
        assert outsider.get(url).status_code == 404, name
        assert outsider.post(url).status_code == 404, name
        expected = 403 if role == "editor" else (200, 302)
        status = getattr(reviewer, method)(url).status_code
        assert status == expected or (role == "viewer" and status in (200, 302)), name


def test_wrong_methods_are_refused(client: Client, at: Make, imported: Make) -> None:
    corpus = imported(rows(2))

    for method, name, arguments, _ in addresses(corpus.upload, corpus.rows.first()):
        if name in ("upload_new", "upload_preview"):
            continue
        wrong = client.post if method == "get" else client.get
        assert wrong(at(name, *arguments)).status_code == 405, name


def test_an_upload_of_another_project_does_not_exist(client: Client, at: Make, owner: User) -> None:
    other = Upload.objects.create(project=Project.objects.create(name="Other"), kind="jsonl", name="secret")

    for name in ("upload", "upload_progress", "upload_problems"):
        assert client.get(at(name, other.pk)).status_code == 404
    assert client.post(at("upload_cancel", other.pk)).status_code == 404


def test_uploads_of_examples_have_pages_of_their_own(client: Client, at: Make, project: Project) -> None:
    pairs = Upload.objects.create(project=project, kind="pairs", name="pairs.csv")

    assert client.get(at("upload", pairs.pk)).status_code == 404

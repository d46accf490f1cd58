"""The pages of the examples: whom they answer, what they show, what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from tests.webapp.examples.conftest import FakeSearch
from webapp.models import Corpus, Decision, Document, Judgement, Project, Query, Upload, User
from webapp.services import agreement, guidelines, queries
from webapp.urls.examples import urlpatterns

Write = Callable[..., Query]
HTMX = {"HX-Request": "true"}

# name of the view, role that is needed, methods it knows
VIEWS = [
    ("examples", "viewer", "GET"), ("examples_gauge", "viewer", "GET"), ("examples_export", "viewer", "GET"),
    ("examples_bulk", "editor", "POST"), ("examples_steps", "viewer", "GET"), ("example_undo", "reviewer", "POST"),
    ("guidelines", "viewer", "GET"), ("label", "viewer", "GET"), ("question_write", "editor", "POST"),
    ("question_advice", "viewer", "POST"), ("prepare_meaning", "editor", "POST"),
    ("label_document", "editor", "GET"), ("document_skip", "editor", "POST"), ("example", "viewer", "GET"),
    ("example_hits", "viewer", "GET"), ("example_waiting", "viewer", "GET"),
    ("example_grade", "reviewer", "POST"), ("example_rest", "reviewer", "POST"),
    ("example_finish", "reviewer", "POST"), ("example_skip", "reviewer", "POST"),
    ("example_reopen", "reviewer", "POST"), ("example_flag", "reviewer", "POST"), ("example_note", "reviewer", "POST"),
    ("example_edit", "editor", "GET"), ("example_delete", "editor", "POST"), ("pairs_import", "editor", "GET"),
    ("pairs_upload", "viewer", "GET"), ("pairs_accept", "editor", "POST"), ("pairs_discard", "editor", "POST"),
    ("pairs_problems", "viewer", "GET"), ("together", "reviewer", "GET"), ("second", "reviewer", "GET"),
    ("second_grade", "reviewer", "POST"), ("agreement", "viewer", "GET"), ("disagreements", "viewer", "GET"),
    ("settle", "reviewer", "POST"),
]  # fmt: skip
BELOW = {"reviewer": "viewer", "editor": "reviewer"}


def test_every_view_is_in_the_table() -> None:
    assert {name for name, _, _ in VIEWS} == {pattern.name for pattern in urlpatterns}


@pytest.fixture
def address(write: Write, project: Project, owner: User, corpus: Corpus, search: FakeSearch) -> Callable[[str], str]:
    """Return `address(name)`: a view's address with rows that are there."""
    query = write("may I renew a loan", d1=3, d2=0)
    queries.finish(query=query, actor=owner)
    upload = Upload.objects.create(project=project, kind="pairs", stage="question", name="x.csv", options={"facts": {}})
    values = {
        "pk": query.pk, "upload": upload.pk, "kind": "csv", "doc": Document.objects.get(doc_id="d1").pk,
    }  # fmt: skip
    decision = Decision.objects.latest("pk").pk

    def make(name: str, **given: object) -> str:
        pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
        wanted = {**values, **({"pk": decision} if name == "example_undo" else {}), **given}
        own = {key: wanted[key] for key in pattern.pattern.converters}
        return reverse(name, kwargs={"slug": project.slug, **own})

    return make


@pytest.mark.parametrize(("name", "role", "method"), VIEWS)
def test_a_stranger_gets_404_and_a_lower_role_403(
    address: Callable[[str], str], login: Callable[[User], Client], stranger: User, member: Callable[[str], User],
    name: str, role: str, method: str,
) -> None:  # fmt: skip
    for verb in ("get", "post"):
        assert getattr(login(stranger), verb)(address(name)).status_code == 404
    if role in BELOW:
        assert getattr(login(member(BELOW[role])), method.lower())(address(name)).status_code == 403


@pytest.mark.parametrize(("name", "role", "method"), VIEWS)
def test_the_right_role_gets_an_answer_and_the_wrong_method_405(
    address: Callable[[str], str], login: Callable[[User], Client], member: Callable[[str], User],
    name: str, role: str, method: str,
) -> None:  # fmt: skip
    client = login(member(role))
    if name == "example_undo":
        assert client.post(address(name)).status_code == 404  # another person's step
    elif name != "pairs_problems":
        assert getattr(client, method.lower())(address(name)).status_code in (200, 302, 422)
    if name not in ("guidelines", "label_document", "example_edit", "pairs_import"):
        other = "post" if method == "GET" else "get"
        assert getattr(client, other)(address(name)).status_code == 405


@pytest.mark.parametrize("name", ["examples_gauge", "examples_steps", "example_edit", "pairs_upload", "example_hits"])
def test_a_fragment_is_for_htmx_and_a_page_for_others(address: Callable[[str], str], client: Client, name: str) -> None:
    fragment = client.get(address(name), headers=HTMX).content.decode()
    assert "<html" not in fragment
    assert re.match(r"\s*<\w+ id=\"", fragment)
    whole = client.get(address(name), follow=True).content.decode()
    assert "<html" in whole


def test_the_list_costs_the_same_with_many_rows(
    client: Client, project: Project, owner: User, django_assert_max_num_queries: Callable[..., object]
) -> None:
    Query.objects.bulk_create(
        Query(project=project, query_id=f"q{n}", text=f"question {n}", normalised=f"{n:064}", author=owner, note="n")
        for n in range(300)
    )
    url = reverse("examples", args=[project.slug])
    client.get(url)
    # Session, person and membership; the page; two for the stepper.
    with django_assert_max_num_queries(6):  # type: ignore[attr-defined]
        page = client.get(url)
    assert page.content.decode().count('<tr id="example-') == 50


@pytest.mark.parametrize(
    "query",
    ["before=-1", "before=1e9", f"before={10**30}", "after=x", "split=owner__password", "status=%00",
     "text=" + "x" * 5000, "split[]=train", "origin='", "flagged=perhaps", "before=5&after=5", "text=%00"],
)  # fmt: skip
def test_nonsense_in_the_address_is_no_error(client: Client, write: Write, project: Project, query: str) -> None:
    write("may I renew a loan", d1=3)
    assert client.get(f"/p/{project.slug}/examples/?{query}").status_code == 200


def test_filters_stand_in_the_address(client: Client, write: Write, project: Project, owner: User) -> None:
    queries.flag(query=write("flagged one"), actor=owner, flagged=True)
    write("plain one")
    page = client.get(f"/p/{project.slug}/examples/?flagged=on").content.decode()
    assert "flagged one" in page
    assert "plain one" not in page
    assert "Nothing matches" in client.get(f"/p/{project.slug}/examples/?text=nowhere").content.decode()


def test_a_pasted_list_goes_to_its_first_question(
    client: Client, project: Project, corpus: Corpus, search: FakeSearch
) -> None:
    response = client.post(f"/p/{project.slug}/examples/label/write/", {"text": "first one\n\nsecond one\n"})
    first = Query.objects.get(text="first one")
    assert response.headers["Location"] == reverse("example", args=[project.slug, first.pk])
    response = client.post(reverse("example_finish", args=[project.slug, first.pk]))
    second = Query.objects.get(text="second one")
    assert response.headers["Location"] == reverse("example", args=[project.slug, second.pk])
    response = client.post(reverse("example_skip", args=[project.slug, second.pk]), {"reason": "unclear"})
    assert response.headers["Location"] == reverse("label", args=[project.slug])


def test_a_document_of_both_searches_is_judged_in_one_place(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    query = write("renew loans", d5=1)
    page = client.get(reverse("example", args=[project.slug, query.pk])).content.decode()
    d3 = Document.objects.get(doc_id="d3")
    assert page.count(f'id="hit-{d3.pk}"') == 1
    assert "words 3" in page
    assert "1 found by both, judged on the left" in page
    assert page.count("data-hit ") == 5  # d1, d2, d3 by words, d4 by meaning, d5 judged before
    assert "<mark>renewed</mark>" in page


def test_a_grade_by_htmx_gives_card_state_and_strip(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    query, doc = write("renew loans"), Document.objects.get(doc_id="d1")
    url = reverse("example_grade", args=[project.slug, query.pk])
    response = client.post(url, {"doc": doc.pk, "grade": "2", "seen": "", "by_words": "1"}, headers=HTMX)
    fragment = response.content.decode()
    assert f'id="hit-{doc.pk}"' in fragment
    assert re.search(r'value="2" aria-pressed="true"', fragment)
    assert "words 1" in fragment
    assert fragment.count('hx-swap-oob="true"') == 2
    assert "Saved: relevant." in response.headers["HX-Trigger"]
    response = client.post(url, {"doc": doc.pk, "grade": "3", "seen": ""}, headers=HTMX)
    assert "in another window: it is “relevant” now" in response.content.decode()
    assert Judgement.objects.get().grade == 2


def test_grading_works_without_javascript(client: Client, write: Write, project: Project, search: FakeSearch) -> None:
    query, doc = write("renew loans"), Document.objects.get(doc_id="d1")
    url = reverse("example_grade", args=[project.slug, query.pk])
    response = client.post(url, {"doc": doc.pk, "grade": "2", "seen": ""})
    assert response.headers["Location"].endswith(f"/examples/{query.pk}/#hit-{doc.pk}")
    client.post(reverse("example_rest", args=[project.slug, query.pk]), {"doc": [doc.pk, doc.pk + 1]})
    assert list(Judgement.objects.order_by("pk").values_list("grade", flat=True)) == [2, 0]


def test_two_editors_of_one_question_see_what_the_other_did(
    client: Client, login: Callable[[User], Client], member: Callable[[str], User], write: Write, project: Project,
    search: FakeSearch,
) -> None:  # fmt: skip
    query, doc = write("renew loans"), Document.objects.get(doc_id="d1")
    url = reverse("example_grade", args=[project.slug, query.pk])
    client.post(url, {"doc": doc.pk, "grade": "3", "seen": ""}, headers=HTMX)
    other = login(member("reviewer"))
    fragment = other.post(url, {"doc": doc.pk, "grade": "0", "seen": ""}, headers=HTMX).content.decode()
    assert "Olga Owner has changed this meanwhile: it is “exactly this” now" in fragment
    assert re.search(r'value="3" aria-pressed="true"', fragment)
    client.post(reverse("example_edit", args=[project.slug, query.pk]), {"text": "renewing", "seen": "1"})
    response = client.post(
        reverse("example_edit", args=[project.slug, query.pk]), {"text": "mine", "seen": "1"}, headers=HTMX
    )
    assert "it now reads “renewing”" in response.content.decode()
    assert Query.objects.get().text == "renewing"


@pytest.fixture
def foreign(member: Callable[[str], User]) -> tuple[Query, Document, Decision, Upload]:
    """Rows of a project that the owner of `project` is no member of."""
    theirs = Project.objects.create(name="Theirs")
    theirs.corpus = Corpus.objects.create(project=theirs, number=1)
    theirs.save()
    document = Document.objects.create(corpus=theirs.corpus, doc_id="secret", title="secret", text="secret")
    actor = User.objects.create_user("far@example.org", "correct horse battery")
    query = queries.add(project=theirs, texts=["secret question"], actor=actor).made[0]
    upload = Upload.objects.create(project=theirs, kind="pairs", stage="question", name="secret.csv")
    return query, document, Decision.objects.get(), upload


def test_rows_of_another_project_are_not_there(
    client: Client,
    write: Write,
    project: Project,
    search: FakeSearch,
    foreign: tuple[Query, Document, Decision, Upload],
) -> None:
    query, document, decision, upload = foreign
    mine = write("renew loans")
    for name, method in [(name, method) for name, _, method in VIEWS]:
        pattern = next(pattern for pattern in urlpatterns if pattern.name == name)
        theirs = {"pk": decision.pk if name == "example_undo" else query.pk, "upload": upload.pk, "doc": document.pk}
        own = {key: theirs[key] for key in pattern.pattern.converters if key in theirs}
        if own:
            url = reverse(name, kwargs={"slug": project.slug, **own})
            assert getattr(client, method.lower())(url).status_code == 404, name
    for name in ("example_grade", "second_grade", "settle"):
        url = reverse(name, args=[project.slug, mine.pk])
        assert client.post(url, {"doc": document.pk, "grade": "2"}).status_code == 404
    url = reverse("label_document", args=[project.slug])
    assert client.post(url, {"doc": document.pk, "text": "what is it"}).status_code == 404
    assert "secret" not in client.get(f"{url}?doc={document.pk}").content.decode()
    client.post(reverse("example_rest", args=[project.slug, mine.pk]), {"doc": [document.pk, "x", "-1", "9" * 40]})
    assert not Judgement.objects.exists()


NASTY = (
    "<script>alert(1)</script>", '"><svg onload=alert(1)>', "<img src=x onerror=alert(1)>", "{{7*7}}",
    '<p hx-get="/" hx-trigger="load" hx-on:click="alert(1)">', "javascript:alert(1)",
)  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
def test_markup_in_texts_is_shown_as_text(
    client: Client, write: Write, project: Project, owner: User, search: FakeSearch, member: Callable[[str], User],
    nasty: str, login: Callable[[User], Client],
) -> None:  # fmt: skip
    Document.objects.filter(doc_id="d1").update(title=nasty, text=f"renew {nasty} loans")
    search.topics[1] = type(search.topics[1])(1, nasty, 2)
    query = write(f"renew {nasty}", d1=3)
    queries.annotate(query=query, actor=owner, seen=1, note=nasty)
    queries.finish(query=query, actor=owner)
    guidelines.write(project=project, text=nasty, seen=0, actor=owner)
    other = member("editor")
    agreement.give_second(query=query, doc_id="d1", grade=0, actor=other)
    third = login(member("reviewer"))
    pages = [
        client.get(reverse(name, args=[project.slug, *args]), headers=headers)
        for headers in ({}, HTMX)
        for name, args in [
            ("examples", []), ("label", []), ("label_document", []), ("guidelines", []), ("disagreements", []),
            ("examples_steps", []), ("examples_gauge", []), ("example", [query.pk]), ("example_hits", [query.pk]),
            ("example_edit", [query.pk]), ("agreement", []),
        ]
    ]  # fmt: skip
    pages.append(third.get(reverse("second", args=[project.slug, query.pk])))
    advice = client.post(reverse("question_advice", args=[project.slug]), {"text": f"renew {nasty}"})
    for page in [*pages, advice]:
        text = page.content.decode()
        assert "<script>alert" not in text
        assert "<svg onload" not in text
        assert "<img src=x" not in text
        assert '<p hx-get="/"' not in text
        assert 'href="javascript:' not in text
        assert "49" not in re.findall(r"renew (\w+)", text)


def test_a_second_opinion_is_blind_until_all_are_given(
    write: Write, project: Project, owner: User, member: Callable[[str], User], login: Callable[[User], Client],
    search: FakeSearch,
) -> None:  # fmt: skip
    query = write("renew loans", d1=3, d2=1)
    queries.finish(query=query, actor=owner)
    other = login(member("reviewer"))
    url = reverse("second", args=[project.slug, query.pk])
    assert other.get(reverse("together", args=[project.slug])).headers["Location"] == url
    docs = {row.doc_id: row.pk for row in Document.objects.all()}
    give = reverse("second_grade", args=[project.slug, query.pk])
    page = other.get(url).content.decode()
    assert "Olga Owner" not in page
    first = other.post(give, {"doc": docs["d1"], "grade": "3"}, headers=HTMX).content.decode()
    assert ("Olga Owner" in first, "1 of 2 still to judge" in first) == (False, True)
    last = other.post(give, {"doc": docs["d2"], "grade": "0"}, headers=HTMX).content.decode()
    assert "You agree on 1 of 2" in last
    assert "Olga Owner" in last
    page = other.get(reverse("together", args=[project.slug])).content.decode()
    assert "Nothing waits for your second opinion" in page
    page = other.get(reverse("agreement", args=[project.slug])).content.decode()
    assert "Settle 1 question" in page
    disagreements = other.get(reverse("disagreements", args=[project.slug])).content.decode()
    seen = re.search(r'name="seen" value="([^"]*)"', disagreements)
    assert seen is not None
    settle = reverse("settle", args=[project.slug, query.pk])
    other.post(settle, {"doc": docs["d2"], "grade": "1", "seen": seen[1]})
    assert Judgement.objects.values_list("doc_id", "grade").get(settled=True) == ("d2", 1)


def test_the_other_direction_suggests_a_topic_without_example(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    write("about loans", d1=2)
    url = reverse("label_document", args=[project.slug])
    page = client.get(url).content.decode()
    assert "Quiet rooms" in page
    assert "Topic “rooms” has no example yet." in page
    d4 = Document.objects.get(doc_id="d4")
    assert client.post(url, {"doc": d4.pk, "text": "where can I work in silence"}).status_code == 302
    assert Query.objects.get(origin="document").relevant == 1
    page = client.get(url).content.decode()
    assert "Opening hours" in page
    d2 = Document.objects.get(doc_id="d2")
    client.post(reverse("document_skip", args=[project.slug, d2.pk]), {"reason": "nobody_asks"})
    assert "Opening hours" not in client.get(url).content.decode()
    assert "Write the question first" in client.post(url, {"doc": d4.pk, "text": " "}).content.decode()


def test_without_search_service_labelling_says_so_and_goes_on(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    query = write("renew loans", d1=2)
    search.down = True
    page = client.get(reverse("example", args=[project.slug, query.pk])).content.decode()
    assert "The search service is not running." in page
    assert "Judged before" in page
    page = client.get(reverse("label_document", args=[project.slug])).content.decode()
    assert "Picked at random. The search service is not running." in page


def test_meaning_is_offered_where_it_is_absent(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    search.meaning = "absent"
    query = write("renew loans")
    page = client.get(reverse("example", args=[project.slug, query.pk])).content.decode()
    assert "Make it ready" in page
    response = client.post(reverse("prepare_meaning", args=[project.slug]), {"query": query.pk})
    assert response.headers["Location"] == reverse("example", args=[project.slug, query.pk])
    response = client.post(reverse("prepare_meaning", args=[project.slug]), {"query": "9" * 5000})
    assert response.headers["Location"] == reverse("label", args=[project.slug])


def test_bulk_asks_first_and_then_does_it(client: Client, write: Write, project: Project) -> None:
    write("may I renew a loan", d1=2)
    write("opening hours", d2=2)
    url = reverse("examples_bulk", args=[project.slug])
    page = client.post(url, {"action": "delete", "text": "renew"}).content.decode()
    assert "Delete: 1 example" in page
    assert Query.objects.count() == 2
    client.post(url, {"action": "delete", "text": "renew", "expected": "1"})
    assert Query.objects.get().text == "opening hours"
    client.post(reverse("example_undo", args=[project.slug, Decision.objects.latest("pk").pk]))
    assert Query.objects.count() == 2
    response = client.post(url, {"action": "nonsense"}, follow=True)
    assert "is no action" in response.content.decode()


def test_undo_goes_back_to_where_it_was_pressed_and_nowhere_else(
    client: Client, write: Write, project: Project, owner: User, search: FakeSearch
) -> None:
    query = write("may I renew a loan")
    queries.finish(query=query, actor=owner)
    undo = reverse("example_undo", args=[project.slug, Decision.objects.latest("pk").pk])
    back = client.post(undo, {"back": reverse("label", args=[project.slug])}).headers["Location"]
    assert back == reverse("example", args=[project.slug, query.pk])
    response = client.post(undo, {"back": "https://evil.example/"})
    assert response.headers["Location"] == reverse("examples", args=[project.slug])


def test_only_editors_write_guidelines(
    client: Client, login: Callable[[User], Client], member: Callable[[str], User], project: Project
) -> None:
    url = reverse("guidelines", args=[project.slug])
    assert login(member("reviewer")).post(url, {"text": "x", "seen": "0"}).status_code == 403
    client.post(url, {"text": "Be strict.", "seen": "0"})
    response = client.post(url, {"text": "Be mild.", "seen": "0"})
    assert response.status_code == 422
    assert "wrote version 1 meanwhile" in response.content.decode()


def test_empty_pages_teach(client: Client, project: Project, search: FakeSearch) -> None:
    for name, words in [
        ("examples", "No examples yet"), ("label", "Documents first"), ("label_document", "Documents first"),
        ("together", "Nothing waits"), ("agreement", "Nobody has given a second opinion"),
        ("disagreements", "No disagreements"), ("guidelines", "Nothing is written yet"),
        ("pairs_import", "There are no documents yet"), ("examples_steps", "Your last ten steps stand here"),
    ]:  # fmt: skip
        page = client.get(reverse(name, args=[project.slug]))
        assert (page.status_code, words in page.content.decode()) == (200, True), name


def test_a_conflict_keeps_what_was_typed_beside_what_was_saved(
    client: Client, write: Write, project: Project, owner: User, search: FakeSearch
) -> None:
    query = write("renew loans")
    queries.edit(query=query, actor=owner, seen=1, text="their words", split="test")
    queries.annotate(query=query, actor=owner, seen=2, note="their note")
    url = reverse("example_edit", args=[project.slug, query.pk])
    for headers in ({}, HTMX):
        page = client.post(url, {"text": "my words", "split": "train", "seen": "1"}, headers=headers).content.decode()
        assert ">\nmy words</textarea>" in page
        assert '<option value="train" selected>' in page
        assert '<dd class="breakable" dir="auto">their words</dd>' in page
        assert 'name="seen" value="3"' in page
    url = reverse("example_note", args=[project.slug, query.pk])
    response = client.post(url, {"note": "my note", "was": "", "seen": "1"})
    page = response.content.decode()
    assert response.status_code == 422
    assert ">\nmy note</textarea>" in page
    assert "their note</div>" in page
    assert ('name="seen" value="3"' in page, 'name="was" value="their note"' in page) == (True, True)
    client.post(url, {"note": "my note", "was": "their note", "seen": "3"})
    assert Query.objects.get().note == "my note"


def test_guidelines_of_two_people_stand_side_by_side_and_the_next_save_counts(client: Client, project: Project) -> None:
    url = reverse("guidelines", args=[project.slug])
    client.post(url, {"text": "Be strict.", "seen": "0"})
    page = client.post(url, {"text": "Be mild.", "seen": "0"}).content.decode()
    assert ">\nBe mild.</textarea>" in page
    assert "Version 1, as" in page
    assert 'name="seen" value="1"' in page
    assert client.post(url, {"text": "Be mild.", "seen": "1"}).status_code == 302


@pytest.mark.parametrize("name", ["example_finish", "example_skip", "example_flag", "example_reopen"])
def test_every_step_keeps_the_note_that_was_typed(
    client: Client, write: Write, project: Project, owner: User, search: FakeSearch, name: str
) -> None:
    query = write("renew loans")
    url = reverse(name, args=[project.slug, query.pk])
    step = {"reason": "unclear", "flagged": "1", "note": "ask the desk", "was": "", "seen": "1"}
    assert client.post(url, step).status_code == 302
    assert Query.objects.get().note == "ask the desk"
    # Nobody typed: another person's note is no conflict and stays.
    queries.annotate(query=query, actor=owner, seen=Query.objects.get().revision, note="theirs")
    assert client.post(url, {**step, "was": "ask the desk"}).status_code == 302
    assert Query.objects.get().note == "theirs"
    # Somebody typed: the step waits until the two notes are one.
    page = client.post(url, {**step, "note": "mine"})
    assert (page.status_code, ">\nmine</textarea>" in page.content.decode()) == (422, True)


def test_the_buttons_of_a_step_send_the_note(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    query = write("renew loans")
    page = client.get(reverse("example", args=[project.slug, query.pk])).content.decode()
    assert page.count('id="question"') == 1
    for name in ("example_finish", "example_skip", "example_flag"):
        assert f'form="question" formaction="{reverse(name, args=[project.slug, query.pk])}"' in page


def test_the_reason_of_a_skip_is_read_on_the_page(
    client: Client, write: Write, project: Project, owner: User, search: FakeSearch
) -> None:
    query = write("renew loans")
    queries.skip(query=query, actor=owner, reason="off_topic")
    for name, args in (("examples", []), ("example", [query.pk])):
        page = client.get(reverse(name, args=[project.slug, *args])).content.decode()
        assert '<span class="small muted">Nobody would search for this</span>' in page
        assert "off_topic" not in page.replace('value="off_topic"', "")


def test_hits_come_by_themselves_once_a_search_is_ready(
    client: Client, write: Write, project: Project, search: FakeSearch
) -> None:
    search.meaning = "building"
    query = write("renew loans")
    page = client.get(reverse("example", args=[project.slug, query.pk]) + "?find=book").content.decode()
    found = re.search(r'hx-get="([^"]*/waiting/[^"]*)" hx-trigger="every 5s"', page)
    assert found is not None
    assert "Look again" in page
    url = found[1].replace("&amp;", "&")
    assert url.endswith("?for=base&find=book")
    assert "data-poll" in client.get(url, headers=HTMX).content.decode()
    search.down = True
    assert "data-poll" in client.get(url, headers=HTMX).content.decode()
    search.down, search.meaning = False, "ready"
    response = client.get(url, headers=HTMX)
    hits = reverse("example_hits", args=[project.slug, query.pk])
    assert f'hx-get="{hits}?find=book" hx-trigger="load" hx-target="#hits"' in response.content.decode()
    assert "ready" in response.headers["HX-Trigger"]
    assert client.get(url).headers["Location"].endswith("?find=book")
    fragment = client.get(hits + "?find=book", headers=HTMX).content.decode()
    assert ("/waiting/" in fragment, "Back to the question" in fragment) == (False, True)


def test_editing_returns_to_where_one_came_from(client: Client, write: Write, project: Project) -> None:
    query = write("renew loans")
    listing = reverse("examples", args=[project.slug]) + "?text=renew&status=open"
    page = client.get(listing).content.decode()
    found = re.search(r'href="([^"]*/edit/\?back=[^"]*)"', page)
    assert found is not None
    page = client.get(found[1]).content.decode()
    shown = listing.replace("&", "&amp;")
    assert f'<a class="btn btn-link" href="{shown}"' in page
    assert f'name="back" value="{shown}"' in page
    url = reverse("example_edit", args=[project.slug, query.pk])
    assert client.post(url, {"text": "renew", "seen": "1", "back": listing}).headers["Location"] == listing
    response = client.post(url, {"text": "renewing", "seen": "2", "back": "//evil.example/"})
    assert response.headers["Location"] == reverse("examples", args=[project.slug])
    row = client.get(found[1] + "&cancel", headers=HTMX).content.decode()
    assert found[1] in row


def test_the_rest_is_announced_once(client: Client, write: Write, project: Project, search: FakeSearch) -> None:
    query, doc = write("renew loans"), Document.objects.get(doc_id="d1")
    response = client.post(reverse("example_rest", args=[project.slug, query.pk]), {"doc": [doc.pk]}, headers=HTMX)
    assert "1 document is marked not relevant." in response.headers["HX-Trigger"]
    assert 'role="status"' not in response.content.decode()


@pytest.mark.parametrize(
    ("name", "keys"),
    [("label", "Enter N U ?"), ("label_document", "N S U ?"), ("example", "J K ↓ ↑ 0 1 2 3 X N S F U ?")],
)
def test_the_sheet_names_the_keys_of_its_page(
    client: Client, write: Write, project: Project, search: FakeSearch, name: str, keys: str
) -> None:
    query = write("renew loans")
    page = client.get(reverse(name, args=[project.slug, *([query.pk] if name == "example" else [])])).content.decode()
    assert 'data-key="?" data-opens="key-sheet"' in page
    sheet = page.partition('<dialog id="key-sheet"')[2].partition("</table>")[0]
    assert " ".join(re.findall(r"<kbd>([^<]+)</kbd>", sheet)) == keys
    assert page.count("this sheet") == 2  # unfolded without JavaScript, a dialog with it


def test_a_document_leads_to_a_question_about_it(
    client: Client, login: Callable[[User], Client], member: Callable[[str], User], project: Project, corpus: Corpus,
    search: FakeSearch,
) -> None:  # fmt: skip
    doc = Document.objects.get(doc_id="d3")
    url = reverse("document", args=[project.slug, doc.pk])
    ask = f"{reverse('label_document', args=[project.slug])}?doc={doc.pk}"
    assert ask in client.get(url).content.decode()
    assert ask not in login(member("reviewer")).get(url).content.decode()
    assert "Lost cards" in client.get(ask).content.decode()

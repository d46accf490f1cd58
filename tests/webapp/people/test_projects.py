"""Home, a project's overview and settings, the event log, glossary and system page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from tests.webapp.rows import furnish
from webapp.errands import KINDS
from webapp.event_words import NOUNS, VERBS, sentence
from webapp.glossary import TERMS
from webapp.models import Errand, Event, EventsAreKept, Experiment, Membership, Project, Query, Role, State, User
from webapp.selectors import events as log
from webapp.selectors import home, system
from webapp.selectors.projects import overview_of
from webapp.services import events, memberships, projects

ROOT = Path(__file__).resolve().parents[3]


def text_of(answer: Any) -> str:
    if hasattr(answer, "streaming_content"):
        return b"".join(answer.streaming_content).decode()
    return str(answer.content.decode())


# Home


def test_an_empty_home_teaches_and_has_one_primary_button(stranger: User, login: Callable[[User], Client]) -> None:
    page = text_of(login(stranger).get("/"))
    assert "Create a project" in page
    assert "Bring documents" in page
    assert page.count("btn-primary") == 1


def test_home_shows_ones_own_projects_only(client: Client, project: Project, stranger: User) -> None:
    projects.create(name="Hidden", owner=stranger)
    page = text_of(client.get("/"))
    assert project.name in page
    assert "Hidden" not in page
    assert "Upload documents" in page
    assert page.count("btn-primary") == 1


def test_home_takes_few_queries_however_many_projects(
    client: Client, project: Project, owner: User, django_assert_max_num_queries: Any
) -> None:
    furnish(project, owner)
    for number in range(home.CARDS + 2):
        projects.create(name=f"Project {number}", owner=owner)
    with django_assert_max_num_queries(9):  # session, person, then seven of the page
        first = client.get("/")
    names = [card.project.name for card in first.context["home"].cards]
    assert names == [f"Project {number}" for number in range(home.CARDS + 1, 1, -1)]
    older = client.get(f"/?before={first.context['home'].older}").context["home"]
    assert [card.project.name for card in older.cards] == ["Project 1", "Project 0", "Library rules"]
    assert older.older is None


def test_home_tells_what_runs_and_what_ended(client: Client, project: Project, owner: User) -> None:
    rows = furnish(project, owner)
    Errand.objects.filter(pk=rows.errand).update(state=State.RUNNING, done=3, total=4)
    Experiment.objects.filter(project=project, number=1).update(finished_at=timezone.now(), state=State.FAILED)
    page = text_of(client.get("/"))
    assert "Check an upload" in page
    assert '<progress max="4" value="3"' in page
    assert "Experiment 1</a>" in page
    assert "failed" in page


def test_viewers_are_not_told_to_do_what_they_may_not(
    project: Project, member: Callable[[str], User], login: Callable[[User], Client]
) -> None:
    browser = login(member("viewer"))
    assert "Upload documents" not in text_of(browser.get("/"))
    page = text_of(browser.get(f"/p/{project.slug}/"))
    assert "Upload documents <kbd>" not in page
    assert "Have a look" in page
    assert "an editor uploads them" in page


def test_the_two_forms_of_the_settings_have_ids_of_their_own(client: Client, project: Project) -> None:
    page = text_of(client.get(f"/p/{project.slug}/settings/"))
    assert page.count('id="id_name"') == 1
    assert page.count('for="delete_name"') == page.count('id="delete_name"') == 1


def test_experiments_can_be_reached_from_the_overview(client: Client, project: Project) -> None:
    assert f'href="/p/{project.slug}/experiments/"' in text_of(client.get(f"/p/{project.slug}/"))


def test_the_stepper_shows_the_sentence_of_the_page_one_is_on(client: Client, project: Project) -> None:
    page = text_of(client.get(f"/p/{project.slug}/documents/"))
    assert '<p class="why">Upload the documents that people search in' in page
    assert '<span class="visually-hidden">Examples need documents first.</span>' in page


# A project


def test_a_new_project_belongs_to_its_maker(client: Client, owner: User) -> None:
    answer = client.post("/projects/new/", {"name": "  Turbines ", "description": "Manuals"})
    made = Project.objects.get()
    assert answer["Location"] == f"/p/{made.slug}/"
    assert (made.name, made.description) == ("Turbines", "Manuals")
    assert Membership.objects.get(project=made, user=owner).role == Role.OWNER
    assert Event.objects.get(project=made).verb == "project.created"


@pytest.mark.parametrize(
    ("name", "error"), [("", "required"), ("   ", "required"), ("x" * 101, "at most 100"), ("a\x00b", "Null")]
)
def test_a_name_that_cannot_be_gets_a_sentence_at_its_field(client: Client, name: str, error: str) -> None:
    answer = client.post("/projects/new/", {"name": name})
    assert error in str(answer.context["form"].errors["name"])
    assert not Project.objects.exists()


def test_services_refuse_an_empty_name(owner: User) -> None:
    with pytest.raises(ValidationError):
        projects.create(name=" ", owner=owner)


def test_the_overview_shows_eight_steps_and_one_primary_button(client: Client, project: Project, owner: User) -> None:
    furnish(project, owner)
    page = text_of(client.get(f"/p/{project.slug}/"))
    for step in ("Documents", "Examples", "Tune", "Generate", "Review", "Train", "Compare", "Download"):
        assert f">{step}</" in page
    assert page.count("btn-primary") == 1
    assert "Experiment 2" in page
    assert "Olga Owner" in page


def test_the_overview_leaves_out_what_was_skipped(project: Project) -> None:
    for name, status in (("one", "done"), ("two", "skipped")):
        Query.objects.create(project=project, query_id=name, text=name, normalised=name, relevant=1, status=status)
    assert overview_of(project).examples == 1


def test_settings_are_changed_and_logged(client: Client, project: Project) -> None:
    client.post(f"/p/{project.slug}/settings/change/", {"name": "Rules", "description": "of the library"})
    project.refresh_from_db()
    assert (project.name, project.description) == ("Rules", "of the library")
    assert Event.objects.get(verb="project.changed").facts == {"name": "Rules", "before": "Library rules"}
    refused = client.post(f"/p/{project.slug}/settings/change/", {"name": ""})
    assert refused.context["form"].errors["name"]
    assert "Rules" in text_of(refused)


# The event log


def test_events_are_never_changed_nor_deleted(project: Project, owner: User) -> None:
    event = events.record("upload.imported", project=project, actor=owner)
    event.verb = "upload.forged"
    for change in (event.save, event.delete, Event.objects.all().delete, lambda: Event.objects.update(verb="x")):
        with pytest.raises(EventsAreKept):
            change()
    assert Event.objects.get(pk=event.pk).verb == "upload.imported"


def test_the_log_is_read_page_by_page_and_filtered(
    client: Client, project: Project, owner: User, member: Callable[[str], User], django_assert_max_num_queries: Any
) -> None:
    editor = member("editor")
    for number in range(log.PAGE + 5):
        events.record("upload.imported", project=project, actor=owner, number=number)
    events.record("member.left", project=project, actor=editor)
    events.record("upload.imported", project=None, actor=owner, number=999)
    with django_assert_max_num_queries(8):
        first = client.get(f"/p/{project.slug}/events/").context["page"]
    assert len(first.lines) == log.PAGE
    assert first.lines[0].what == "left the project"
    second = client.get(f"/p/{project.slug}/events/?before={first.older}").context["page"]
    assert (len(second.lines), second.older) == (6, None)
    by_person = client.get(f"/p/{project.slug}/events/?actor={editor.pk}").context["page"].lines
    assert [line.what for line in by_person] == ["left the project"]
    assert len(client.get(f"/p/{project.slug}/events/?verb=member.").context["page"].lines) == 1
    nothing = text_of(client.get(f"/p/{project.slug}/events/?verb=guideline."))
    assert "No event matches" in nothing


def test_the_csv_of_the_log_runs_nothing_in_a_spreadsheet(client: Client, project: Project, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(name='=HYPERLINK("http://evil.example")')
    events.record("member.changed", project=project, actor=owner, member="@SUM(1)", before="viewer", role="editor")
    answer = client.get(f"/p/{project.slug}/events/csv/?verb=member.")
    assert answer["Content-Disposition"] == 'attachment; filename="Library rules events.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(text_of(answer).lstrip("\ufeff"))))
    assert rows[0] == ["time (UTC)", "person", "what", "kind"]
    assert rows[1][1:] == [
        "'=HYPERLINK(\"http://evil.example\")", "changed the role of @SUM(1) from viewer to editor", "member.changed",
    ]  # fmt: skip
    assert len(rows) == 2


def test_an_unknown_verb_is_shown_in_words_all_the_same(project: Project, owner: User) -> None:
    events.record("teapot.boiled_over", project=project, actor=owner, cups=3, nested={"a": 1})
    assert log.recent(project, 1)[0].what == "boiled over: teapot (cups 3)"


@pytest.mark.parametrize(
    ("verb", "facts", "words"),
    [
        ("query.finished", {"query": "q17", "text": "May I smoke?"}, "finished “May I smoke?”"),
        ("query.finished", {"query": "q17"}, "finished question q17"),
        ("upload.checked", {"upload": 12, "name": "a.csv", "good": 1, "bad": 1200},
         "checked “a.csv”: 1 good row, 1,200 bad ones"),
        ("upload.checked", {"upload": 12, "good": 3, "bad": 0}, "checked upload 12: 3 good rows, 0 bad ones"),
        ("judgement.given", {"query": "q1", "text": "Why?", "grade": 2}, "graded a document for “Why?”: relevant"),
        ("judgement.given", {"query": "q1", "grade": None}, "graded a document for question q1: no grade any more"),
        ("example.imported", {"questions": 1, "pairs": 30}, "imported examples: 1 new question, 30 grades"),
        ("example.imported", {}, "imported examples: some new questions, some grades"),
        ("example.bulk", {"action": "split-train", "words": "use training", "examples": 2},
         "changed 2 examples at once: use training"),
        ("example.bulk", {"action": "split-train", "examples": 1}, "changed 1 example at once: split train"),
        ("corpus.topics_found", {"version": 2, "topics": 5}, "found 5 topics in version 2 of the documents"),
        ("stage.cancelled", {"experiment": 3, "step": "generate.sptar"},
         "cancelled the step “Generate questions: SPTAR” of experiment 3"),
        ("errand.cancelled", {"kind": "upload.check"}, "cancelled the job “Check an upload”"),
        ("query.deleted", {"query": "q1", "text": "{0.__class__} {x}"}, "deleted “{0.__class__} {x}”"),
    ],
)  # fmt: skip
def test_events_are_told_by_names_and_counts_and_old_ones_stay_readable(
    verb: str, facts: dict[str, Any], words: str
) -> None:
    assert sentence(verb, facts) == words


def test_an_event_of_the_app_itself_has_a_name(project: Project) -> None:
    events.record("upload.imported", project=project, actor=None)
    assert log.recent(project, 1)[0].who == "The app"


# Pages of no project


def test_the_glossary_explains_every_term_at_its_anchor(client: Client) -> None:
    page = text_of(client.get("/glossary/"))
    for term in TERMS:
        assert f'id="{term.anchor}"' in page
        assert term.expert in page.replace("&#x27;", "'")


def test_the_system_page_says_what_is_wrong_and_what_to_do(
    client: Client, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True)
    monkeypatch.setattr(system.shutil, "disk_usage", lambda _: system.shutil._ntuple_diskusage(100e9, 99e9, 1e9))
    monkeypatch.setenv("SPTAR_JAVA_HOME", "/nowhere")
    page = text_of(client.get("/system/"))
    assert "Something does not work" in page
    assert "1.0 GB free of 100 GB" in page
    assert "/nowhere, which holds no Java runtime" in page
    assert "Python" in page


def test_two_owners_who_leave_at_once_leave_one_behind(
    project: Project, owner: User, member: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one reads the members only when it holds the project's lock, by which time the first has left."""
    second = member("owner")
    locked: list[int] = []
    manager = Project.objects.select_for_update

    def lock(*args: Any, **kwargs: Any) -> Any:
        if not locked:
            locked.append(1)
            Membership.objects.filter(project=project, user=second).delete()
        return manager(*args, **kwargs)

    monkeypatch.setattr(Project.objects, "select_for_update", lock)
    with pytest.raises(ValidationError, match="needs an owner"):
        memberships.remove(project=project, user_id=owner.pk, actor=owner)
    assert locked


def test_every_verb_of_the_services_has_words() -> None:
    nouns = "|".join(NOUNS)
    recorded = set()
    for folder in ("services", "jobs", "errands"):
        for path in (ROOT / "webapp" / folder).rglob("*.py"):
            recorded |= set(re.findall(rf'"((?:{nouns})\.[a-z]+(?:_[a-z]+)*)"', path.read_text(encoding="utf-8")))
    recorded -= set(KINDS) | {"sample.zip", "corpus.jsonl"}
    assert recorded <= set(VERBS), recorded - set(VERBS)
    assert {verb.partition(".")[0] for verb in VERBS} == set(NOUNS)

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.webapp.experiments.conftest import add_corpus, add_example
from webapp.models import Errand, Experiment, Project, Role, State, Upload, User
from webapp.prepared import Prepared
from webapp.selectors import step_facts
from webapp.selectors.home import home_of
from webapp.selectors.steps import missing_examples, next_step, steps_of
from webapp.selectors.uploads import on_the_way

KEYS = ["documents", "examples", "tune", "generate", "review", "train", "compare", "download"]


def states(project: Project) -> list[str]:
    return [step.state for step in steps_of(Project.objects.select_related("corpus").get(pk=project.pk))]


def test_an_empty_project_begins_with_its_documents(project: Project) -> None:
    steps = steps_of(project)
    assert [step.key for step in steps] == KEYS
    assert [step.state for step in steps] == ["ready"] + ["waiting"] * 7
    assert next_step(project).label == "Upload documents"


@pytest.mark.parametrize(
    ("stage", "state"),
    [("received", "running"), ("checking", "running"), ("importing", "running"), ("mapping", "attention"),
     ("question", "attention"), ("refused", "ready"), ("done", "ready")],
)  # fmt: skip
def test_an_upload_shows_in_the_first_step(project: Project, stage: str, state: str) -> None:
    Upload.objects.create(project=project, kind="jsonl", stage=stage, name="a.jsonl")
    assert states(project)[0] == state


@pytest.mark.parametrize(("stage", "kind"), [("checking", "upload.check"), ("importing", "upload.import")])
@pytest.mark.parametrize(("end", "label"), [("failed", "Failed"), ("cancelled", "Stopped")])
def test_an_upload_whose_work_ended_badly_needs_attention(
    project: Project, stage: str, kind: str, end: str, label: str
) -> None:
    upload = Upload.objects.create(project=project, kind="jsonl", stage=stage, name="a.jsonl")
    # Nor does the good end of earlier work, or work of the same number that is about something else, say anything.
    Errand.objects.create(project=project, kind="upload.check", subject=upload.pk, state=State.DONE)
    Errand.objects.create(project=project, kind=kind, subject=upload.pk, state=end)
    Errand.objects.create(project=project, kind="corpus.index", subject=upload.pk, state=State.RUNNING)
    step = steps_of(project)[0]
    assert (step.state, step.label) == ("attention", label)
    assert "try it again" in next_step(project).sentence
    assert on_the_way(project)[0].stuck == end
    Errand.objects.create(project=project, kind=kind, subject=upload.pk, state=State.QUEUED)
    assert steps_of(project)[0].state == "running"
    assert on_the_way(project)[0].stuck == ""


def test_the_page_of_the_documents_says_that_a_check_failed(project: Project, client: Client) -> None:
    upload = Upload.objects.create(project=project, kind="jsonl", stage="checking", name="a.jsonl")
    Errand.objects.create(project=project, kind="upload.check", subject=upload.pk, state=State.FAILED)
    page = client.get(f"/p/{project.slug}/documents/").content.decode()
    assert "the check failed." in page and "Try again" in page


@pytest.mark.parametrize("stage", ["mapping", "question", "checking", "importing"])
def test_a_second_upload_on_its_way_hides_no_experiment(ready: Project, stage: str) -> None:
    Upload.objects.create(project=ready, kind="jsonl", stage=stage, name="b.jsonl")
    assert states(ready)[2] == "ready"


def test_an_upload_of_examples_is_no_upload_of_documents(project: Project) -> None:
    Upload.objects.create(project=project, kind="pairs", stage="question", name="a.csv")
    assert states(project)[0] == "ready"


def test_documents_without_examples_ask_for_examples(project: Project) -> None:
    add_corpus(project)
    assert states(project)[:3] == ["done", "ready", "waiting"]
    assert next_step(project).label == "Add examples"
    assert "18 more examples" in next_step(project).sentence


def test_enough_examples_make_the_first_experiment_ready(ready: Project) -> None:
    assert states(ready) == ["done", "done", "ready", "waiting", "waiting", "waiting", "waiting", "waiting"]
    assert next_step(ready).url.endswith("/experiments/new/")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
@pytest.mark.parametrize("outdated", [False, True])
def test_lower_roles_are_led_nowhere_that_they_may_not_go(
    ready: Project, make_experiment: Callable[..., Experiment], member: Callable[[str], User],
    login: Callable[[User], Client], role: Role, outdated: bool,
) -> None:  # fmt: skip
    if outdated:
        make_experiment(state=State.DONE).stages.update(state=State.DONE)
        ready.labels_version += 1
        ready.save()
    user = member(role.value)
    found = next_step(ready, role=role)
    assert found.url.endswith("/experiments/") and found.label == "Have a look"
    assert "an editor can start" in found.sentence
    browser = login(user)
    for step in steps_of(ready, role):
        assert not step.url or browser.get(step.url).status_code == 200, step
    assert "/experiments/new/" not in browser.get(f"/p/{ready.slug}/").content.decode()


def test_skipped_examples_do_not_count(ready: Project) -> None:
    ready.queries.filter(split="dev").update(status="skipped")
    assert states(ready)[1] == "ready"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"prepare": "done"}, ["waiting"] * 4 + ["running"] + ["waiting"]),
        ({"prepare": "done", "tune": "queued"}, ["running"] + ["waiting"] * 5),
        ({"prepare": "done", "tune": "running"}, ["running"] + ["waiting"] * 5),
        ({"tune": "done", "select.inpars": "done", "select.sptar": "done", "generate.inpars": "running"},
         ["done", "running", "waiting", "waiting", "waiting", "waiting"]),
        ({"tune": "done", "select.inpars": "done", "select.sptar": "failed"}, ["attention"] + ["waiting"] * 5),
        ({"tune": "cancelled", "select.inpars": "cancelled"}, ["ready"] + ["waiting"] * 5),
    ],
)  # fmt: skip
def test_later_steps_follow_the_stages_of_the_newest_experiment(
    make_experiment: Callable[..., Experiment], ready: Project, found: dict[str, str], expected: list[str]
) -> None:
    # The first case has a baseline measured, so that comparing has begun.
    made = make_experiment(found | ({"evaluate.bm25": "done"} if len(found) == 1 else {}), state=State.RUNNING)
    assert states(ready)[2:] == expected, made


def test_a_finished_experiment_leaves_reading_the_questions(done_experiment: Experiment, ready: Project) -> None:
    assert states(ready) == ["done", "done", "done", "done", "ready", "done", "done", "done"]
    assert next_step(ready).label == "See the results"
    assert "Read 50 generated questions" in steps_of(ready)[4].why


def test_a_finished_project_is_done_although_reading_is_optional(done_experiment: Experiment, owner: User) -> None:
    (card,) = home_of(owner).cards
    assert (card.is_done, card.done) == (True, 7)


@pytest.mark.parametrize("change", ["labels", "documents"])
def test_changes_make_later_steps_out_of_date(done_experiment: Experiment, ready: Project, change: str) -> None:
    if change == "labels":
        ready.labels_version += 1
        ready.save()
    else:
        add_corpus(ready, number=2)
    assert states(ready) == ["done", "done"] + ["outdated"] * 6
    assert next_step(ready).url.endswith("/experiments/new/")


def test_an_experiment_without_tuning_says_so(make_experiment: Callable[..., Experiment], ready: Project) -> None:
    make_experiment(arms=["bm25", "zero_shot"])
    tune = steps_of(ready)[2]
    assert (tune.state, tune.label) == ("waiting", "Not part of it")


def test_the_stepper_takes_two_queries(
    done_experiment: Experiment, ready: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    project = Project.objects.select_related("corpus").get(pk=ready.pk)
    with django_assert_num_queries(2):
        steps_of(project)


def test_every_address_of_a_step_leads_somewhere(done_experiment: Experiment, ready: Project, client: Client) -> None:
    for step in steps_of(ready)[2:]:
        assert client.get(step.url).status_code == 200, step


@pytest.mark.parametrize(
    ("train", "dev", "test", "unsplit", "words"),
    [
        (0, 0, 0, 17, "1 more example:"),
        (0, 0, 0, 18, ""),
        (8, 1, 1, 0, ""),
        (7, 10, 10, 0, "1 more training example"),
        (20, 0, 10, 0, "held-out"),
        (20, 10, 0, 0, "test example"),
    ],
)
def test_what_is_missing_is_said_with_its_number(train: int, dev: int, test: int, unsplit: int, words: str) -> None:
    sentence = missing_examples({"train": train, "dev": dev, "test": test}, unsplit)
    assert words in sentence if words else sentence == ""


def test_more_examples_than_are_counted_say_so(ready: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("step_facts", "steps"):
        monkeypatch.setattr(f"webapp.selectors.{module}.MANY", 10)
    monkeypatch.setattr(step_facts, "_PROJECTS", Prepared(step_facts._project_rows))
    add_example(ready, "one more", "train", {"d1": 1})
    assert "+" in steps_of(ready)[1].label

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from webapp.models import CurvePoint, Experiment, Project, StageRun, State, User, WeakQuery
from webapp.places import store_folder
from webapp.views.experiment_parts import PARTS

HTMX = {"HTTP_HX_REQUEST": "true"}
LLM, BASE = "smollm2-135m-instruct", "all-minilm-l6-v2"


def address(project: Project, name: str, *more: Any) -> str:
    return reverse(name, args=[project.slug, *more])


def choices(**changes: Any) -> dict[str, Any]:
    given = {"preset": "fast", "arms": ["sptar"], "families": ["bi_encoder"], "seeds": 1, "llm": LLM, "base": BASE}
    return {**given, "after": 0, **changes}


def test_the_empty_list_teaches(ready: Project, client: Client) -> None:
    page = client.get(address(ready, "experiments"))
    assert "No experiment yet" in page.content.decode()


def test_the_list_pages_by_number(make_experiment: Callable[..., Experiment], ready: Project, client: Client) -> None:
    for _ in range(21):
        make_experiment(arms=["bm25"])
    first = client.get(address(ready, "experiments")).content.decode()
    assert "?before=2" in first
    assert "/experiments/1/" not in first
    assert "/experiments/1/" in client.get(address(ready, "experiments") + "?before=2").content.decode()


@pytest.mark.parametrize("before", ["-1", "x", "9" * 30, "²", ""])
def test_nonsense_in_the_address_shows_the_first_page(ready: Project, client: Client, before: str) -> None:
    assert client.get(address(ready, "experiments"), {"before": before}).status_code == 200


def test_the_form_shows_what_it_would_take(ready: Project, client: Client) -> None:
    page = client.get(address(ready, "experiment_new")).content.decode()
    assert "Before you start" in page
    assert "10 training, 4 held-out, 6 test" in page
    assert "no history yet: rough" in page
    assert "too few to choose the best step well" in page


def test_the_card_changes_with_the_choices(ready: Project, client: Client) -> None:
    few = client.post(address(ready, "experiment_new"), choices(arms=[], action="look"), **HTMX).content.decode()
    many = client.post(address(ready, "experiment_new"), choices(seeds=5, action="look"), **HTMX).content.decode()
    assert few.strip().startswith('<aside id="before"')
    assert "<dd>3</dd>" in few
    assert "5 trained search models" in many
    assert not Experiment.objects.exists()


def test_looking_without_javascript_gives_the_whole_page(ready: Project, client: Client) -> None:
    page = client.post(address(ready, "experiment_new"), choices(action="look")).content.decode()
    assert "<html" in page
    assert not Experiment.objects.exists()


def test_a_wrong_option_is_said_at_its_field(ready: Project, client: Client) -> None:
    page = client.post(address(ready, "experiment_new"), choices(**{"filter-top_k": "0", "action": "start"}))
    assert page.status_code == 200
    assert "allowed is 1 to 100" in page.content.decode()


def test_starting_leads_to_the_experiment(ready: Project, client: Client) -> None:
    answer = client.post(address(ready, "experiment_new"), choices(action="start"))
    assert answer.status_code == 302
    assert answer["Location"] == address(ready, "experiment", 1)


def test_a_second_click_leads_to_the_same_experiment(ready: Project, client: Client) -> None:
    for _ in range(2):
        answer = client.post(address(ready, "experiment_new"), choices(action="start"))
        assert answer["Location"] == address(ready, "experiment", 1)
    assert Experiment.objects.count() == 1


def test_too_few_examples_block_with_the_number_and_a_link(ready: Project, client: Client) -> None:
    ready.queries.filter(split="train").exclude(query_id="q0").delete()
    page = client.post(address(ready, "experiment_new"), choices(action="start")).content.decode()
    assert "7 more training examples needed" in page
    assert address(ready, "examples") in page
    assert "disabled" in page
    assert not Experiment.objects.exists()


def test_an_experiment_can_be_the_start_of_another(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    make_experiment(arms=["bm25", "zero_shot", "inpars"], seeds=3)
    page = client.get(address(ready, "experiment_new") + "?like=1").content.decode()
    assert 'name="seeds" value="3"' in page
    assert client.get(address(ready, "experiment_new") + "?like=7").status_code == 404


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_starting_needs_an_editor(
    ready: Project, member: Callable[[str], User], login: Callable[[User], Client], role: str
) -> None:
    browser = login(member(role))
    assert browser.get(address(ready, "experiment_new")).status_code == 403
    assert browser.post(address(ready, "experiment_new"), choices(action="start")).status_code == 403
    page = browser.get(address(ready, "experiments"))
    assert page.status_code == 200
    assert "experiment_new" not in page.content.decode()


NAMES = ["experiment", "experiment_describe", "experiment_repeat", "experiment_cancel", "experiment_retry",
         "experiment_download"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_strangers_get_404(
    done_experiment: Experiment, ready: Project, stranger: User, login: Callable[[User], Client], name: str
) -> None:
    browser = login(stranger)
    assert browser.get(address(ready, name, 1)).status_code == 404
    assert browser.post(address(ready, name, 1)).status_code == 404
    assert browser.get(address(ready, "experiment_part", 1, "progress")).status_code == 404


@pytest.mark.parametrize("name", NAMES[1:5])
def test_a_viewer_changes_nothing(
    done_experiment: Experiment,
    ready: Project,
    member: Callable[[str], User],
    login: Callable[[User], Client],
    name: str,
) -> None:
    assert login(member("viewer")).post(address(ready, name, 1)).status_code == 403


@pytest.mark.parametrize("name", ["experiment", "experiments"])
def test_pages_are_not_posted_to(done_experiment: Experiment, ready: Project, client: Client, name: str) -> None:
    more = [1] if name == "experiment" else []
    assert client.post(address(ready, name, *more)).status_code == 405


def test_the_page_of_a_new_experiment_says_that_nobody_listens(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    make_experiment({"prepare": "queued"})
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert "Waiting for the queue" in page
    assert 'hx-trigger="every 2s"' in page


def finished(stage: StageRun, **fields: Any) -> StageRun:
    StageRun.objects.filter(pk=stage.pk).update(state=State.DONE, **fields)
    return stage


def test_a_finished_page_polls_nothing_and_offers_the_download(
    done_experiment: Experiment, ready: Project, client: Client
) -> None:
    folder = store_folder(ready) / "stages" / "package-1"
    folder.mkdir(parents=True)
    (folder / "retriever.zip").write_bytes(b"PK")
    (folder / "package.json").write_text(json.dumps({"archive": "retriever.zip", "bytes": 2, "sha256": "ab"}))
    finished(done_experiment.stages.get(stage="package"), folder="package-1")
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert "data-poll" not in page.split("<main")[1]
    assert "retriever.zip" in page
    answer = client.get(address(ready, "experiment_download", 1))
    assert b"".join(answer.streaming_content) == b"PK"  # type: ignore[attr-defined]
    assert "attachment" in answer["Content-Disposition"]


def test_what_is_not_packed_cannot_be_downloaded(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    make_experiment()
    assert client.get(address(ready, "experiment_download", 1)).status_code == 404


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_own_address_and_is_quiet_while_nothing_changes(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client, part: str
) -> None:
    make_experiment({"prepare": "done", "tune": "running"}, state=State.RUNNING)
    first = client.get(address(ready, "experiment_part", 1, part), **HTMX)
    body = first.content.decode()
    assert f'id="part-{part}"' in body
    seen = body.partition("seen=")[2].partition("&")[0]
    again = client.get(address(ready, "experiment_part", 1, part), {"seen": seen}, **HTMX)
    assert again.status_code == 204


def test_an_unknown_part_does_not_exist(done_experiment: Experiment, ready: Project, client: Client) -> None:
    assert client.get(address(ready, "experiment_part", 1, "secrets")).status_code == 404


def test_a_part_is_asked_for_only_while_it_can_change(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "done", "tune": "running"}, state=State.RUNNING)
    experiment.stages.filter(stage="select").update(state=State.WAITING)
    pace = {
        part: client.get(address(ready, "experiment_part", 1, part)).content.decode().partition("hx-trigger=")[2][:12]
        for part in PARTS
    }
    assert pace["progress"] == '"every 2s" d'
    assert pace["tune"] == '"every 2s, s'
    assert pace["train"] == '"stages-chan'
    StageRun.objects.filter(experiment=experiment, stage__in=["tune", "select"]).update(state=State.DONE)
    assert "hx-trigger" not in client.get(address(ready, "experiment_part", 1, "tune")).content.decode()


def test_the_page_hears_of_a_step_that_ended_and_of_the_end(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "running"}, state=State.RUNNING, name="Mine")
    place = address(ready, "experiment_part", 1, "progress")
    states = client.get(place).content.decode().partition("states=")[2].partition('"')[0]
    assert "HX-Trigger" not in client.get(place, {"states": states})
    experiment.stages.update(state=State.DONE)
    assert json.loads(client.get(place, {"states": states})["HX-Trigger"]) == {"stages-changed": ""}
    Experiment.objects.update(state=State.DONE)
    assert json.loads(client.get(place, {"states": states})["HX-Trigger"])["sptar:finished"] == "Mine is done."


def test_a_failed_step_says_what_happened_and_what_to_do(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "done", "tune": "failed"}, state=State.FAILED)
    error = "Not enough memory for the stage tune; a smaller batch or a smaller model needs less."
    experiment.stages.filter(step_id="tune").update(error=error, traceback="Traceback <script>")
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert error in page
    assert "Close other programs" in page
    assert "Traceback &lt;script&gt;" in page
    assert address(ready, "experiment_retry", 1) in page


def test_generated_questions_are_shown_as_text(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "done", "generate.sptar": "running"}, state=State.RUNNING)
    experiment.stages.filter(step_id="generate.sptar").update(
        folder="generate-1", metrics={"kept": 12, "dropped": 3, "queries_per_second": 2.5, "last_query": "<b>why</b>"}
    )
    WeakQuery.objects.bulk_create(
        WeakQuery(project=ready, batch="generate-1", weak_id=f"w{at}", doc_id=f"d{at}", text=f"<i>question {at}</i>")
        for at in range(12)
    )
    body = client.get(address(ready, "experiment_part", 1, "questions")).content.decode()
    assert "&lt;b&gt;why&lt;/b&gt;" in body
    assert "&lt;i&gt;question 11&lt;/i&gt;" in body
    assert "question 1&lt;" not in body  # the newest ten only
    assert "Title 11" in body
    assert ">2.5<" in body


def test_the_curve_is_drawn_as_it_grows(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "done", "tune": "running"}, state=State.RUNNING)
    tune = experiment.stages.get(step_id="tune")
    for epoch, value in ((1, 44.0), (2, 28.0), (3, 30.0)):
        values = {"epoch": epoch, "heldout_perplexity": value, "train_loss": 3.5}
        CurvePoint.objects.create(stage_run=tune, step=epoch, values=values)
    body = client.get(address(ready, "experiment_part", 1, "tune")).content.decode()
    assert "Surprise fell from 44.0 to 28.0, best after pass 2 so far." in body
    assert "Only 4 held-out examples: too few to choose the best step." in body
    assert body.count("<svg") >= 1


def test_stopping_and_going_on_ask_first(
    make_experiment: Callable[..., Experiment], ready: Project, client: Client
) -> None:
    experiment = make_experiment({"prepare": "queued"})
    assert "Stop experiment 1?" in client.get(address(ready, "experiment_cancel", 1)).content.decode()
    client.post(address(ready, "experiment_cancel", 1))
    experiment.refresh_from_db()
    assert experiment.state == State.CANCELLED
    assert "Go on with experiment 1?" in client.get(address(ready, "experiment_retry", 1)).content.decode()
    client.post(address(ready, "experiment_retry", 1))
    assert experiment.stages.get(step_id="prepare").state == State.QUEUED


def test_running_again_asks_first_and_once(ready: Project, client: Client) -> None:
    client.post(address(ready, "experiment_new"), choices(action="start"))
    page = client.get(address(ready, "experiment_repeat", 1)).content.decode()
    assert "come back at once" in page
    for _ in range(2):
        answer = client.post(address(ready, "experiment_repeat", 1), {"after": "1"})
        assert answer["Location"] == address(ready, "experiment", 2)
    assert Experiment.objects.count() == 2


def test_name_and_note_are_saved_and_bounded(done_experiment: Experiment, ready: Project, client: Client) -> None:
    client.post(address(ready, "experiment_describe", 1), {"name": "Better", "note": "<b>"})
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert "Better" in page
    assert "<b></p>" not in page
    client.post(address(ready, "experiment_describe", 1), {"name": "x" * 101, "note": ""})
    assert Experiment.objects.get().name == "Better"


def test_an_experiment_on_old_examples_says_so(done_experiment: Experiment, ready: Project, client: Client) -> None:
    assert "have changed since" not in client.get(address(ready, "experiment", 1)).content.decode()
    Project.objects.update(labels_version=9)
    assert "have changed since" in client.get(address(ready, "experiment", 1)).content.decode()


def test_the_command_does_the_same(done_experiment: Experiment, ready: Project, client: Client) -> None:
    done_experiment.settings["filter"] = {"top_k": 10}
    done_experiment.save()
    page = client.get(address(ready, "experiment", 1)).content.decode()
    assert "--preset fast --arms bm25,zero_shot,seeds_only,inpars,sptar --families bi_encoder --seeds 1" in page
    assert "--set filter.top_k=10" in page
    assert "--set tune.epochs" not in page


def test_the_enter_key_starts_nothing(ready: Project, client: Client) -> None:
    form = client.get(address(ready, "experiment_new")).content.decode().partition('id="experiment-form"')[2]
    assert 'value="look"' in form[form.index("<button") :].partition(">")[0]

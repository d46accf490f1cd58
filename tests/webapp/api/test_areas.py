"""What the API does, area by area."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.webapp.api.conftest import JSON, FakeSearch, Program
from tests.webapp.documents.attempts import run_errand
from webapp.models import (
    Corpus,
    Document,
    Event,
    Experiment,
    Judgement,
    Project,
    Query,
    Review,
    ReviewStep,
    StageRun,
    State,
    Upload,
    User,
    WeakQuery,
)


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type=JSON)


def file(raw: bytes, name: str = "corpus.jsonl") -> dict[str, SimpleUploadedFile]:
    return {"file": SimpleUploadedFile(name, raw)}


GOOD = b'{"_id": "a", "text": "One."}\n{"_id": "b", "text": "Two."}\n'
BAD = GOOD + b"{\n"


def test_a_project_is_made_and_found(api: Client, owner: User) -> None:
    made = post(api, "/api/v1/projects/", name="Rules", description="of the house")
    assert made.status_code == 201
    slug = made.json()["slug"]
    shown = api.get(f"/api/v1/projects/{slug}/").json()
    assert (shown["name"], shown["role"], shown["documents"], shown["version"]) == ("Rules", "owner", 0, None)
    assert shown["steps"][0]["key"] == "documents"
    assert api.get("/api/v1/projects/").json()["results"][0]["slug"] == slug
    assert Event.objects.get(verb="project.created").actor == owner
    assert "created the project “Rules”" in api.get(f"/api/v1/projects/{slug}/events/").json()["results"][-1]["what"]


def test_documents_are_uploaded_checked_and_imported(api: Client, base: str) -> None:
    made = api.post(f"{base}uploads/", file(GOOD))
    assert (made.status_code, made.json()["stage"]) == (201, "checking")
    upload = Upload.objects.get()
    run_errand("upload.check", upload)
    run_errand("upload.import", upload)
    shown = api.get(f"{base}uploads/{upload.pk}/").json()
    assert (shown["stage"], shown["rows_good"], shown["progress"]) == ("done", 2, None)
    assert [row["doc_id"] for row in api.get(f"{base}documents/").json()["results"]] == ["a", "b"]
    one = api.get(f"{base}documents/?doc_id=b").json()["results"][0]
    assert (one["text"], one["length"]) == ("Two.", 4)
    assert api.get(f"{base}documents/{one['id']}/").json()["text"] == "Two."
    assert api.get(f"{base}versions/").json()["results"][0]["in_use"] is True
    assert api.get(f"{base}documents/health/").json()["documents"] == 2


def test_bad_rows_wait_for_a_decision(api: Client, base: str) -> None:
    api.post(f"{base}uploads/", file(BAD))
    upload = Upload.objects.get()
    run_errand("upload.check", upload)
    shown = api.get(f"{base}uploads/{upload.pk}/").json()
    assert (shown["stage"], shown["rows_good"], shown["rows_bad"]) == ("question", 2, 1)
    assert shown["problems"][0]["line"] == 3
    assert b"".join(api.get(f"{base}uploads/{upload.pk}/problems/").streaming_content).count(b"\n") == 2
    assert post(api, f"{base}uploads/{upload.pk}/accept/").json()["stage"] == "importing"
    twice = post(api, f"{base}uploads/{upload.pk}/accept/")
    assert (twice.status_code, twice["Content-Type"]) == (409, "application/problem+json")
    assert post(api, f"{base}uploads/{upload.pk}/cancel/").json()["stage"] == "cancelled"


def test_a_table_is_read_with_the_columns_that_are_named(api: Client, base: str) -> None:
    held = api.post(f"{base}uploads/", {**file(b"n;head;body\n1;A;First\n2;B;Second\n", "t.csv"), "hold": "true"})
    assert held.json()["stage"] == "mapping"
    path = f"{base}uploads/{held.json()['id']}/check/"
    refused = post(api, path, roles=["id", "id", "text"])
    assert refused.status_code == 400
    assert "Two columns are marked as the id" in refused.json()["detail"]
    assert post(api, path, roles=["id", "title", "text"], header=True, delimiter=";").json()["stage"] == "checking"
    upload = Upload.objects.get()
    run_errand("upload.check", upload)
    run_errand("upload.import", upload)
    assert list(Document.objects.values_list("doc_id", "title", "text")) == [
        ("1", "A", "First"),
        ("2", "B", "Second"),
    ]


def test_a_file_that_is_none_gets_a_sentence(api: Client, base: str) -> None:
    for answer in (api.post(f"{base}uploads/", {}), api.post(f"{base}uploads/", file(b""))):
        assert answer.status_code == 400
        assert answer.json()["errors"]["file"]
    assert post(api, f"{base}uploads/", file="x").status_code == 415
    assert not Upload.objects.exists()


def test_a_file_over_the_limit_is_refused_with_the_sentence_of_the_page(
    api: Client, base: str, settings: Any
) -> None:  # fmt: skip
    settings.UPLOAD_LIMIT_MB = 1
    answer = api.post(f"{base}uploads/", file(b"x" * (1 << 20) + b"y"))
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.json()["detail"]


def test_questions_are_written_judged_changed_and_deleted(api: Client, base: str, corpus: Corpus) -> None:
    made = post(api, f"{base}queries/", text="how long is a loan")
    assert (made.status_code, made.json()["status"]) == (201, "open")
    assert post(api, f"{base}queries/", text="How long is a loan").status_code == 200  # the same question
    path = f"{base}queries/{made.json()['id']}/"
    given = post(api, f"{path}judgements/", doc_id="d1", grade=2).json()["results"][0]
    assert (given["grade"], given["judge"], given["source"]) == (2, "Olga Owner", "api")
    blind = post(api, f"{path}judgements/", doc_id="d1", grade=0)
    assert blind.status_code == 409 and "changed this meanwhile" in blind.json()["detail"]
    changed = post(api, f"{path}judgements/", doc_id="d1", grade=3, seen=given["seen"]).json()["results"][0]
    assert changed["grade"] == 3
    assert post(api, f"{path}judgements/", doc_id="d1", grade=None, seen=changed["seen"]).json() == {"results": []}
    assert post(api, f"{path}judgements/", doc_id="nix", grade=1).status_code == 400
    assert post(api, f"{path}finish/").json()["status"] == "done"
    seen = api.get(path).json()["revision"]
    new = api.patch(path, {"seen": seen, "text": "loan period?", "split": "test"}, content_type=JSON).json()
    assert (new["text"], new["split"], new["split_fixed"]) == ("loan period?", "test", True)
    old = api.patch(path, {"seen": seen, "text": "other"}, content_type=JSON)
    assert old.status_code == 409
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_a_question_can_be_written_for_a_document(api: Client, base: str, corpus: Corpus) -> None:
    made = post(api, f"{base}queries/", text="what does a lost card cost", doc_id="d3")
    assert (made.status_code, made.json()["relevant"]) == (201, 1)
    assert Judgement.objects.get().doc_id == "d3"
    assert post(api, f"{base}queries/", text="x", doc_id="nix").status_code == 400


def test_examples_are_imported_and_exported(api: Client, base: str, corpus: Corpus) -> None:
    raw = b"query,doc_id,grade\nwhen open,d2,2\n=cmd,d1,1\nlost,nix,1\n"
    made = api.post(f"{base}imports/", {**file(raw, "pairs.csv"), "split": "train"})
    assert (made.status_code, made.json()["stage"], made.json()["rows_bad"]) == (201, "question", 1)
    path = f"{base}imports/{made.json()['id']}/"
    assert post(api, f"{path}accept/").json()["stage"] == "done"
    assert [post(api, f"{path}{word}/").status_code for word in ("accept", "discard")] == [409, 409]  # it has gone on
    assert [row["split"] for row in api.get(f"{base}queries/").json()["results"]] == ["train", "train"]
    lines = b"".join(api.get(f"{base}examples/export/").streaming_content).decode().splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["when open", "=cmd"]
    table = b"".join(api.get(f"{base}examples/export/?kind=csv").streaming_content).decode()
    assert "'=cmd" in table


def test_search_finds_documents_and_says_when_it_cannot(
    api: Client, base: str, corpus: Corpus, search: FakeSearch
) -> None:
    found = api.get(f"{base}search/?q=loan").json()
    assert [hit["doc_id"] for hit in found["hits"]] == ["d1", "d2", "d3"]
    assert found["hits"][0]["title"] == "Renewing a loan"
    search.down = True
    answer = api.get(f"{base}search/?q=loan")
    assert (answer.status_code, answer.json()["detail"]) == (503, "The search service is not running.")


def test_an_experiment_is_planned_and_started_once(api: Client, base: str, ready: Project, owner: User) -> None:
    plan = post(api, f"{base}experiments/plan/", preset="fast").json()
    assert plan["can_start"] is True
    assert plan["counts"] == {"documents": 40, "train": 10, "dev": 4, "test": 6, "train_pairs": 20}
    assert plan["estimate"]["low_seconds"] < plan["estimate"]["high_seconds"]
    order = {"preset": "fast", "arms": ["sptar"], "request_token": "monday", "settings": {"tune": {"epochs": 2}}}
    first, second = post(api, f"{base}experiments/", **order), post(api, f"{base}experiments/", **order)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["number"] == second.json()["number"] == 1
    experiment = Experiment.objects.get()
    assert (experiment.arms, experiment.started_by) == (["bm25", "zero_shot", "sptar"], owner)
    assert experiment.settings["tune"]["epochs"] == 2
    shown = api.get(f"{base}experiments/1/").json()
    assert (shown["state"], shown["stages"][0]["state"]) == ("queued", "queued")
    assert post(api, f"{base}experiments/1/cancel/").json()["state"] == "cancelled"
    assert post(api, f"{base}experiments/1/retry/").json()["state"] == "queued"
    again = [post(api, f"{base}experiments/1/repeat/", request_token="t").json()["number"] for _ in range(2)]
    assert again == [2, 2]


def test_the_request_token_of_another_person_is_another_request(
    api: Client, program: Program, member: Callable[[str], User], base: str, ready: Project
) -> None:
    order = {"preset": "fast", "arms": ["sptar"], "request_token": "monday"}
    other = program(member("editor"))
    assert [post(one, f"{base}experiments/", **order).json()["number"] for one in (api, other)] == [1, 2]


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ({"preset": "nix"}, "is not a valid choice"),
        ({"settings": {"tune": {"epochs": 10**9}}}, "epochs"),
        ({"settings": {"tune": {"model": "/etc/passwd"}}}, "There is no option tune.model"),
        ({"settings": {"nix": {"x": 1}}}, "There is no option nix.x"),
        ({"llm": "../../etc"}, "llm"),
        ({"base": "file:///etc/passwd"}, "base"),
        ({"seeds": 6}, "less than or equal to 5"),
    ],
)
def test_an_experiment_with_wrong_choices_gets_a_sentence(
    api: Client, base: str, ready: Project, order: dict[str, Any], sentence: str
) -> None:
    answer = post(api, f"{base}experiments/", **order)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert sentence in answer.json()["detail"]
    assert not Experiment.objects.exists()


def test_an_experiment_without_examples_does_not_start(api: Client, base: str, corpus: Corpus) -> None:
    answer = post(api, f"{base}experiments/", preset="fast")
    assert answer.status_code == 409
    assert "training examples" in answer.json()["detail"] or "documents" in answer.json()["detail"]


@pytest.fixture
def written(ready: Project) -> list[WeakQuery]:
    """Experiment 1 whose arm sptar has five generated questions, the first the riskiest."""
    experiment = Experiment.objects.create(
        project=ready, number=1, request_token="r", preset="fast", arms=["sptar"], corpus=ready.corpus,
        labels_version=1, dataset="d", state=State.DONE,
    )  # fmt: skip
    for position, stage in enumerate(("generate", "filter")):
        StageRun.objects.create(
            experiment=experiment, position=position, step_id=f"{stage}.sptar", stage=stage, arms=["sptar"],
            queue="cpu", state=State.DONE, folder="batch" if stage == "generate" else "f",
        )  # fmt: skip
    return WeakQuery.objects.bulk_create(
        WeakQuery(
            project=ready, batch="batch", weak_id=f"w{n}", doc_id=f"d{n}", text=f"what is d{n}", risk=1 - n / 10, draw=n
        )
        for n in range(5)
    )


def test_generated_questions_are_listed_judged_and_taken_back(
    api: Client, base: str, written: list[WeakQuery], owner: User
) -> None:
    path = f"{base}experiments/1/questions/sptar/"
    assert [row["weak_id"] for row in api.get(path).json()["results"]] == ["w4", "w3", "w2", "w1", "w0"]
    card = post(api, f"{path}next/").json()["question"]
    assert card == {"id": written[0].pk, "doc_id": "d0", "text": "what is d0"}
    given = post(api, f"{base}questions/{card['id']}/verdict/", verdict="reject", reason="vague").json()
    assert (given["verdict"], given["reason"], given["reviews"][0]["reviewer"]) == ("reject", "vague", "Olga Owner")
    assert Review.objects.get().source == "api"
    post(api, f"{base}questions/{card['id']}/verdict/", verdict="reject", reason="vague")
    assert ReviewStep.objects.count() == 1  # the same again changes nothing
    assert post(api, f"{path}next/").json()["question"]["id"] == written[1].pk
    assert [row["id"] for row in api.get(f"{path}?verdict=reject").json()["results"]] == [card["id"]]
    assert post(api, f"{base}verdicts/undo/").json()["verdict"] == ""
    assert post(api, f"{base}verdicts/undo/").status_code == 409
    assert post(api, f"{base}questions/{card['id']}/verdict/", verdict="reject", reason="nix").status_code == 400
    edited = post(api, f"{base}questions/{card['id']}/verdict/", verdict="edit", text="what is d zero").json()
    assert edited["edited"] == "what is d zero"


def test_two_people_never_get_the_same_card(
    api: Client, program: Program, member: Callable[[str], User], base: str, written: list[WeakQuery]
) -> None:
    other = program(member("reviewer"), "label")
    path = f"{base}experiments/1/questions/sptar/next/"
    cards = [post(one, path).json()["question"]["id"] for one in (api, other, api)]
    assert cards == [written[0].pk, written[1].pk, written[0].pk]


def test_a_verdict_on_a_whole_filter_is_previewed_given_and_taken_back(
    api: Client, base: str, written: list[WeakQuery]
) -> None:
    path = f"{base}experiments/1/questions/sptar/bulk/"
    assert post(api, path, verdict="accept", preview=True).json() == {"count": 5, "is_exact": True}
    assert post(api, path, verdict="accept", text="d3", preview=True).json()["count"] == 1
    WeakQuery.objects.filter(pk=written[0].pk).update(dropped="short")
    assert post(api, path, verdict="accept", preview=True).json()["count"] == 4  # clean-up dropped one for good
    assert post(api, path, verdict="reject", preview=True).json()["count"] == 5
    made = post(api, path, verdict="accept")
    assert made.status_code == 202
    assert post(api, path, verdict="accept").json()["id"] == made.json()["id"]
    assert post(api, f"{base}bulk/{made.json()['id']}/undo/").json()["undone_at"]
    assert post(api, f"{base}bulk/{made.json()['id']}/undo/").status_code == 409


def test_a_comparison_is_empty_before_anything_is_measured(api: Client, base: str, written: list[WeakQuery]) -> None:
    shown = api.get(f"{base}experiments/1/comparison/").json()
    assert (shown["arms"], shown["judgements"]) == ([], 0)
    assert api.get(f"{base}experiments/1/comparison/?judgements=3").status_code == 404
    assert api.get(f"{base}experiments/1/queries/").json() == {"results": [], "next": None}
    assert api.get(f"{base}experiments/1/results/?query_id=q1").status_code == 404
    assert [row["number"] for row in api.get(f"{base}experiments/1/rescorings/").json()["results"]] == [0]
    answer = post(api, f"{base}experiments/1/rescorings/")
    assert answer.status_code == 409 and "Nothing of this experiment is measured" in answer.json()["detail"]
    asked = post(api, f"{base}archives/", experiment=1, kind="runs")
    assert asked.status_code == 409
    assert post(api, f"{base}experiments/1/with-verdicts/").status_code == 409


def test_lists_are_read_page_by_page(api: Client, base: str, ready: Project) -> None:
    seen: list[str] = []
    path = f"{base}queries/?limit=7"
    while path:
        page = api.get(path).json()
        assert len(page["results"]) <= 7
        seen += [row["query_id"] for row in page["results"]]
        path = page["next"]
    assert seen == [f"q{n}" for n in range(19, -1, -1)]
    assert Query.objects.count() == 20

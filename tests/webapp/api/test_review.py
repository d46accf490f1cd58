"""Reviewing by programs: the sample, second opinions, disagreements, what the verdicts change, new examples."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from tests.webapp.api.conftest import Program
from tests.webapp.api.test_areas import post, written
from webapp.models import Query, Review, StageRun, User, WeakQuery
from webapp.places import store_folder

__all__ = ["written"]


@pytest.fixture
def other(program: Program, member: Callable[[str], User]) -> Client:
    """The program of a second person, who may review."""
    return program(member("reviewer"), "label")


@pytest.fixture
def path(base: str) -> str:
    """The questions of the arm."""
    return f"{base}experiments/1/questions/sptar/"


def test_the_sample_says_how_good_the_questions_are(
    api: Client, base: str, path: str, written: list[WeakQuery]
) -> None:
    assert api.get(f"{path}sample/").json()["looked_at"] == 0
    for weak, verdict in zip(written, ["accept", "accept", "reject", "unsure", "accept"], strict=True):
        post(api, f"{base}questions/{weak.pk}/verdict/", verdict=verdict, queue="sample")
    shown = api.get(f"{path}sample/").json()
    assert [shown[name] for name in ("size", "looked_at", "good", "bad", "flagged")] == [5, 5, 3, 1, 1]
    assert shown["interval"] == pytest.approx([0.3006, 0.9544], abs=1e-4)  # Wilson, three of four
    assert set(Review.objects.values_list("source", flat=True)) == {"sample"}


def test_second_opinions_of_programs_count(
    api: Client, other: Client, base: str, path: str, written: list[WeakQuery]
) -> None:
    for weak in written[:2]:
        post(api, f"{base}questions/{weak.pk}/verdict/", verdict="accept", queue="queue")
    for verdict in ("accept", "reject"):
        card = post(other, f"{path}next/", queue="second").json()["question"]["id"]
        post(other, f"{base}questions/{card}/verdict/", verdict=verdict, queue="second")
    shown = api.get(f"{path}agreement/").json()
    assert [(pair["verdicts"]["n"], pair["use"]["n"]) for pair in shown["pairings"]] == [(2, 2)]
    assert sorted((row["reviewed"], row["second"]) for row in shown["people"]) == [(2, 0), (2, 2)]
    assert shown["disputed"] == 1
    assert post(api, f"{base}questions/{card}/verdict/", verdict="accept", queue="nix").status_code == 400


def test_a_disagreement_is_settled_by_who_has_seen_it(
    api: Client, other: Client, base: str, written: list[WeakQuery]
) -> None:
    one = f"{base}questions/{written[0].pk}/"
    alone = post(api, f"{one}verdict/", verdict="accept").json()
    assert post(api, f"{one}settle/", verdict="accept", seen=alone["state"]).status_code == 400  # nobody differs
    state = post(other, f"{one}verdict/", verdict="reject", reason="vague").json()["state"]
    assert post(api, f"{one}settle/", verdict="unsure", seen=state).status_code == 400
    assert post(api, f"{one}settle/", verdict="accept", seen=alone["state"]).status_code == 409
    settled = post(api, f"{one}settle/", verdict="reject", reason="vague", seen=state).json()
    assert (settled["verdict"], settled["disputed"], settled["reviews"][0]["settled"]) == ("reject", False, True)
    assert len(settled["reviews"]) == 3


def test_accepted_questions_become_examples(api: Client, base: str, path: str, written: list[WeakQuery]) -> None:
    refused = post(api, f"{base}questions/{written[0].pk}/promote/")
    assert (refused.status_code, "accepted" in refused.json()["detail"]) == (400, True)
    for weak in written[:3]:
        post(api, f"{base}questions/{weak.pk}/verdict/", verdict="accept")
    assert api.get(f"{path}effect/").json()["promotable"] == 3
    made = post(api, f"{base}questions/{written[0].pk}/promote/")
    assert (made.status_code, made.json()["text"], made.json()["split"]) == (201, "what is d0", "train")
    assert post(api, f"{path}promote/").json() == {"made": 2, "known": 0}
    assert post(api, f"{path}promote/").json()["made"] == 0
    assert Query.objects.filter(origin="promoted").count() == 3


def test_the_effect_of_the_verdicts_is_told(api: Client, base: str, path: str, written: list[WeakQuery]) -> None:
    StageRun.objects.filter(stage="filter").update(state="running")
    assert api.get(f"{path}effect/").status_code == 404
    StageRun.objects.filter(stage="filter").update(state="done")
    assert "no verdict yet" in api.get(f"{path}effect/").json()["sentence"]
    StageRun.objects.filter(stage="filter").update(metrics={"kept": 5, "total": 5}, config={"top_k": 70})
    WeakQuery.objects.update(rank=1)
    post(api, f"{base}questions/{written[0].pk}/verdict/", verdict="reject")
    shown = api.get(f"{path}effect/").json()
    assert (shown["before"], shown["after"], shown["removed"]) == (5, 4, 1)


def test_another_threshold_is_tried_without_starting_anything(api: Client, path: str, written: list[WeakQuery]) -> None:
    assert api.get(f"{path}filter/").status_code == 404  # its result is not there
    folder = store_folder(written[0].project) / "stages" / "f"
    folder.mkdir(parents=True)
    (folder / "curve.json").write_text(json.dumps({"kept_by_k": [2, 4, 5]}), encoding="utf-8")
    StageRun.objects.filter(stage="filter").update(config={"top_k": 3}, metrics={"total": 5, "kept": 5})
    shown = api.get(f"{path}filter/?k=1").json()
    assert [shown[name] for name in ("k", "current", "most", "kept", "kept_now", "written")] == [1, 3, 3, 2, 5, 5]
    assert shown["kept_by_k"] == [2, 4, 5]
    assert [one["count"] for one in shown["reasons"]] == [3]
    assert api.get(f"{path}filter/").json()["k"] == 3
    assert api.get(f"{path}filter/?k=0").status_code == 400


def test_a_verdict_on_all_that_are_like_one(api: Client, path: str, written: list[WeakQuery]) -> None:
    like = {"like": written[0].pk, "how": "start"}
    WeakQuery.objects.filter(pk__in=[weak.pk for weak in written[:3]]).update(text="what is the price of it")
    assert post(api, f"{path}bulk/", verdict="reject", preview=True, **like).json()["count"] == 3
    half = post(api, f"{path}bulk/", verdict="reject", like=written[0].pk)
    assert (half.status_code, "go together" in half.json()["detail"]) == (400, True)

"""Generated questions as rows: none lost, none doubled, and a person's verdict outlives everything."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from sptar_engine.artifacts import write_jsonl
from tests.webapp.jobs.installation import Installation
from webapp.chunks import AT_ONCE
from webapp.jobs.attempt import Attempt
from webapp.jobs.questions import Questions, draw, mark_ranks, risk
from webapp.models import Experiment, StageRun, State, WeakQuery
from webapp.selectors.review_batches import last_filter
from webapp.services import stages

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_redis", "fake_stages")]

BATCH = "generate-0123456789abcdef"


@pytest.fixture
def attempt(data_dir: Path) -> Attempt:
    made = Installation(data_dir, data_dir / "none.sock", "").experiment(upto="generate")
    stages.queue_ready(made)
    found = Attempt.claim(StageRun, made.stages.get(stage="generate").pk, 1)
    assert found is not None
    return found


@pytest.fixture
def rows(attempt: Attempt, tmp_path: Path) -> Questions:
    return Questions(attempt, attempt.row.experiment.project, tmp_path, BATCH)


def draft(name: str, text: str | None = None, reason: str = "") -> dict[str, str]:
    text = f"what is {name}" if text is None else text
    return {
        "weak_id": f"w-{name}",
        "doc_id": name,
        "raw": f" {text}\n",
        "query": "" if reason else text,
        "reason": reason,
    }


def write_shard(folder: Path, number: int, attempt_number: int, *drafts: dict[str, str]) -> None:
    write_jsonl(folder / f"{BATCH}.attempt-{attempt_number}" / "scratch" / f"shard-{number:06d}-aa.jsonl", drafts)


def write_result(folder: Path, *drafts: dict[str, str]) -> Path:
    write_jsonl(folder / BATCH / "weak.jsonl", [one for one in drafts if not one["reason"]])
    write_jsonl(folder / BATCH / "dropped.jsonl", [one for one in drafts if one["reason"]])
    return folder / BATCH


def found() -> list[tuple[Any, ...]]:
    return list(WeakQuery.objects.order_by("id").values_list("weak_id", "text", "dropped"))


def test_shards_become_rows_as_they_come_and_once(rows: Questions, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 1, draft("a"), draft("b", "12 34", "letterless"))
    rows.collect()
    write_shard(tmp_path, 1, 1, draft("c"))
    rows.collect()
    rows.collect()
    assert found() == [("w-a", "what is a", ""), ("w-b", "12 34", "letterless"), ("w-c", "what is c", "")]


def test_half_written_shard_waits_for_the_next_report(rows: Questions, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 1, draft("a"))
    shard = next(tmp_path.glob("*/scratch/*"))
    whole = shard.read_text()
    shard.write_text(whole[:20])
    rows.collect()
    assert found() == []
    shard.write_text(whole)
    rows.collect()
    assert len(found()) == 1


def test_result_completes_what_the_shards_began(rows: Questions, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 1, draft("a"))
    rows.collect()
    folder = write_result(tmp_path, draft("a"), draft("b"), draft("c", "…", "empty"))
    rows.complete(folder)
    rows.complete(folder)
    assert found() == [("w-a", "what is a", ""), ("w-b", "what is b", ""), ("w-c", "…", "empty")]


def test_row_that_the_result_does_not_have_goes_unless_a_person_judged_it(rows: Questions, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 1, draft("a"), draft("x"), draft("y"))
    rows.collect()
    WeakQuery.objects.filter(weak_id="w-y").update(verdict="accept")
    rows.complete(write_result(tmp_path, draft("a")))
    assert [row[0] for row in found()] == ["w-a", "w-y"]


def test_long_result_is_written_in_pieces(rows: Questions, tmp_path: Path) -> None:
    rows.complete(write_result(tmp_path, *(draft(str(number)) for number in range(2 * AT_ONCE + 1))))
    assert len(found()) == 2 * AT_ONCE + 1


def test_text_of_a_model_is_stored_whatever_it_is(rows: Questions, tmp_path: Path) -> None:
    rows.complete(write_result(tmp_path, draft("a", "what\0is <script>"), draft("b", "x" * 5000)))
    assert [len(row[1]) for row in found()] == [16, 2000]
    assert found()[0][1] == "what\N{REPLACEMENT CHARACTER}is <script>"


def test_ranks_are_written_to_the_batch_they_belong_to(
    rows: Questions, attempt: Attempt, tmp_path: Path, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    rows.complete(write_result(tmp_path, draft("a"), draft("b"), draft("c")))
    project = attempt.row.experiment.project
    other = WeakQuery.objects.create(project=project, batch="generate-other", weak_id="w-a", doc_id="a", text="same")
    verdicts = [("a", 1, ""), ("b", None, "rank"), ("c", 4, "duplicate")]
    write_jsonl(
        tmp_path / "ranks.jsonl",
        ({"weak_id": f"w-{name}", "rank": rank, "kept": not why, "reason": why} for name, rank, why in verdicts),
    )
    mark_ranks(attempt, attempt.row, BATCH, tmp_path)
    assert list(WeakQuery.objects.filter(batch=BATCH).order_by("id").values_list("rank", "dropped")) == [
        (1, ""), (None, "rank"), (4, "duplicate"),
    ]  # fmt: skip
    other.refresh_from_db()
    assert other.rank is None
    with django_assert_max_num_queries(6):  # nothing changed, nothing written
        mark_ranks(attempt, attempt.row, BATCH, tmp_path)


@pytest.mark.parametrize(("number", "series", "dropped"), [(2, "", "rank"), (0, "", ""), (2, "curve", "")])
def test_an_older_filter_takes_nothing_from_that_of_a_newer_experiment(
    rows: Questions, attempt: Attempt, tmp_path: Path, number: int, series: str, dropped: str
) -> None:
    rows.complete(write_result(tmp_path, draft("a")))
    WeakQuery.objects.update(rank=5, dropped="rank")
    one = attempt.row.experiment
    other = Experiment.objects.create(
        project=one.project, number=number, series=series, request_token="other", preset="fast", corpus=one.corpus,
        labels_version=1, dataset=one.dataset,
    )  # fmt: skip
    for position, stage in enumerate(("generate", "filter")):
        StageRun.objects.create(
            experiment=other, position=position, step_id=stage, stage=stage, queue="cpu", arms=["sptar"],
            state=State.DONE, folder=BATCH if stage == "generate" else "filter-x",
        )  # fmt: skip
    write_jsonl(tmp_path / "ranks.jsonl", [{"weak_id": "w-a", "rank": 5, "kept": True, "reason": ""}])
    mark_ranks(attempt, attempt.row, BATCH, tmp_path)
    assert WeakQuery.objects.get().dropped == dropped


@pytest.mark.parametrize("order", [("inpars", "promptagator"), ("promptagator", "inpars")])
def test_of_two_filters_of_one_experiment_that_of_the_first_arm_has_the_word(
    rows: Questions, attempt: Attempt, tmp_path: Path, order: tuple[str, str]
) -> None:
    rows.complete(write_result(tmp_path, draft("a")))
    one = attempt.row.experiment
    StageRun.objects.filter(pk=attempt.row.pk).update(folder=BATCH, arms=["inpars", "promptagator"])
    for place, arm in enumerate(("inpars", "promptagator")):
        StageRun.objects.create(
            experiment=one, position=100 + place, step_id=f"filter.{arm}", stage="filter", queue="cpu", arms=[arm],
            folder=f"filter-{arm}",
        )  # fmt: skip
    for arm in order:
        why = "" if arm == "inpars" else "round_trip"
        write_jsonl(tmp_path / "ranks.jsonl", [{"weak_id": "w-a", "rank": 5, "kept": not why, "reason": why}])
        mark_ranks(attempt, one.stages.get(step_id=f"filter.{arm}"), BATCH, tmp_path)
        one.stages.filter(step_id=f"filter.{arm}").update(state=State.DONE)
    assert WeakQuery.objects.get().dropped == ""
    last = last_filter(one.project, BATCH)
    assert last is not None and last.step_id == "filter.inpars"


def test_questions_from_before_the_columns_get_their_draw_and_risk(
    rows: Questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = import_module("webapp.migrations.0003_fill_draw_and_risk")
    monkeypatch.setattr(fill, "_AT_ONCE", 2)
    rows.complete(write_result(tmp_path, *(draft(name) for name in "abcd"), draft("e", reason="short")))
    ranks = {"w-a": (1, ""), "w-b": (10, ""), "w-c": (None, "rank")}
    WeakQuery.objects.update(draw=0)
    for weak_id, (rank, dropped) in ranks.items():
        WeakQuery.objects.filter(weak_id=weak_id).update(rank=rank, dropped=dropped)
    fill.fill(apps, SimpleNamespace(connection=connection))
    assert {row.weak_id: (row.draw, row.risk) for row in WeakQuery.objects.all()} == {
        **{weak_id: (draw(weak_id), risk(rank, None)) for weak_id, (rank, _) in ranks.items()},
        "w-d": (draw("w-d"), 0.0), "w-e": (draw("w-e"), 0.0),  # not filtered, not to be
    }  # fmt: skip


def test_a_question_has_its_loss_and_a_draw_of_its_own(rows: Questions, tmp_path: Path) -> None:
    write_shard(tmp_path, 0, 1, draft("a") | {"loss": 1.25})
    rows.collect()
    rows.complete(write_result(tmp_path, draft("a") | {"loss": 1.25}, draft("b", reason="short") | {"loss": 3.5}))
    # Digits 9 to 16 of: printf w-a | sha256sum, without their highest bit
    assert list(WeakQuery.objects.order_by("id").values_list("loss", "draw")) == [
        (1.25, draw("w-a")),
        (3.5, draw("w-b")),
    ]
    assert draw("w-a") == 0x4024_331C


def test_questions_of_an_older_version_have_no_loss(rows: Questions, tmp_path: Path) -> None:
    rows.complete(write_result(tmp_path, draft("a")))
    assert WeakQuery.objects.get().loss is None


@pytest.mark.parametrize(
    ("rank", "loss", "expected"),
    [
        (1, 0.0, 0.0),  # found first, no surprise
        (10, 0.0, 0.25),  # ln 10 / ln 100 = 1/2
        (100, 0.0, 0.5), (1000, 0.0, 0.5), (None, 0.0, 0.5),
        (1, math.log(2), 0.25),  # half of the probability
        (1, None, 0.25), (None, None, 0.75),
        (None, 50.0, 1.0),
    ],
)  # fmt: skip
def test_risk_grows_with_rank_and_surprise(rank: int | None, loss: float | None, expected: float) -> None:
    assert risk(rank, loss) == pytest.approx(expected, abs=1e-4)


def test_the_filter_gives_each_question_its_risk(rows: Questions, attempt: Attempt, tmp_path: Path) -> None:
    rows.complete(write_result(tmp_path, draft("a") | {"loss": math.log(2)}, draft("b")))
    ranks = [("a", 10), ("b", None)]
    write_jsonl(
        tmp_path / "ranks.jsonl",
        ({"weak_id": f"w-{name}", "rank": rank, "kept": True, "reason": ""} for name, rank in ranks),
    )
    mark_ranks(attempt, attempt.row, BATCH, tmp_path)
    assert list(WeakQuery.objects.order_by("id").values_list("risk", flat=True)) == [0.5, 0.75]

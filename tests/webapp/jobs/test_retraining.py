"""Trained again with verdicts: only what the verdicts change is done anew, by the very file that was taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sptar_engine import experiment as plans
from sptar_engine import registry
from tests.webapp.jobs.installation import Installation, fresh
from webapp.jobs import runner
from webapp.models import Experiment, StageRun, State, User, Verdict, WeakQuery
from webapp.places import decisions_file, store_folder
from webapp.services import derive, stages

pytestmark = pytest.mark.usefixtures("database_file", "no_redis", "fake_stages")

SETTINGS = plans.merge(
    plans.everywhere(dtype="float32", threads=1), {"generate": {"documents": 10, "shard_documents": 8}}
)


def work(experiment: Experiment) -> Experiment:
    """Do the queued steps one after the other, as a worker's children would."""
    while row := StageRun.objects.filter(experiment=experiment, state=State.QUEUED).order_by("position").first():
        runner.run_stage_run(row.pk, row.attempt)
    return fresh(experiment)


@pytest.fixture
def done(data_dir: Path) -> Experiment:
    """A finished experiment of two arms that write questions, ten each."""
    made = Installation(data_dir, data_dir / "none.sock", "").experiment(
        documents=10, shard=8, arms=("zero_shot", "inpars", "sptar"), upto="generate"
    )
    Experiment.objects.filter(pk=made.pk).update(settings=SETTINGS)
    stages.queue_ready(made)
    return work(made)


@pytest.fixture
def actor(done: Experiment) -> User:
    return User.objects.create_user("reviewer@example.org")


def reject(experiment: Experiment, arm: str) -> WeakQuery:
    batch = experiment.stages.get(step_id=f"generate.{arm}").folder
    weak = WeakQuery.objects.filter(batch=batch, dropped="").earliest("pk")
    weak.verdict = Verdict.REJECT
    weak.save()
    return weak


def test_only_what_the_verdicts_change_is_done_anew(done: Experiment, actor: User) -> None:
    assert done.state == State.DONE
    weak = reject(done, "sptar")
    again = work(derive.with_verdicts(experiment=done, actor=actor, request_token="again"))
    assert again.state == State.DONE
    anew = list(again.stages.filter(reused=False).values_list("step_id", flat=True))
    # The fake training gives the same model whatever it reads, so that its evaluation comes back too.
    assert anew == ["train.sptar"]
    assert set(again.comparison["arms"]) == {"zero_shot", "inpars", "sptar"}
    weak.refresh_from_db()
    assert weak.verdict == Verdict.REJECT


def test_the_same_verdicts_again_do_nothing_anew_and_others_do(done: Experiment, actor: User) -> None:
    reject(done, "sptar")
    for token in ("one", "two"):
        again = work(derive.with_verdicts(experiment=done, actor=actor, request_token=token))
    assert not again.stages.filter(reused=False).exists()
    reject(done, "inpars")
    third = work(derive.with_verdicts(experiment=done, actor=actor, request_token="three"))
    assert set(third.stages.filter(reused=False).values_list("step_id", flat=True)) == {"train.inpars", "train.sptar"}


def test_another_threshold_writes_no_question_anew(done: Experiment, actor: User) -> None:
    made = work(derive.with_threshold(experiment=done, actor=actor, request_token="k", top_k=3))
    assert made.state == State.DONE
    reused = set(made.stages.filter(reused=True).values_list("step_id", flat=True))
    assert {"prepare", "tune", "select.sptar", "generate.sptar", "generate.inpars", "evaluate.zero_shot"} <= reused
    assert {"filter.sptar", "filter.inpars"} <= set(made.stages.filter(reused=False).values_list("step_id", flat=True))


def test_an_update_of_the_application_writes_no_question_anew(
    done: Experiment, actor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the verdicts would be about questions that nobody trains with."""
    weak = reject(done, "sptar")
    before = dict(done.stages.values_list("step_id", "folder"))
    for stage in ("prepare", "tune", "generate"):
        monkeypatch.setitem(registry.STAGES, stage, replace(registry.STAGES[stage], version=99))
    again = work(derive.with_verdicts(experiment=done, actor=actor, request_token="again"))
    assert again.state == State.DONE
    after = dict(again.stages.values_list("step_id", "folder"))
    for step in ("prepare", "tune", "select.sptar", "generate.sptar", "filter.sptar"):
        assert after[step] == before[step], step
    assert again.stages.get(step_id="tune").points.exists()
    assert list(again.stages.filter(reused=False).values_list("step_id", flat=True)) == ["train.sptar"]
    weak.refresh_from_db()
    assert (weak.verdict, weak.rank) == (Verdict.REJECT, 1)


def test_a_result_that_was_changed_on_the_disk_is_made_anew(done: Experiment, actor: User) -> None:
    reject(done, "sptar")
    folder = store_folder(done.project) / "stages" / done.stages.get(step_id="tune").folder
    (folder / "history.jsonl").write_text("")
    again = work(derive.with_verdicts(experiment=done, actor=actor, request_token="again"))
    assert again.state == State.DONE
    assert not again.stages.get(step_id="tune").reused


def test_verdicts_that_are_gone_from_the_disk_are_said(done: Experiment, actor: User) -> None:
    reject(done, "sptar")
    made = derive.with_verdicts(experiment=done, actor=actor, request_token="again")
    decisions_file(made.project, made.decisions).unlink()
    assert work(made).state == State.FAILED
    error = made.stages.get(step_id="train.sptar").error
    assert error.startswith("The verdicts that this experiment was started with are no longer on the disk.")

"""What every family of retrievers has to keep, and what only some have."""

import json
import shutil
from pathlib import Path

import pytest
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import STARTS_RANDOM
from sptar_engine.errors import Cancelled, ConfigError, InputError
from sptar_engine.stage import Progress
from sptar_engine.stages import train as train_stage

LOADED_BY = {
    "bi_encoder": SentenceTransformer,
    "late_interaction": MultiVectorEncoder,
    "cross_encoder": CrossEncoder,
    "sparse": SparseEncoder,
    "adapter": SentenceTransformer,
}
SCRATCH = frozenset({"scratch"})
QUICK = {"batch_size": 16, "token_dimensions": 8, "adapter_rank": 4, "rerank_depth": 5, "learning_rate": 1e-4}

every_family = pytest.mark.parametrize("family", LOADED_BY)


@pytest.fixture
def inputs(prepare, filtered, mined, taught) -> dict[str, Path]:
    return {"prepare": prepare, "filter": filtered, "mine": mined, "teach": taught}


def test_families_are_those_of_this_file() -> None:
    assert LOADED_BY.keys() == train_stage.FAMILIES.keys()


@every_family
def test_family_trains_with_negatives_and_a_teacher_and_loads_in_one_line(
    family, make_context, inputs, make_config, tmp_path
) -> None:
    reports: list[Progress] = []
    context = make_context("train", inputs, report=reports.append)
    metrics = train_stage.run(make_config(family=family, negatives=2, **QUICK), context).metrics
    LOADED_BY[family](str(context.out_dir / "model"), device="cpu", local_files_only=True)
    assert metrics["taught_queries"] == 34 and metrics["hard_negatives"] >= 2 * 34
    assert 0 <= metrics["dev_nDCG@10"] <= 1
    assert metrics["dev_nDCG@10_trained"] == metrics["mixtures"]["1"]
    assert json.loads(json.dumps(metrics)) == metrics
    assert metrics["sentence"].startswith(("On the held-out questions", "Kept the untrained model"))
    history = list(read_jsonl(context.out_dir / "history.jsonl"))
    assert [row["step"] for row in history] == list(range(metrics["steps"] + 1))
    done = [report.done for report in reports]
    assert done == sorted(done)
    for path in (context.out_dir / "model").rglob("*.json"):
        content = path.read_text(encoding="utf-8")
        assert str(tmp_path.parent) not in content and str(Path.home()) not in content, path


def run_stopped_after_first_evaluation(make_context, inputs, config) -> tuple[Path, Path]:
    """The folders of an undisturbed run and of one that was stopped and started again."""
    ticks: list[Progress] = []
    whole = make_context("train", inputs, report=ticks.append)
    expected = train_stage.run(config, whole).metrics
    evaluated = [number for number, tick in enumerate(ticks) if "dev_nDCG@10" in tick.metrics]
    attempt = make_context("train", inputs)
    answers = iter([False] * (evaluated[0] + 2) + [True])
    stopped = make_context("train", inputs, out=attempt.out_dir, should_stop=answers.__next__)
    with pytest.raises(Cancelled):
        train_stage.run(config, stopped)
    assert not (attempt.out_dir / "model").exists()
    assert train_stage.run(config, attempt).metrics == expected
    return whole.out_dir, attempt.out_dir


@every_family
def test_stopped_family_goes_on_to_the_same_bytes(family, make_context, inputs, make_config) -> None:
    whole, attempt = run_stopped_after_first_evaluation(make_context, inputs, make_config(family=family, **QUICK))
    assert checksums(attempt, SCRATCH) == checksums(whole, SCRATCH)


@every_family
def test_training_that_ended_but_was_not_saved_is_saved_with_the_same_bytes(
    family, make_context, inputs, make_config
) -> None:
    context, config = make_context("train", inputs), make_config(family=family, epochs=1, evaluations=1, **QUICK)
    train_stage.run(config, context)
    whole = checksums(context.out_dir, SCRATCH)
    shutil.rmtree(context.out_dir / "model")
    train_stage.run(config, context)  # from the checkpoint of its last step: it measures nothing again
    assert checksums(context.out_dir, SCRATCH) == whole


@pytest.mark.parametrize("family", [name for name in LOADED_BY if name != "adapter"])
def test_low_rank_adapters_resume_and_are_gone_from_the_saved_model(family, make_context, inputs, make_config) -> None:
    config = make_config(family=family, lora_rank=2, **QUICK)
    whole, attempt = run_stopped_after_first_evaluation(make_context, inputs, config)
    assert checksums(attempt, SCRATCH) == checksums(whole, SCRATCH)
    model = LOADED_BY[family](str(whole / "model"), device="cpu", local_files_only=True)
    assert not any("lora" in name or "base_layer" in name for name in model.state_dict())
    assert not any(path.name.startswith("adapter") for path in (whole / "model").rglob("*"))


@every_family
def test_family_that_begins_at_random_has_no_mixture_and_is_held_against_another(
    family, make_context, inputs, make_config
) -> None:
    context = make_context("train", inputs)
    metrics = train_stage.run(make_config(family=family, epochs=1, evaluations=1, **QUICK), context).metrics
    shares = {"1"} if family in STARTS_RANDOM else {"0", "0.5", "1"}
    assert metrics["mixtures"].keys() == shares
    named = {"late_interaction": "the untrained bi-encoder", "sparse": "the untrained bi-encoder"}
    assert metrics.get("yardstick") == (named | {"cross_encoder": "BM25"}).get(family)
    if family in STARTS_RANDOM:
        assert metrics["dev_nDCG@10_untrained"] == metrics["dev_nDCG@10_yardstick"]
        assert f"of {metrics['yardstick']}" in metrics["sentence"] and not metrics["kept_untrained"]
    assert ("sparse autoencoder" in metrics["sentence"]) == (family == "sparse")
    assert ("weight" in metrics) == (family == "cross_encoder")
    said = f"counts {metrics.get('weight', 1):.0%} there, BM25's {1 - metrics.get('weight', 1):.0%}."
    assert (said in metrics["sentence"]) == (metrics.get("weight", 1) < 1)


def test_yardstick_of_all_families_is_measured_once(make_context, inputs, make_config) -> None:
    measured = []
    for family in ("bi_encoder", "late_interaction", "sparse"):
        config = make_config(family=family, epochs=1, evaluations=1, mixes="1.0", **QUICK)
        measured.append(train_stage.run(config, make_context("train", inputs)).metrics)
    assert measured[0]["dev_nDCG@10_untrained"] == measured[1]["dev_nDCG@10_yardstick"]
    assert measured[1]["dev_nDCG@10_yardstick"] == measured[2]["dev_nDCG@10_yardstick"]


def test_teacher_that_does_not_teach_is_named(make_context, inputs, make_config, tmp_path) -> None:
    write_jsonl(tmp_path / "silent" / "scores.jsonl", ())
    context = make_context("train", inputs | {"teach": tmp_path / "silent"})
    metrics = train_stage.run(make_config(epochs=1, evaluations=1, mixes="1.0"), context).metrics
    assert metrics["taught_queries"] == 0
    assert metrics["sentence"].endswith("Nobody taught it: its teacher was not fit to teach.")


def test_teacher_changes_what_is_learned_and_weight_zero_does_not(make_context, inputs, make_config) -> None:
    def losses(weight: float, **more: Path) -> list[float]:
        context = make_context("train", {key: inputs[key] for key in ("prepare", "filter")} | more)
        train_stage.run(make_config(epochs=1, evaluations=1, mixes="1.0", teacher_weight=weight), context)
        return [row["loss"] for row in read_jsonl(context.out_dir / "history.jsonl")][1:]

    alone = losses(0.5)
    assert losses(0.5, teach=inputs["teach"]) != alone
    # Documents that are there for the teacher alone count against no query; only dropout sees other rows.
    assert losses(0.0, teach=inputs["teach"])[0] == pytest.approx(alone[0], rel=0.2)


def test_negatives_without_the_stage_that_finds_them_are_refused(make_context, prepare, make_config) -> None:
    with pytest.raises(InputError, match=r"train\.negatives=2 asks for hard negatives; the stage mine"):
        train_stage.run(make_config(negatives=2), make_context("train", {"prepare": prepare}))


def test_negatives_are_the_first_of_those_mined(make_context, inputs, make_config) -> None:
    lesson = train_stage.read_lesson(make_config(negatives=2), make_context("train", inputs))
    assert all(len(keys) == 2 for keys in lesson.training_set.negatives.values())
    for key, negatives in lesson.training_set.negatives.items():
        assert not set(negatives) & set(lesson.training_set.positives[key])
    documents = lesson.training_set.documents
    assert all(document in documents for scores in lesson.taught.values() for document in scores)


def test_documents_that_answer_everything_leave_nothing_to_learn(make_context, prepare, make_config) -> None:
    rows = list(read_jsonl(prepare / "seeds" / "train.jsonl"))
    write_jsonl(prepare / "seeds" / "train.jsonl", [row for row in rows if row["query_id"] == rows[0]["query_id"]])
    with pytest.raises(InputError, match="there is nothing to tell an answer from"):
        train_stage.run(make_config(), make_context("train", {"prepare": prepare}))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"matryoshka": "32"}, r"train\.matryoshka: 32 is not less than the 32 dimensions of the base"),
        ({"family": "late_interaction", "token_dimensions": 64}, r"train\.token_dimensions: 64 is more than the 32"),
        ({"family": "adapter", "adapter_rank": 33}, r"train\.adapter_rank: 33 is more than the 32 dimensions"),
    ],
)
def test_option_beyond_the_base_is_refused_before_any_training(
    settings, said, make_context, prepare, make_config
) -> None:
    context = make_context("train", {"prepare": prepare})
    with pytest.raises(ConfigError, match=said):
        train_stage.run(make_config(**settings), context)
    assert not (context.out_dir / "scratch").exists()


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"family": "late_interaction", "matryoshka": "16"}, "train.matryoshka"),
        ({"family": "cross_encoder", "multi_positive": True}, "train.multi_positive"),
        ({"family": "adapter", "lora_rank": 4}, "train.lora_rank"),
    ],
)
def test_option_that_a_family_has_no_use_for_is_refused_with_the_settings(settings, option, make_config) -> None:
    with pytest.raises(ConfigError, match=option.replace(".", r"\.")):
        make_config(**settings)

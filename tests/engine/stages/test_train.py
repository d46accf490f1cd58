import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import CONFIGS, TrainConfig
from sptar_engine.data.beir import qrels_path, read_qrels, read_queries, write_labels
from sptar_engine.data.seeds import seeds_path
from sptar_engine.errors import Cancelled, ConfigError, InputError
from sptar_engine.records import Qrels
from sptar_engine.stage import Progress
from sptar_engine.stages import train as train_stage
from sptar_engine.training.bi_encoder import BiEncoder


@pytest.fixture
def scores(monkeypatch) -> Callable[..., None]:
    """Let dev evaluations give these scores, in turn; the first is the untrained model's."""

    def set_scores(*values: float) -> None:
        waiting = iter(values)
        monkeypatch.setattr(BiEncoder, "score", lambda learner, meter: next(waiting))

    return set_scores


def weights(folder: Path):
    return load_file(folder / "model.safetensors")


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = weights(one), weights(other)
    return ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in ours)


def test_model_history_and_numbers_are_left(make_context, prepare, filtered, make_config) -> None:
    reports: list[Progress] = []
    context = make_context("train", {"prepare": prepare, "filter": filtered}, report=reports.append)
    metrics = train_stage.run(make_config(), context).metrics
    seeds = len(list(read_jsonl(prepare / "seeds" / "train.jsonl")))
    assert (metrics["seed_pairs"], metrics["weak_pairs"], metrics["steps"]) == (seeds, 20, 10)
    history = list(read_jsonl(context.out_dir / "history.jsonl"))
    assert [row["step"] for row in history] == list(range(metrics["steps"] + 1))
    measured = {row["step"]: row["dev_nDCG@10"] for row in history if row["dev_nDCG@10"] is not None}
    assert measured.keys() == {0, 5, 10}
    assert metrics["dev_nDCG@10_untrained"] == measured[0]
    assert metrics["dev_nDCG@10_trained"] == max(measured[5], measured[10]) == measured[metrics["best_step"]]
    assert metrics["dev_nDCG@10"] == max(metrics["mixtures"].values())
    losses = [row["loss"] for row in history[1:]]
    assert losses[-1] < losses[0]
    assert SentenceTransformer(str(context.out_dir / "model"), device="cpu").max_seq_length == 48
    assert json.loads(json.dumps(metrics)) == metrics
    assert {"loss", "step"} <= set().union(*(report.metrics for report in reports))
    assert {"dev_nDCG@10", "best_step"} <= set().union(*(report.metrics for report in reports))
    done = [report.done for report in reports]
    assert done == sorted(done) and done[-1] == reports[-1].total


def test_no_file_names_this_machine_or_quotes_a_text(make_context, prepare, make_config, tmp_path) -> None:
    context = make_context("train", {"prepare": prepare})
    train_stage.run(make_config(mixes="1.0", evaluations=1, epochs=1), context)
    quotes = [row["query"] for row in read_jsonl(prepare / "seeds" / "train.jsonl")]
    left = [path for path in context.out_dir.rglob("*") if path.is_file() and "scratch" not in path.parts]
    assert left
    for path in left:
        content = path.read_bytes().decode("utf-8", "replace")
        assert str(tmp_path.parent) not in content and str(Path.home()) not in content, path
        assert not any(quote in content for quote in quotes), path


def test_queries_with_answers_below_the_least_grade_count_neither_now_nor_from_the_cache(
    make_context, prepare, make_config
) -> None:
    every, path = read_qrels(prepare, "dev"), qrels_path(prepare, "dev")
    few = list(every.grades)[:4]
    lines = [
        f"{query_id}\t{doc_id}\t{grade if query_id in few else min(grade, 1)}"
        for query_id, grades in every.grades.items()
        for doc_id, grade in grades.items()
    ]
    path.write_text("\n".join([path.read_text().splitlines()[0], *lines]) + "\n")
    config = make_config(mixes="1.0", evaluations=1, epochs=1)
    whole = train_stage.run(config, make_context("train", {"prepare": prepare})).metrics
    seeds = [row for row in read_jsonl(seeds_path(prepare, "dev")) if row["query_id"] in few]
    write_jsonl(seeds_path(prepare, "dev"), seeds)  # as `prepare.min_grade=2` leaves it
    graded = train_stage.run(config, make_context("train", {"prepare": prepare})).metrics
    labels = {query_id: every.grades[query_id] for query_id in few}
    write_labels(prepare, read_queries(prepare).values(), {"dev": Qrels(labels), "train": read_qrels(prepare, "train")})
    alone = train_stage.run(config, make_context("train", {"prepare": prepare})).metrics
    assert graded["dev_nDCG@10_untrained"] == alone["dev_nDCG@10_untrained"] != whole["dev_nDCG@10_untrained"]


def test_stopped_run_goes_on_to_the_same_bytes(make_context, prepare, filtered, make_config) -> None:
    inputs, scratch = {"prepare": prepare, "filter": filtered}, frozenset({"scratch"})
    whole = make_context("train", inputs)
    expected = train_stage.run(make_config(), whole).metrics
    for stop_at in (1, 6, 9, 15):  # the first step; in and after an evaluation; at the mixture
        attempt = make_context("train", inputs)
        answers = iter([False] * (stop_at - 1) + [True])
        stopped = make_context("train", inputs, out=attempt.out_dir, should_stop=answers.__next__)
        with pytest.raises(Cancelled):
            train_stage.run(make_config(), stopped)
        assert not (attempt.out_dir / "model").exists() and not (attempt.out_dir / "history.jsonl").exists()
        assert train_stage.run(make_config(), attempt).metrics == expected
        assert checksums(attempt.out_dir, scratch) == checksums(whole.out_dir, scratch)


def test_same_seed_same_bytes_other_seed_other_model(make_context, prepare, make_config) -> None:
    folders = []
    for seed in (13, 13, 14):
        context = make_context("train", {"prepare": prepare})
        train_stage.run(make_config(seed=seed, mixes="1.0", epochs=1), context)
        folders.append(context.out_dir)
    assert checksums(folders[0]) == checksums(folders[1])
    assert not same_weights(folders[0] / "model", folders[2] / "model")


def test_untrained_model_is_kept_when_nothing_beats_it(
    make_context, prepare, make_config, scores, tiny_encoder
) -> None:
    scores(0.410, 0.401, 0.400, 0.395)  # untrained, two evaluations, the half mixture
    context = make_context("train", {"prepare": prepare})
    metrics = train_stage.run(make_config(), context).metrics
    assert metrics["kept_untrained"] and metrics["share"] == 0 and metrics["dev_nDCG@10"] == 0.410
    assert metrics["dev_nDCG@10_trained"] == 0.401
    assert metrics["sentence"] == (
        "Kept the untrained model: training did not help on the held-out questions: nDCG@10 0.401 against 0.410."
    )
    assert same_weights(context.out_dir / "model", tiny_encoder)


def test_tie_goes_to_the_untrained_model(make_context, prepare, make_config, scores, tiny_encoder) -> None:
    scores(0.41, 0.41, 0.41, 0.41)
    context = make_context("train", {"prepare": prepare})
    metrics = train_stage.run(make_config(), context).metrics
    assert metrics["kept_untrained"] and "0.41000 against 0.41000" in metrics["sentence"]
    assert same_weights(context.out_dir / "model", tiny_encoder)


def test_mixture_may_win_though_the_trained_weights_are_below_the_start(
    make_context, prepare, make_config, scores, tiny_encoder
) -> None:
    scores(0.410, 0.405, 0.400, 0.420)
    mixed = make_context("train", {"prepare": prepare})
    metrics = train_stage.run(make_config(), mixed).metrics
    assert metrics["share"] == 0.5 and not metrics["kept_untrained"] and metrics["best_step"] == 3
    assert metrics["mixtures"] == {"0": 0.410, "0.5": 0.420, "1": 0.405}
    assert (
        "a mixture of 50% trained and 50% untrained weights reached nDCG@10 0.420 against 0.410"
        in (metrics["sentence"])
    )
    assert "The trained weights alone are below it: 0.405 against 0.410." in metrics["sentence"]
    scores(0.5, 0.4)  # the untrained score is in the cache by now
    trained = make_context("train", {"prepare": prepare})
    train_stage.run(make_config(mixes="1.0"), trained)
    middle = weights(trained.out_dir / "model")
    for name, base in weights(tiny_encoder).items():
        assert weights(mixed.out_dir / "model")[name].allclose((middle[name] + base) / 2, atol=1e-7)


def test_untrained_score_is_measured_once_for_all_arms(make_context, prepare, filtered, make_config, scores) -> None:
    scores(0.3, 0.4, 0.5)
    first = train_stage.run(make_config(mixes="1.0"), make_context("train", {"prepare": prepare})).metrics
    scores(0.6, 0.7)
    context = make_context("train", {"prepare": prepare, "filter": filtered})
    second = train_stage.run(make_config(mixes="1.0"), context).metrics
    assert first["dev_nDCG@10_untrained"] == second["dev_nDCG@10_untrained"] == 0.3
    scores(0.35, 0.4, 0.5)  # another pool is another question
    third = train_stage.run(make_config(mixes="1.0", dev_pool=20), make_context("train", {"prepare": prepare})).metrics
    assert third["dev_nDCG@10_untrained"] == 0.35


def test_decisions_take_part(make_context, prepare, filtered, make_config, tmp_path) -> None:
    rows = [
        {"weak_id": "w0", "verdict": "reject"}, {"weak_id": "w1", "verdict": "edit", "text": "something better"},
        {"weak_id": "w2", "verdict": "accept"}, {"weak_id": "of another arm", "verdict": "accept"},
    ]  # fmt: skip
    decisions = tmp_path / "decisions.jsonl"
    decisions.write_text("\n".join(map(json.dumps, rows)))
    inputs = {"prepare": prepare, "filter": filtered, "decisions": decisions}
    context = make_context("train", inputs)
    metrics = train_stage.run(make_config(epochs=1, evaluations=1, mixes="1.0"), context).metrics
    names = ("weak_pairs", "edited_pairs", "accepted_pairs", "rejected_pairs", "unknown_decisions")
    assert [metrics[name] for name in names] == [18, 1, 1, 1, 1]
    assert metrics["rejected_negatives"] == 0  # the rejected question has no other document


def test_bad_decision_is_refused_before_any_work(make_context, prepare, filtered, make_config, tmp_path) -> None:
    decisions = tmp_path / "decisions.jsonl"
    decisions.write_text('{"weak_id": "w0", "verdict": "reject"}\n{"weak_id": "w1", "verdict": "perhaps"}\n')
    context = make_context("train", {"prepare": prepare, "filter": filtered, "decisions": decisions})
    with pytest.raises(InputError, match=r"decisions\.jsonl, line 2: verdict must be one of .*'perhaps'"):
        train_stage.run(make_config(), context)
    assert list(context.out_dir.iterdir()) == []


def test_every_family_of_the_settings_has_a_learner() -> None:
    choices = CONFIGS["train"].__dataclass_fields__["family"].metadata["choices"]
    assert tuple(train_stage.FAMILIES) == choices


@pytest.mark.parametrize("mixes", ["", "half", "0.5,", "0", "1.5", "nan", "-0.5"])
def test_shares_that_are_none_are_refused_with_the_settings(mixes) -> None:
    with pytest.raises(ConfigError, match=r"train\.mixes"):
        TrainConfig(mixes=mixes)


def test_shares_are_sorted_and_each_once() -> None:
    assert TrainConfig(mixes="1.0, 0.25,0.5,1").shares == (0.25, 0.5, 1.0)

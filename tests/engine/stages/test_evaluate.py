"""The stage on the toy dataset, by keywords and by vectors, and on Cranfield where that is at hand."""

import os
from pathlib import Path

import pytest
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import read_json
from sptar_engine.configs import EvaluateConfig, PrepareConfig
from sptar_engine.data.beir import read_qrels
from sptar_engine.errors import Cancelled, InputError
from sptar_engine.evaluation.metrics import MEASURES, measure
from sptar_engine.evaluation.trec import read_run
from sptar_engine.records import Qrels
from sptar_engine.retrieval import lexical_ranking
from sptar_engine.stages import prepare
from sptar_engine.stages.evaluate import run, summarise
from tests import tiny_families


@pytest.fixture
def prepared(toy_dataset, make_context) -> Path:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare.run(PrepareConfig(), context)
    return context.out_dir


@pytest.fixture
def configs(tiny_encoder) -> dict[str, EvaluateConfig]:
    return {
        "bm25": EvaluateConfig(retriever="bm25"),
        "dense": EvaluateConfig(retriever="dense", base=str(tiny_encoder)),
    }


@pytest.mark.parametrize("retriever", ["bm25", "dense"])
def test_run_file_and_metrics_agree(prepared, configs, make_context, retriever) -> None:
    context = make_context("evaluate", {"prepare": prepared})
    metrics = run(configs[retriever], context).metrics
    stored = read_json(context.out_dir / "metrics.json")
    qrels, rankings = read_qrels(prepared, "test"), read_run(context.out_dir / "run.trec")
    again = measure(qrels, rankings)
    assert stored == {"mean": again.mean, "per_query": again.per_query}
    assert set(stored["per_query"]["nDCG@10"]) == set(qrels.grades)
    assert {name: metrics[name] for name in MEASURES} == stored["mean"]
    assert metrics["queries"] == 12
    assert metrics["sentence"].endswith("over 12 test queries")


def test_keywords_find_what_the_toy_queries_name(prepared, configs, make_context) -> None:
    assert run(configs["bm25"], make_context("evaluate", {"prepare": prepared})).metrics["R@100"] > 0.9


@pytest.mark.parametrize("retriever", ["bm25", "dense"])
def test_files_are_the_same_again(prepared, configs, make_context, retriever) -> None:
    first, second = (make_context("evaluate", {"prepare": prepared}) for _ in range(2))
    run(configs[retriever], first)
    run(configs[retriever], second)
    for name in ("run.trec", "metrics.json"):
        assert (first.out_dir / name).read_bytes() == (second.out_dir / name).read_bytes()


def test_trained_model_is_used_where_there_is_one(prepared, configs, make_context, tiny_encoder, tmp_path) -> None:
    other = SentenceTransformer(str(tiny_encoder), device="cpu")
    other[0].auto_model.embeddings.word_embeddings.weight.data.neg_()
    other.save(str(tmp_path / "train" / "model"), create_model_card=False)
    untrained, trained = (
        make_context("evaluate", {"prepare": prepared}),
        make_context("evaluate", {"prepare": prepared, "train": tmp_path / "train"}),
    )
    run(configs["dense"], untrained)
    run(configs["dense"], trained)
    assert (untrained.out_dir / "run.trec").read_bytes() != (trained.out_dir / "run.trec").read_bytes()


@pytest.mark.parametrize(
    ("retriever", "messages"),
    [("bm25", {"documents indexed", "queries searched"}), ("dense", {"documents encoded", "queries searched"})],
)
def test_progress_is_told_and_the_stage_stops(prepared, configs, make_context, retriever, messages) -> None:
    told = []
    run(configs[retriever], make_context("evaluate", {"prepare": prepared}, report=told.append))
    assert {progress.message for progress in told} == messages
    assert (told[-1].done, told[-1].total) == (told[-1].total, told[-1].total)
    with pytest.raises(Cancelled):
        run(configs[retriever], make_context("evaluate", {"prepare": prepared}, should_stop=lambda: True))


def test_keyword_search_goes_in_chunks(prepared, configs, make_context, monkeypatch) -> None:
    whole = make_context("evaluate", {"prepare": prepared})
    run(configs["bm25"], whole)
    monkeypatch.setattr(lexical_ranking, "_CHUNK", 5)
    told = []
    chunked = make_context("evaluate", {"prepare": prepared}, report=lambda progress: told.append(progress.done))
    run(configs["bm25"], chunked)
    assert told == [5, 10, 12]
    assert (chunked.out_dir / "run.trec").read_bytes() == (whole.out_dir / "run.trec").read_bytes()


@pytest.mark.parametrize("family", ["late_interaction", "cross_encoder", "sparse"])
def test_trained_model_of_every_family_is_measured_the_same_again(
    prepared, make_context, tiny_encoder, tmp_path, family
) -> None:
    tiny_families.write(family, tiny_encoder, tmp_path / "train" / "model")
    config = EvaluateConfig(retriever=family, max_length=64)
    first, second = (make_context("evaluate", {"prepare": prepared, "train": tmp_path / "train"}) for _ in range(2))
    metrics = run(config, first).metrics
    run(config, second)
    assert metrics["queries"] == 12
    assert (first.out_dir / "run.trec").read_bytes() == (second.out_dir / "run.trec").read_bytes()


@pytest.mark.parametrize("retriever", ["late_interaction", "cross_encoder", "sparse"])
def test_family_that_begins_at_random_needs_a_trained_model(prepared, make_context, retriever) -> None:
    with pytest.raises(InputError, match="needs a trained model"):
        run(EvaluateConfig(retriever=retriever), make_context("evaluate", {"prepare": prepared}))


def test_cross_encoder_puts_as_many_hits_in_order_as_asked_for(prepared, make_context, tiny_encoder, tmp_path) -> None:
    tiny_families.write("cross_encoder", tiny_encoder, tmp_path / "train" / "model")
    inputs = {"prepare": prepared, "train": tmp_path / "train"}
    words, read = make_context("evaluate", {"prepare": prepared}), make_context("evaluate", inputs)
    run(EvaluateConfig(retriever="bm25"), words)
    run(EvaluateConfig(retriever="cross_encoder", rerank_depth=3, max_length=64), read)
    by_words, by_reading = read_run(words.out_dir / "run.trec"), read_run(read.out_dir / "run.trec")
    for query_id, hits in by_words.items():
        order = [hit.doc_id for hit in hits]
        found = [hit.doc_id for hit in by_reading[query_id]]
        assert set(found[:3]) == set(order[:3])
        assert found[3:] == order[3:]


def test_summary_says_whether_anything_was_judged_not_relevant() -> None:
    for grades, expected in (({"a": 1}, False), ({"a": 1, "b": 0}, True)):
        qrels = Qrels({"q": grades})
        assert summarise(measure(qrels, {}), qrels)["has_judged_non_relevant"] is expected


@pytest.mark.skipif(not os.environ.get("DATASETS"), reason="$DATASETS names no folder of test collections")
def test_bm25_on_cranfield_is_the_known_value(make_context) -> None:
    context = make_context("prepare", {"dataset": Path(os.environ["DATASETS"]) / "cranfield"})
    prepare.run(PrepareConfig(), context)
    metrics = run(EvaluateConfig(retriever="bm25"), make_context("evaluate", {"prepare": context.out_dir})).metrics
    assert metrics["nDCG@10"] == pytest.approx(0.359, abs=0.002)

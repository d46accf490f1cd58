"""The filter's decisions on lists, and the stage on the toy dataset with the real Lucene."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from sptar_engine.artifacts import read_json, read_jsonl, write_jsonl
from sptar_engine.configs import FilterConfig, PrepareConfig
from sptar_engine.data.corpus import read_corpus
from sptar_engine.data.verdicts import RankRule, judge
from sptar_engine.data.weak import read_kept
from sptar_engine.errors import Cancelled, ConfigError, InputError
from sptar_engine.records import Hit, WeakPair
from sptar_engine.retrieval import bm25_ranks
from sptar_engine.stages import prepare
from sptar_engine.stages.filter import _place_among_texts, run, summarise
from tests import tiny_models

_SEED = "which bird is bright yellow like a falcon"


def pair(weak_id: str, query: str, rank: int | None) -> WeakPair:
    return WeakPair(weak_id, query, f"doc-{weak_id}", "p", rank)


def by_bm25(pairs: list[WeakPair], top_k: int) -> RankRule:
    return RankRule({pair.weak_id: pair.rank for pair in pairs}, top_k)


def test_summary_counts_every_reason() -> None:
    pairs = [pair("a", "one", 1), pair("b", "one", 3), pair("c", _SEED, 1), pair("d", "", None), pair("e", "two", 40)]
    summary = summarise(judge(pairs, [_SEED], 0.9, by_bm25(pairs, 30)), by_bm25(pairs, 30))
    assert summary == {
        "total": 5, "kept": 1, "kept_share": 0.2, "mean_rank": 45 / 4,
        "dropped_empty": 1, "dropped_copy": 1, "dropped_duplicate": 1, "dropped_rank": 1,
        "sentence": "1 of 5 generated queries kept (20%); 1 do not find their document within the first 30, "
        "1 copy a labelled query, 1 are duplicates, 1 are empty",
    }  # fmt: skip


def test_summary_of_nothing_is_all_zero() -> None:
    assert summarise([], by_bm25([], 30))["kept_share"] == 0.0
    assert summarise([], by_bm25([], 30))["mean_rank"] is None


@pytest.fixture
def inputs(toy_dataset, make_context, tmp_path) -> dict[str, Path]:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare.run(PrepareConfig(), context)
    rows = [
        ("w0", "where is the falcon of the desert camp", "bird-2"),
        ("w1", "where is the falcon of the desert camp?", "bird-0"),  # of another document, ranked worse
        ("w2", "hammer", "food-3"),  # its words are not in its document
        ("w3", next(read_jsonl(context.out_dir / "seeds" / "train.jsonl"))["query"], "bird-0"),
        ("w4", next(read_jsonl(context.out_dir / "seeds" / "dev.jsonl"))["query"], "bird-0"),
        ("w5", "pliers that are long and narrow", "tool-3"),
    ]
    weak = ({"weak_id": w, "query": query, "doc_id": doc_id, "prompt_id": "p"} for w, query, doc_id in rows)
    write_jsonl(tmp_path / "generate" / "weak.jsonl", weak)
    return {"prepare": context.out_dir, "generate": tmp_path / "generate"}


def test_stage_ranks_every_query_and_keeps_the_good_ones(inputs, make_context) -> None:
    context = make_context("filter", inputs)
    metrics = run(FilterConfig(top_k=3, depth=50), context).metrics
    rows = {row["weak_id"]: row for row in read_jsonl(context.out_dir / "ranks.jsonl")}
    assert {weak_id: row["reason"] for weak_id, row in rows.items()} == {
        "w0": "", "w1": "duplicate", "w2": "rank", "w3": "copy", "w4": "copy", "w5": "",
    }  # fmt: skip
    assert rows["w0"] == {
        "weak_id": "w0", "query": "where is the falcon of the desert camp", "doc_id": "bird-2", "prompt_id": "p",
        "rank": 1, "kept": True, "reason": "",
    }  # fmt: skip
    assert rows["w2"]["rank"] is None
    assert [kept.weak_id for kept in read_kept(context.out_dir)] == ["w0", "w5"]
    curve = read_json(context.out_dir / "curve.json")["kept_by_k"]
    assert (len(curve), curve[2], curve[-1]) == (50, 2, 2)
    assert (metrics["total"], metrics["kept"], metrics["dropped_copy"]) == (6, 2, 2)


def test_result_is_the_same_again_without_an_index_of_lucene(inputs, make_context) -> None:
    first, again = make_context("filter", inputs), make_context("filter", inputs)
    run(FilterConfig(), first)
    run(FilterConfig(), again)
    assert not again.cache.exists()
    for name in ("ranks.jsonl", "curve.json"):
        assert (first.out_dir / name).read_bytes() == (again.out_dir / name).read_bytes()


def test_progress_is_told_per_chunk_and_stops(inputs, make_context, monkeypatch) -> None:
    monkeypatch.setattr(bm25_ranks, "_SCORES", 100)  # six queries find more among 60 documents
    told: list[tuple[str, int, int]] = []
    run(FilterConfig(), make_context("filter", inputs, report=lambda p: told.append((p.message, p.done, p.total))))
    assert told[0] == ("documents read", 60, 60)
    assert [(message, total) for message, _, total in told[1:]] == [("queries ranked", 6)] * (len(told) - 1)
    assert len(told) > 2 and told[-1][1] == 6
    with pytest.raises(Cancelled):
        run(FilterConfig(), make_context("filter", inputs, should_stop=lambda: True))


def test_threshold_beyond_the_depth_is_refused(inputs, make_context) -> None:
    with pytest.raises(ConfigError, match=r"filter\.top_k: 30 is beyond filter\.depth, 10"):
        run(FilterConfig(top_k=30, depth=10), make_context("filter", inputs))


def test_no_queries_at_all_give_an_empty_result(inputs, make_context) -> None:
    write_jsonl(inputs["generate"] / "weak.jsonl", [])
    context = make_context("filter", inputs)
    assert run(FilterConfig(depth=30), context).metrics["total"] == 0
    assert read_json(context.out_dir / "curve.json") == {"kept_by_k": [0] * 30}


@pytest.fixture
def with_losses(inputs: dict[str, Path]) -> dict[str, Path]:
    """The same queries, each with its loss: w5 is the likeliest that has no flaw."""
    rows = list(read_jsonl(inputs["generate"] / "weak.jsonl"))
    losses = {"w0": 2.0, "w1": 1.0, "w2": 3.0, "w3": 0.1, "w4": 0.1, "w5": 1.5}
    write_jsonl(inputs["generate"] / "weak.jsonl", (row | {"loss": losses[row["weak_id"]]} for row in rows))
    return inputs


def test_likelihood_keeps_the_likeliest_and_the_bm25_rank_beside_it(with_losses, make_context) -> None:
    context = make_context("filter", with_losses)
    metrics = run(FilterConfig(method="likelihood", keep_share=0.3), context).metrics
    rows = {row["weak_id"]: row for row in read_jsonl(context.out_dir / "ranks.jsonl")}
    # w1 is likelier than its copy w0 and stays; of w1, w2 and w5 one is kept
    assert {weak_id: row["reason"] for weak_id, row in rows.items()} == {
        "w0": "duplicate", "w1": "", "w2": "likelihood", "w3": "copy", "w4": "copy", "w5": "likelihood",
    }  # fmt: skip
    assert (rows["w5"]["rank"], rows["w5"]["loss"], rows["w2"]["rank"]) == (1, 1.5, None)
    assert (metrics["kept"], metrics["dropped_likelihood"], metrics["dropped_duplicate"]) == (1, 2, 1)
    # by BM25 w5 alone would be kept: the document of w1 is about another bird
    assert (metrics["sound"], metrics["kept_by_bm25"], metrics["kept_by_both"]) == (3, 1, 0)
    assert "2 are not among the likeliest 30%" in metrics["sentence"]
    curve = read_json(context.out_dir / "curve.json")
    assert (curve["by"], curve["kept_by_k"]) == ("likelihood", [])
    assert [curve["loss_by_percent"][percent - 1] for percent in (1, 33, 34, 66, 67, 100)] == [1, 1, 1.5, 1.5, 3, 3]


def test_likelihood_without_losses_is_an_input_error_before_anything_is_searched(inputs, make_context) -> None:
    seen: list[str] = []
    context = make_context("filter", inputs, report=lambda progress: seen.append(progress.message))
    with pytest.raises(InputError, match=r"weak\.jsonl does not say how likely the query w0 is"):
        run(FilterConfig(method="likelihood"), context)
    assert not seen


def test_round_trip_asks_the_base_retriever_and_keeps_both_ranks(inputs, make_context, tiny_encoder) -> None:
    context = make_context("filter", inputs)
    config = FilterConfig(method="round_trip", top_k=5, base=str(tiny_encoder))
    metrics = run(config, context).metrics
    rows = {row["weak_id"]: row for row in read_jsonl(context.out_dir / "ranks.jsonl")}
    assert _are_ranks_of(tiny_encoder, inputs, {weak_id: row["dense_rank"] for weak_id, row in rows.items()})
    assert rows["w0"]["rank"] == 1
    for row in rows.values():
        if row["reason"] in ("", "round_trip"):
            assert row["kept"] == (row["dense_rank"] <= 5)
    curve = read_json(context.out_dir / "curve.json")
    assert curve["by"] == "round_trip"
    assert curve["kept_by_k"][4] == metrics["kept"]
    assert curve["kept_by_k"][59] == metrics["sound"]
    assert metrics["kept"] + metrics["dropped_round_trip"] == metrics["sound"]


def test_dense_rank_is_a_place_among_different_texts() -> None:
    text_of = {"a": 0, "b": 1, "c": 0, "d": 1, "e": 2, "f": 3}
    hits = [Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.8), Hit("d", 0.7999), Hit("e", 0.7999)]
    ranks = {doc_id: _place_among_texts(hits, text_of, doc_id) for doc_id in text_of}
    # Of two texts with the same score neither stands before the other; a copy a digit below is the same text.
    assert ranks == {"a": 1, "c": 1, "b": 2, "d": 2, "e": 3, "f": None}
    assert _place_among_texts([Hit("b", 0.5), Hit("e", 0.5)], text_of, "e") == 1


def test_round_trip_finds_a_document_in_each_of_its_copies(inputs, make_context, tiny_encoder) -> None:
    config = FilterConfig(method="round_trip", depth=200, top_k=10, base=str(tiny_encoder))  # deep enough for all
    plain = make_context("filter", inputs)
    run(config, plain)
    before = {row["weak_id"]: row for row in read_jsonl(plain.out_dir / "ranks.jsonl")}
    corpus = inputs["prepare"] / "corpus.jsonl"
    rows = list(read_jsonl(corpus))
    write_jsonl(corpus, [*rows, *({**row, "_id": f"zz-{row['_id']}"} for row in rows)])
    weak = list(read_jsonl(inputs["generate"] / "weak.jsonl"))
    write_jsonl(inputs["generate"] / "weak.jsonl", ({**row, "doc_id": f"zz-{row['doc_id']}"} for row in weak))
    copied = make_context("filter", inputs)
    run(config, copied)
    after = {row["weak_id"]: row for row in read_jsonl(copied.out_dir / "ranks.jsonl")}
    for weak_id, row in before.items():
        assert after[weak_id]["dense_rank"] == row["dense_rank"]
        assert after[weak_id]["reason"] == row["reason"]
    assert any(row["kept"] for row in before.values())


def test_round_trip_asks_the_trained_retriever_where_there_is_one(
    inputs, make_context, tiny_encoder, other_encoder
) -> None:
    context = make_context("filter", {**inputs, "train": other_encoder.parent})
    run(FilterConfig(method="round_trip", base=str(tiny_encoder)), context)
    found = {row["weak_id"]: row["dense_rank"] for row in read_jsonl(context.out_dir / "ranks.jsonl")}
    assert _are_ranks_of(other_encoder, inputs, found)
    assert not _are_ranks_of(tiny_encoder, inputs, found)


def test_round_trip_stopped_while_searching_ends_with_the_same_bytes(inputs, make_context, tiny_encoder) -> None:
    config = FilterConfig(method="round_trip", base=str(tiny_encoder))
    whole = make_context("filter", inputs)
    run(config, whole)
    told: list[str] = []
    cut = make_context(
        "filter", inputs, cache=whole.cache / "other", report=lambda progress: told.append(progress.message),
        should_stop=lambda: told[-1] == "queries searched densely",
    )  # fmt: skip
    with pytest.raises(Cancelled):
        run(config, cut)
    told.clear()
    run(config, replace(cut, should_stop=lambda: False))
    assert "documents encoded" not in told
    for name in ("ranks.jsonl", "curve.json"):
        assert (whole.out_dir / name).read_bytes() == (cut.out_dir / name).read_bytes()


@pytest.fixture
def other_encoder(tmp_path: Path) -> Path:
    """As train leaves a model: other random weights than the base's, below a folder."""
    folder = tmp_path / "train" / "model"
    folder.mkdir(parents=True)
    tiny_models.write_encoder(folder)
    model = SentenceTransformer(str(folder))
    with torch.no_grad():
        for number, weights in enumerate(model.parameters()):
            weights.copy_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(number)))
    model.save(str(folder), create_model_card=False)
    return folder


def _are_ranks_of(encoder: Path, inputs: dict[str, Path], ranks: dict[str, int]) -> bool:
    """Whether sentence-transformers, one text at a time, agrees, but for scores that differ by rounding alone."""
    model = SentenceTransformer(str(encoder))
    encode = partial(model.encode, show_progress_bar=False)
    documents = {one.doc_id: encode(one.content) for one in read_corpus(inputs["prepare"]).documents()}
    for row in read_jsonl(inputs["generate"] / "weak.jsonl"):
        query = encode(row["query"])
        scores = {doc_id: float(vector @ query) for doc_id, vector in documents.items()}
        own = scores[row["doc_id"]]
        best, worst = (sum(score > own + slack for score in scores.values()) for slack in (1e-6, -1e-6))
        if not best + 1 <= ranks[row["weak_id"]] <= worst:  # the own document is among the latter
            return False
    return True

"""The filter's decisions on lists, and the stage on the toy dataset with the real Lucene."""

from pathlib import Path

import pytest

from sptar_engine.artifacts import read_json, read_jsonl, write_jsonl
from sptar_engine.configs import FilterConfig, PrepareConfig
from sptar_engine.data.weak import read_kept
from sptar_engine.errors import Cancelled, ConfigError
from sptar_engine.records import WeakPair
from sptar_engine.stages import filter as filter_stage
from sptar_engine.stages import prepare
from sptar_engine.stages.filter import judge, kept_by_k, run, summarise

_SEED = "which bird is bright yellow like a falcon"


def pair(weak_id: str, query: str, rank: int | None) -> WeakPair:
    return WeakPair(weak_id, query, f"doc-{weak_id}", "p", rank)


def reasons(pairs: list[WeakPair], seeds: tuple[str, ...] = (), top_k: int = 30) -> dict[str, str]:
    return {verdict.pair.weak_id: verdict.reason for verdict in judge(pairs, seeds, top_k, 0.9)}


def test_query_is_kept_up_to_the_threshold() -> None:
    pairs = [pair("a", "one wing", 1), pair("b", "two wings", 30), pair("c", "three", 31), pair("d", "four", None)]
    assert reasons(pairs) == {"a": "", "b": "", "c": "rank", "d": "rank"}


def test_query_without_a_word_is_empty() -> None:
    assert reasons([pair("a", "", 1), pair("b", " ?! ", 1)]) == {"a": "empty", "b": "empty"}


def test_near_copy_of_a_seed_query_is_dropped() -> None:
    pairs = [pair("a", "Which bird is bright yellow, like a falcon?", 1), pair("b", "which bird is dull", 1)]
    assert reasons(pairs, (_SEED,)) == {"a": "copy", "b": ""}


def test_of_duplicates_the_best_ranked_stays_and_of_equals_the_first() -> None:
    pairs = [
        pair("a", "One wing", 5),
        pair("b", "one  wing?", 2),
        pair("c", "ONE WING", 2),
        pair("d", "one wing", None),
    ]
    assert reasons(pairs) == {"a": "duplicate", "b": "", "c": "duplicate", "d": "duplicate"}


def test_curve_has_the_count_for_every_threshold() -> None:
    pairs = [pair("a", "one", 1), pair("b", "two", 3), pair("c", "three", 3), pair("d", "four", None)]
    copied = [*pairs, pair("e", _SEED, 1), pair("f", "one", 2)]
    verdicts = judge(copied, [_SEED], 2, 0.9)
    assert kept_by_k(verdicts, 5) == [1, 1, 3, 3, 3]
    for k in range(1, 6):
        assert kept_by_k(verdicts, 5)[k - 1] == sum(verdict.kept for verdict in judge(copied, [_SEED], k, 0.9))


def test_summary_counts_every_reason() -> None:
    pairs = [pair("a", "one", 1), pair("b", "one", 3), pair("c", _SEED, 1), pair("d", "", None), pair("e", "two", 40)]
    summary = summarise(judge(pairs, [_SEED], 30, 0.9), 30)
    assert summary == {
        "total": 5, "kept": 1, "kept_share": 0.2, "mean_rank": 45 / 4,
        "dropped_empty": 1, "dropped_copy": 1, "dropped_duplicate": 1, "dropped_rank": 1,
        "sentence": "1 of 5 generated queries kept (20%); 1 do not find their document within the first 30, "
        "1 copy a labelled query, 1 are duplicates, 1 are empty",
    }  # fmt: skip


def test_summary_of_nothing_is_all_zero() -> None:
    assert summarise([], 30)["kept_share"] == 0.0
    assert summarise([], 30)["mean_rank"] is None


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


def test_result_is_the_same_again_and_the_index_is_reused(inputs, make_context) -> None:
    first = make_context("filter", inputs)
    run(FilterConfig(), first)
    messages: list[str] = []
    again = make_context("filter", inputs, report=lambda progress: messages.append(progress.message))
    run(FilterConfig(), again)
    assert set(messages) == {"queries ranked"}
    for name in ("ranks.jsonl", "curve.json"):
        assert (first.out_dir / name).read_bytes() == (again.out_dir / name).read_bytes()


def test_progress_is_told_per_chunk_and_stops(inputs, make_context, monkeypatch) -> None:
    monkeypatch.setattr(filter_stage, "_CHUNK", 4)
    told: list[tuple[str, int, int]] = []
    run(FilterConfig(), make_context("filter", inputs, report=lambda p: told.append((p.message, p.done, p.total))))
    assert told == [("documents indexed", 60, 60), ("queries ranked", 4, 6), ("queries ranked", 6, 6)]
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

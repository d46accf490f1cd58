"""generate writes what its settings say, in pool order, goes on where it stopped, and counts what it dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import GenerateConfig
from sptar_engine.data.weak import read_weak
from sptar_engine.errors import Cancelled, ConfigError, InputError, StageError
from sptar_engine.prompting.cleanup import EMPTY, REASONS, SHORT
from sptar_engine.prompting.prompts import make_prompt, write_prompt
from sptar_engine.prompting.shards import Draft
from sptar_engine.prompting.soft_prompt import build_soft_prompt, load_language_model, save_soft_prompt
from sptar_engine.records import Document, Query, SeedPair
from sptar_engine.stage import Progress, StageContext
from sptar_engine.stages.generate import run, summarise

MakeContext = Callable[..., StageContext]
Inputs = dict[str, Path]
POOL = 11


@pytest.fixture
def inputs(toy_dataset: Path, tmp_path: Path) -> Inputs:
    """What prepare and select leave, with a hard prompt of one example and a pool that starts at the corpus's end."""
    rows = list(read_jsonl(toy_dataset / "corpus.jsonl"))
    prepare = tmp_path / "prepare"
    write_jsonl(prepare / "corpus.jsonl", rows)
    write_jsonl(prepare / "pool.jsonl", ({"doc_id": row["_id"]} for row in rows[: -POOL - 1 : -1]))
    return {"prepare": prepare, "select": _select(rows[0], tmp_path / "select", None)}


def _select(row: Mapping[str, str], folder: Path, adapter: Path | None) -> Path:
    example = SeedPair(Query("q", "what is the heron known for"), Document(row["_id"], row["text"], row["title"]))
    folder.mkdir()
    write_prompt(folder, make_prompt((example,), adapter))
    return folder


@pytest.fixture
def settings(tiny_llm: Path) -> Callable[..., GenerateConfig]:
    def make(**changes: Any) -> GenerateConfig:
        base = {"model": str(tiny_llm), "max_new_tokens": 8, "shard_documents": 4, "min_words": 1, "threads": 1}
        return GenerateConfig(**(base | changes))

    return make


def rows(context: StageContext, name: str = "weak.jsonl") -> list[dict[str, Any]]:
    return list(read_jsonl(context.out_dir / name))


def files(context: StageContext) -> list[bytes]:
    return [(context.out_dir / name).read_bytes() for name in ("weak.jsonl", "dropped.jsonl")]


def pool(inputs: Inputs) -> list[str]:
    return [row["doc_id"] for row in read_jsonl(inputs["prepare"] / "pool.jsonl")]


def test_every_document_of_the_pool_has_its_query_in_pool_order(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    context = make_context("generate", inputs)
    output = run(settings(), context)
    weak, dropped = rows(context), rows(context, "dropped.jsonl")
    assert set(weak[0]) == {"weak_id", "query", "doc_id", "prompt_id", "loss"}
    assert sorted(row["doc_id"] for row in weak + dropped) == sorted(pool(inputs))
    order = [row["doc_id"] for row in weak]
    assert order == [doc_id for doc_id in pool(inputs) if doc_id in order]
    prompt_id = json.loads((inputs["select"] / "prompt.json").read_text())["prompt_id"]
    assert {row["prompt_id"] for row in weak} == {prompt_id}
    assert [pair.query for pair in read_weak(context.out_dir)] == [row["query"] for row in weak]
    assert output.metrics["documents"] == POOL
    assert output.metrics["queries"] == len(weak)
    assert sum(output.metrics["dropped"].values()) == len(dropped)


def test_only_as_many_documents_as_asked_for(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    context = make_context("generate", inputs)
    run(settings(documents=3), context)
    assert {row["doc_id"] for row in rows(context) + rows(context, "dropped.jsonl")} == set(pool(inputs)[:3])


def test_drawn_queries_have_ids_of_their_own_and_do_not_depend_on_shards_or_batches(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    sampling = {"decoding": "sample", "queries": 3, "temperature": 1.5}
    first, second = (make_context("generate", inputs) for _ in range(2))
    run(settings(**sampling), first)
    run(settings(**sampling, shard_documents=11, batch_tokens=256), second)
    for name in ("weak.jsonl", "dropped.jsonl"):
        assert [(row | {"loss": 0}) for row in rows(first, name)] == [(row | {"loss": 0}) for row in rows(second, name)]
        ours, theirs = ([row["loss"] for row in rows(context, name)] for context in (first, second))
        assert ours == pytest.approx(theirs, abs=2e-4)
    every = rows(first) + rows(first, "dropped.jsonl")
    assert len({row["weak_id"] for row in every}) == len(every) == 3 * POOL


def test_another_seed_draws_other_queries_and_a_verdict_on_one_does_not_hold_for_another(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    found = []
    for seed in (1, 2):
        context = make_context("generate", inputs)
        run(settings(decoding="sample", temperature=1.5, seed=seed), context)
        found.append({row["weak_id"]: (row["doc_id"], row["query"]) for row in rows(context)})
    assert set(found[0].values()) != set(found[1].values())
    assert all(found[0][weak_id] == found[1][weak_id] for weak_id in found[0].keys() & found[1].keys())


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning"])
def test_a_soft_prompt_takes_part(
    inputs: Inputs,
    make_context: MakeContext,
    settings: Callable[..., GenerateConfig],
    tiny_llm: Path,
    tmp_path: Path,
    method: str,
) -> None:
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    peft_model = build_soft_prompt(
        language_model, method=method, virtual_tokens=6, init_text="a heron", base_name="tiny", seed=3
    )
    adapter = tmp_path / "tune" / "adapter"
    save_soft_prompt(peft_model, adapter)
    row = next(read_jsonl(inputs["prepare"] / "corpus.jsonl"))
    soft = inputs | {"tune": adapter.parent, "select": _select(row, tmp_path / "soft", adapter)}
    with_it, without = make_context("generate", soft), make_context("generate", inputs)
    run(settings(), with_it)
    run(settings(), without)
    assert rows(with_it)[0]["prompt_id"].startswith("soft-")
    assert {row["query"] for row in rows(with_it)} != {row["query"] for row in rows(without)}


def test_a_prompt_chosen_with_a_soft_prompt_needs_it(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig], tmp_path: Path
) -> None:
    row = next(read_jsonl(inputs["prepare"] / "corpus.jsonl"))
    soft = inputs | {"select": _select(row, tmp_path / "soft", tmp_path)}
    with pytest.raises(StageError, match="with a soft prompt"):
        run(settings(), make_context("generate", soft))


def test_a_stopped_run_goes_on_after_its_last_finished_shard(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    whole = make_context("generate", inputs)
    run(settings(), whole)

    seen: list[Progress] = []
    context = make_context("generate", inputs, report=seen.append, should_stop=lambda: seen[-1].done > 4)
    with pytest.raises(Cancelled):
        run(settings(), context)
    assert not (context.out_dir / "weak.jsonl").exists()
    assert len(list(context.scratch.iterdir())) == 1

    again: list[Progress] = []
    run(settings(), make_context("generate", inputs, out=context.out_dir, report=again.append))
    assert files(context) == files(whole)
    assert again[0].done > 4
    assert again[-1].done == again[-1].total == POOL


def test_shards_of_other_settings_are_made_again(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    whole, context = make_context("generate", inputs), make_context("generate", inputs)
    run(settings(max_new_tokens=5), whole)
    run(settings(), context)
    run(settings(max_new_tokens=5), make_context("generate", inputs, out=context.out_dir))
    assert files(context) == files(whole)


def test_nothing_is_loaded_when_every_shard_is_there(
    inputs: Inputs,
    make_context: MakeContext,
    settings: Callable[..., GenerateConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = make_context("generate", inputs)
    run(settings(), context)
    before = files(context)
    (context.out_dir / "weak.jsonl").unlink()
    monkeypatch.setattr("sptar_engine.stages.generate.load_language_model", None)
    run(settings(), make_context("generate", inputs, out=context.out_dir))
    assert files(context) == before


def test_every_batch_is_reported(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    seen: list[Progress] = []
    context = make_context("generate", inputs, report=seen.append)
    run(settings(), context)
    assert [progress.done for progress in seen] == [4, 8, 11]  # three shards, each one batch
    last = seen[-1]
    assert last.total == POOL
    assert last.metrics["kept"] == len(rows(context))
    assert last.metrics["dropped"] == len(rows(context, "dropped.jsonl"))
    assert last.metrics["queries_per_second"] > 0
    assert last.metrics["last_query"] in {row["query"] for row in rows(context)}


def test_greedy_writes_one_query_a_document(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    with pytest.raises(ConfigError, match=r"generate\.queries: greedy .* need generate\.decoding=sample"):
        run(settings(queries=2), make_context("generate", inputs))


def test_a_prompt_longer_than_the_model_can_hold_is_refused_before_anything_is_written(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    context = make_context("generate", inputs)
    with pytest.raises(ConfigError, match=r"generate\.document_tokens: .* looks at 1024"):
        run(settings(document_tokens=1000), context)
    assert not list(context.scratch.iterdir())


def test_an_empty_pool_is_an_error(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    (inputs["prepare"] / "pool.jsonl").write_text("")
    with pytest.raises(InputError, match="no unlabelled document"):
        run(settings(), make_context("generate", inputs))


def test_the_numbers_of_a_generation() -> None:
    documents = {
        "a": Document("a", "A wing lifts."),
        "b": Document("b", "Slow air.", "The Wing"),
        "c": Document("c", "x"),
    }
    drafts = [
        Draft("1", "a", "", "what lifts a wing", "", 1.0),  # three of four words stand in the document
        Draft("2", "b", "", "What lifts a wing?", "", 1.0),  # one of four; a duplicate
        Draft("3", "c", "", "", EMPTY, 1.0),
        Draft("4", "c", "", "x", SHORT, 1.0),
    ]
    assert summarise(drafts, documents) == {
        "documents": 3,
        "queries": 2,
        "dropped": dict.fromkeys(REASONS, 0) | {EMPTY: 1, SHORT: 1},
        "empty_share": 0.25,
        "duplicate_share": 0.5,
        "copy_rate": 0.5,
        "mean_words": 4.0,
        "sample_queries": ["what lifts a wing", "What lifts a wing?"],
        "sentence": "3 documents gave 2 queries; 2 were dropped (1 empty, 1 short).",
    }


def test_a_generation_without_any_query_has_numbers_too() -> None:
    found = summarise([Draft("1", "a", "", "", EMPTY, 1.0)], {"a": Document("a", "A wing.")})
    assert (found["queries"], found["empty_share"], found["copy_rate"], found["mean_words"]) == (0, 1.0, 0.0, 0.0)
    assert found["duplicate_share"] == 0.0

"""generate writes what its settings say, in pool order, goes on where it stopped, and counts what it dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import read_jsonl, write_jsonl
from sptar_engine.configs import FilterConfig, GenerateConfig
from sptar_engine.data.query_text import normalised
from sptar_engine.data.seeds import seeds_path
from sptar_engine.data.weak import read_kept, read_weak
from sptar_engine.errors import Cancelled, ConfigError, InputError, StageError
from sptar_engine.prompting.cleanup import EMPTY, EXAMPLE, REASONS, SHORT
from sptar_engine.prompting.generation import RawQuery, Request
from sptar_engine.prompting.prompts import make_prompt, read_prompts, write_prompt
from sptar_engine.prompting.shards import Draft
from sptar_engine.prompting.soft_prompt import build_soft_prompt, load_language_model, save_soft_prompt
from sptar_engine.records import Document, Query, SeedPair
from sptar_engine.stage import Progress, StageContext
from sptar_engine.stages import filter as filter_stage
from sptar_engine.stages.generate import run, summarise
from sptar_engine.training.pairs import read_training_set

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


def _styled(inputs: Inputs, folder: Path, *styles: str) -> Inputs:
    """Select's folder with one prompt for each style, of another example each."""
    rows = list(read_jsonl(inputs["prepare"] / "corpus.jsonl"))
    prompts = [
        make_prompt(
            (SeedPair(Query(style, f"what is number {at}"), Document(row["_id"], row["text"], row["title"])),),
            None, "Write a query.", style,
        )
        for at, (style, row) in enumerate(zip(styles, rows, strict=False))
    ]  # fmt: skip
    folder.mkdir()
    write_prompt(folder, *prompts)
    return inputs | {"select": folder}


def test_styles_take_turns_and_each_query_is_what_its_prompt_alone_writes(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig], tmp_path: Path
) -> None:
    mixed = _styled(inputs, tmp_path / "mixed", "question", "keywords", "claim")
    prompts = read_prompts(mixed["select"], None)
    context = make_context("generate", mixed)
    config = settings(queries=2, decoding="sample", temperature=1.5)
    metrics = run(config, context).metrics
    style_of = {doc_id: ("question", "keywords", "claim")[at % 3] for at, doc_id in enumerate(pool(inputs))}
    assert {row["doc_id"]: row["style"] for row in rows(context)}.items() <= style_of.items()
    assert [row["doc_id"] for row in rows(context)] == sorted(
        (row["doc_id"] for row in rows(context)), key=pool(inputs).index
    )
    for prompt in prompts:
        alone = tmp_path / f"alone-{prompt.style}"
        alone.mkdir()
        write_prompt(alone, prompt)
        single = make_context("generate", inputs | {"select": alone})
        run(settings(queries=2, decoding="sample", temperature=1.5, batch_tokens=64), single)
        own = [row | {"loss": 0} for row in rows(single) if style_of[row["doc_id"]] == prompt.style]
        assert own == [row | {"loss": 0} for row in rows(context) if row["style"] == prompt.style]
    counts = metrics["styles"]
    assert {style: one["documents"] for style, one in counts.items()} == {"question": 4, "keywords": 4, "claim": 3}
    assert sum(one["queries"] for one in counts.values()) == metrics["queries"] == len(rows(context))


def test_queries_in_turns_stopped_and_started_again_end_with_the_same_bytes(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig], tmp_path: Path
) -> None:
    mixed = _styled(inputs, tmp_path / "mixed", "question", "claim")
    whole = make_context("generate", mixed)
    run(settings(), whole)
    seen: list[Progress] = []
    context = make_context("generate", mixed, report=seen.append, should_stop=lambda: seen[-1].done > 5)
    with pytest.raises(Cancelled):
        run(settings(), context)
    run(settings(), make_context("generate", mixed, out=context.out_dir))
    assert files(context) == files(whole)


def test_diverse_documents_take_turns_among_topics_and_a_stopped_run_encodes_nothing_twice(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig], tiny_encoder: Path
) -> None:
    config = settings(choice="diverse", documents=6, base=str(tiny_encoder), min_words=1)
    whole = make_context("generate", inputs)
    metrics = run(config, whole).metrics
    doc_ids = {row["doc_id"] for row in rows(whole) + rows(whole, "dropped.jsonl")}
    assert len(doc_ids) == metrics["documents"] == 6
    assert doc_ids <= set(pool(inputs))
    assert metrics["topics"] == 3  # the square root of 11
    seen: list[Progress] = []
    context = make_context("generate", inputs, report=seen.append, should_stop=lambda: "queries" in seen[-1].message)
    with pytest.raises(Cancelled):
        run(config, context)
    assert seen[0].message == "candidate documents encoded"
    seen.clear()
    run(config, make_context("generate", inputs, out=context.out_dir, report=seen.append))
    assert {progress.message for progress in seen} == {"documents have their queries"}
    assert files(context) == files(whole)


def test_diverse_takes_all_documents_of_a_pool_that_is_not_larger(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    spread, plain = make_context("generate", inputs), make_context("generate", inputs)
    metrics = run(settings(choice="diverse", documents=POOL, base="not loaded"), spread).metrics
    run(settings(documents=POOL), plain)
    assert files(spread) == files(plain)
    assert "topics" not in metrics


def test_several_queries_per_document_go_through_filter_and_training(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig]
) -> None:
    written = make_context("generate", inputs)
    run(settings(queries=4, decoding="sample", temperature=0.1, max_new_tokens=4), written)
    weak = rows(written)
    asked = [(row["doc_id"], normalised(row["query"])) for row in weak]
    assert len(set(asked)) < len(asked), "some document has a query twice"
    for split in ("train", "dev"):
        write_jsonl(seeds_path(inputs["prepare"], split), [])
    kept = make_context("filter", inputs | {"generate": written.out_dir})
    metrics = filter_stage.run(FilterConfig(method="likelihood", keep_share=1.0), kept).metrics
    pairs = read_kept(kept.out_dir)
    assert metrics["total"] == len(weak)
    assert len({normalised(pair.query) for pair in pairs}) == len(pairs) == metrics["kept"]
    (inputs["prepare"] / "qrels").mkdir()
    (inputs["prepare"] / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n")
    training_set = read_training_set(inputs["prepare"], kept.out_dir, None, 0)
    assert {pair.pair_id for pair in training_set.pairs} == {pair.weak_id for pair in pairs}
    documents = [pair.doc_id for pair in training_set.pairs]
    assert len(set(documents)) < len(documents), "some document has several queries"


def test_a_query_that_repeats_the_instruction_is_dropped(
    inputs: Inputs,
    make_context: MakeContext,
    settings: Callable[..., GenerateConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parrot(model: Any, before: Any, requests: list[Request], *_: Any) -> Iterator[dict[str, list[RawQuery]]]:
        yield {request.doc_id: [RawQuery("Write a query.\n", 1.0)] for request in requests}

    monkeypatch.setattr("sptar_engine.stages.generate.write_queries", parrot)
    context = make_context("generate", _styled(inputs, tmp_path / "one", "question"))
    assert run(settings(), context).metrics["dropped"][EXAMPLE] == POOL


def test_examples_that_leave_no_room_for_a_document_are_refused(
    inputs: Inputs, make_context: MakeContext, settings: Callable[..., GenerateConfig], tmp_path: Path
) -> None:
    example = SeedPair(Query("q", "what"), Document("d", "a heron waits " * 400))
    folder = tmp_path / "long"
    folder.mkdir()
    write_prompt(folder, make_prompt((example,) * 8, None))
    with pytest.raises(ConfigError, match=r"select\.examples: .* looks at 1024"):
        run(settings(), make_context("generate", inputs | {"select": folder}))


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

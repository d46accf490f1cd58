"""select: candidate sets are distinct and the same for both arms; the table ranks them; prompt.json holds the best."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sptar_engine.artifacts import checksums, read_jsonl, write_jsonl
from sptar_engine.configs import SelectConfig
from sptar_engine.data.beir import read_qrels, read_queries
from sptar_engine.data.seeds import read_seeds, seeds_path
from sptar_engine.errors import ArtifactError, Cancelled, ConfigError, InputError, StageError
from sptar_engine.prompting.prompts import read_prompts
from sptar_engine.prompting.scoring import QueryLoss
from sptar_engine.prompting.soft_prompt import build_soft_prompt, load_language_model, save_soft_prompt
from sptar_engine.stage import SCRATCH, Progress, StageContext
from sptar_engine.stages import select
from sptar_engine.stages.prepare import seed_rows

MakeContext = Callable[..., StageContext]


@pytest.fixture
def prepared(tmp_path: Path, toy_dataset: Path) -> Path:
    """As prepare leaves the toy dataset, as far as select reads it."""
    folder = tmp_path / "prepared"
    folder.mkdir()
    shutil.copy(toy_dataset / "corpus.jsonl", folder)
    for split in ("train", "dev"):
        rows = seed_rows(read_queries(toy_dataset), read_qrels(toy_dataset, split), 1)
        write_jsonl(seeds_path(folder, split), rows)
    return folder


@pytest.fixture
def tuned(tmp_path: Path, tiny_llm: Path) -> Path:
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    peft_model = build_soft_prompt(
        language_model, method="prompt_tuning", virtual_tokens=6, init_text="a question", base_name="tiny", seed=13
    )
    save_soft_prompt(peft_model, tmp_path / "tuned" / "adapter")
    return tmp_path / "tuned"


@pytest.fixture
def config(tiny_llm: Path) -> SelectConfig:
    return SelectConfig(model=str(tiny_llm), candidates=4, examples=2, document_tokens=32, query_tokens=24)


def test_table_is_ranked_and_the_best_set_is_the_prompt(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    context = make_context("select", {"prepare": prepared})
    metrics = select.run(config, context).metrics
    table = list(read_jsonl(context.out_dir / "candidates.jsonl"))
    assert [row["rank"] for row in table] == [1, 2, 3, 4]
    losses = [row["loss"] for row in table]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]
    assert all(row["perplexity"] == pytest.approx(math.exp(row["loss"])) for row in table)
    (prompt,) = read_prompts(context.out_dir, None)
    assert prompt.prompt_id == table[0]["prompt_id"] == metrics["prompt_id"]
    ids = [{"query_id": pair.query.query_id, "doc_id": pair.document.doc_id} for pair in prompt.examples]
    assert ids == table[0]["examples"]
    seeds = read_seeds(prepared, "train")
    assert all(pair in seeds[pair.query.query_id] for pair in prompt.examples)
    assert metrics["heldout_perplexity"] == table[0]["perplexity"]
    assert metrics["median_perplexity"] == (table[1]["perplexity"] + table[2]["perplexity"]) / 2
    assert metrics["worst_perplexity"] == table[3]["perplexity"]
    json.dumps(metrics, allow_nan=False)


def test_both_arms_choose_among_the_same_sets_by_their_own_perplexity(
    make_context: MakeContext, prepared: Path, tuned: Path, config: SelectConfig
) -> None:
    tables = []
    for inputs in ({"prepare": prepared}, {"prepare": prepared, "tune": tuned}):
        context = make_context("select", inputs)
        select.run(config, context)
        rows = read_jsonl(context.out_dir / "candidates.jsonl")
        tables.append({json.dumps(row["examples"]): row for row in rows})
    hard, soft = tables
    assert hard.keys() == soft.keys()
    assert all(hard[key]["loss"] != soft[key]["loss"] for key in hard)
    assert {row["prompt_id"].split("-")[0] for row in hard.values()} == {"hard"}
    assert {row["prompt_id"].removeprefix("soft") for row in soft.values()} == {
        row["prompt_id"].removeprefix("hard") for row in hard.values()
    }


def test_ticks_once_a_set_with_its_perplexity_and_the_best_so_far(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    ticks: list[Progress] = []
    select.run(config, make_context("select", {"prepare": prepared}, report=ticks.append))
    assert [(tick.done, tick.total) for tick in ticks] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    seen = [tick.metrics["perplexity"] for tick in ticks]
    assert [tick.metrics["best"] for tick in ticks] == [min(seen[:count]) for count in (1, 2, 3, 4)]


def test_stopped_and_started_again_scores_no_set_twice_and_leaves_the_same_bytes(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_context("select", {"prepare": prepared})
    select.run(config, whole)
    ticks: list[Progress] = []
    fields = {"report": ticks.append, "should_stop": lambda: len(ticks) == 3, "cache": whole.cache.with_name("other")}
    cut = make_context("select", {"prepare": prepared}, **fields)
    with pytest.raises(Cancelled):
        select.run(config, cut)
    scored: list[str] = []
    score = select.score
    monkeypatch.setattr(select, "score", lambda *args: scored.append(args[2].prompt_id) or score(*args))
    select.run(config, replace(cut, should_stop=lambda: False))
    assert len(scored) == 1
    skip = frozenset({SCRATCH})
    assert checksums(cut.out_dir, skip) == checksums(whole.out_dir, skip)


def test_example_documents_are_cut_like_any_document(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    prefix = select.prefix
    monkeypatch.setattr(select, "prefix", lambda *args: lengths.append(len(args[2])) or prefix(*args))
    select.run(replace(config, examples=1, document_tokens=16), make_context("select", {"prepare": prepared}))
    frame = 30  # of the tiny tokenizer: "Document:", the request, the newline
    assert max(lengths) <= 16 + 24 + frame


def test_loss_that_is_no_number_ends_the_stage(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "query_losses", lambda *args: [QueryLoss(math.nan, 1)])
    with pytest.raises(StageError, match=r"select\.dtype=float32"):
        select.run(config, make_context("select", {"prepare": prepared}))


def test_missing_heldout_queries_are_an_input_error(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    write_jsonl(seeds_path(prepared, "dev"), [])
    with pytest.raises(InputError, match="no held-out queries"):
        select.run(config, make_context("select", {"prepare": prepared}))


def test_prompt_of_the_other_arm_is_refused(
    make_context: MakeContext, prepared: Path, tuned: Path, config: SelectConfig
) -> None:
    context = make_context("select", {"prepare": prepared})
    select.run(replace(config, candidates=1), context)
    with pytest.raises(StageError, match="without a soft prompt"):
        read_prompts(context.out_dir, tuned / "adapter")


def test_broken_prompt_file_is_an_artifact_error(tmp_path: Path) -> None:
    (tmp_path / "prompt.json").write_text('{"prompt_id": "hard-1", "soft": false}', encoding="utf-8")
    with pytest.raises(ArtifactError, match="examples"):
        read_prompts(tmp_path, None)


def _say_styles(prepared: Path, *styles: str) -> None:
    """Let a person have said these in turn about the queries of each split."""
    for split in ("train", "dev"):
        rows = list(read_jsonl(seeds_path(prepared, split)))
        query_ids = list(dict.fromkeys(row["query_id"] for row in rows))
        said = {query_id: styles[number % len(styles)] for number, query_id in enumerate(query_ids)}
        write_jsonl(seeds_path(prepared, split), (row | {"style": said[row["query_id"]]} for row in rows))


def test_examples_and_heldout_queries_are_of_the_style_asked_for(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say_styles(prepared, "question", "claim", "keywords")
    measured: list[int] = []
    score = select.score
    monkeypatch.setattr(select, "score", lambda *args: measured.append(len(args[3])) or score(*args))
    context = make_context("select", {"prepare": prepared})
    metrics = select.run(replace(config, style="claim"), context).metrics
    claims = {query_id for query_id, pairs in read_seeds(prepared, "train").items() if pairs[0].query.style == "claim"}
    table = list(read_jsonl(context.out_dir / "candidates.jsonl"))
    assert {row["style"] for row in table} == {"claim"}
    assert {example["query_id"] for row in table for example in row["examples"]} <= claims
    assert set(measured) == {4}  # of the 12 held-out queries
    [prompt] = read_prompts(context.out_dir, None)
    assert prompt.style == "claim"
    assert metrics["styles"] == {
        "claim": {
            "train_queries": len(claims), "heldout_queries": 4, "prompt_id": prompt.prompt_id, "examples": 2,
            "heldout_perplexity": metrics["heldout_perplexity"],
        }
    }  # fmt: skip


def test_mixed_keeps_the_best_set_of_each_style(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    _say_styles(prepared, "keywords", "question")
    context = make_context("select", {"prepare": prepared})
    metrics = select.run(replace(config, style="mixed", instruction="Write a query."), context).metrics
    prompts = read_prompts(context.out_dir, None)
    assert [prompt.style for prompt in prompts] == ["question", "keywords"]
    assert {prompt.instruction for prompt in prompts} == {"Write a query."}
    table = list(read_jsonl(context.out_dir / "candidates.jsonl"))
    assert [(row["style"], row["rank"]) for row in table] == [
        (style, rank) for style in ("question", "keywords") for rank in (1, 2, 3, 4)
    ]
    assert [row["prompt_id"] for row in table if row["rank"] == 1] == [prompt.prompt_id for prompt in prompts]
    assert metrics["prompt_id"] == "+".join(prompt.prompt_id for prompt in prompts)
    assert list(metrics["styles"]) == ["question", "keywords"]


def test_style_without_heldout_queries_is_measured_on_all(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    _say_styles(prepared, "claim", "question")
    rows = [row | {"style": "question"} for row in read_jsonl(seeds_path(prepared, "dev"))]
    write_jsonl(seeds_path(prepared, "dev"), rows)
    measured: list[int] = []
    score = select.score
    monkeypatch.setattr(select, "score", lambda *args: measured.append(len(args[3])) or score(*args))
    select.run(replace(config, style="claim", candidates=1), make_context("select", {"prepare": prepared}))
    assert measured == [12]


def test_an_instruction_is_part_of_the_prompt_that_is_scored(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    found = []
    for instruction in ("", "Write the query that each document answers."):
        context = make_context("select", {"prepare": prepared})
        select.run(replace(config, instruction=instruction), context)
        rows = list(read_jsonl(context.out_dir / "candidates.jsonl"))
        found.append({json.dumps(row["examples"]): (row["loss"], row["prompt_id"]) for row in rows})
    without, with_it = found
    assert without.keys() == with_it.keys()
    assert all(without[key][0] != with_it[key][0] and without[key][1] != with_it[key][1] for key in without)


def test_examples_that_the_model_cannot_hold_are_refused_before_any_is_scored(
    make_context: MakeContext, prepared: Path, config: SelectConfig
) -> None:
    context = make_context("select", {"prepare": prepared})
    long = replace(config, examples=8, instruction="Write the query that each document answers. " * 80)
    with pytest.raises(ConfigError, match=r"select\.examples: .* looks at 1024; lower it"):
        select.run(long, context)
    assert not list(context.scratch.iterdir())

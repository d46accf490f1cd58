"""Another place of the ranked table than the first, and scores that are kept for the next run."""

from dataclasses import replace
from pathlib import Path

import pytest

from sptar_engine.artifacts import read_jsonl
from sptar_engine.configs import PrepareConfig, SelectConfig
from sptar_engine.errors import ConfigError
from sptar_engine.prompting.prompts import read_prompts
from sptar_engine.stages import prepare, select
from tests.conftest import MakeContext


@pytest.fixture
def prepared(make_context: MakeContext, toy_dataset: Path) -> Path:
    context = make_context("prepare", {"dataset": toy_dataset})
    prepare.run(PrepareConfig(), context)
    return context.out_dir


@pytest.fixture
def config(tiny_llm: Path) -> SelectConfig:
    return SelectConfig(model=str(tiny_llm), candidates=3, document_tokens=24, query_tokens=16)


def test_taken_set_is_the_prompt_its_perplexity_is_shown_and_no_set_is_scored_again(
    make_context: MakeContext, prepared: Path, config: SelectConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = make_context("select", {"prepare": prepared})
    select.run(config, best)
    table = list(read_jsonl(best.out_dir / "candidates.jsonl"))
    monkeypatch.setattr(select, "score", lambda *args: pytest.fail("scored again"))
    last = make_context("select", {"prepare": prepared})
    metrics = select.run(replace(config, take=2), last).metrics
    assert list(read_jsonl(last.out_dir / "candidates.jsonl")) == table
    assert read_prompts(last.out_dir, None)[0].prompt_id == metrics["prompt_id"] == table[2]["prompt_id"]
    assert metrics["heldout_perplexity"] == table[2]["perplexity"] == metrics["worst_perplexity"]


def test_place_beyond_the_candidates_is_refused_by_the_settings(config: SelectConfig) -> None:
    with pytest.raises(ConfigError, match=r"select\.take: 3 is beyond the last of 3 candidates"):
        replace(config, take=3)


def test_place_beyond_the_sets_that_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"select\.take: 1 is beyond the last of 1 sets"):
        select.take({"": ["only"]}, 1)

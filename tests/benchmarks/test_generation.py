"""All sides of the generation benchmark write the same queries on a tiny model; its sums, by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import reference
from benchmarks.generation import Race, measure, quartiles, summarise
from benchmarks.reference import DIFFERENT, EQUAL, TIE, Reference
from sptar_engine.configs import GenerateConfig
from sptar_engine.prompting.decoding import stop_tokens
from sptar_engine.prompting.soft_prompt import build_soft_prompt, load_language_model, save_soft_prompt
from sptar_engine.records import Document

DOCUMENTS = [Document(f"d{count}", "the heron waits in the harbour " * count) for count in range(1, 8)]


@pytest.fixture
def race(tiny_llm: Path, tmp_path: Path) -> Race:
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    peft_model = build_soft_prompt(
        language_model, method="prompt_tuning", virtual_tokens=6, init_text="a heron", base_name="tiny", seed=3
    ).eval()
    save_soft_prompt(peft_model, tmp_path)
    config = GenerateConfig(max_new_tokens=8, document_tokens=64)
    return Race(language_model, peft_model, tmp_path, [40, 41, 42], DOCUMENTS, config)


def test_every_side_writes_the_queries_of_the_reference(race: Race) -> None:
    judged, checked = race.judge()
    assert judged == {EQUAL: 7}
    assert race.run_ours() == checked
    batched = race.run_batched(3)
    assert len(batched) == 4
    assert batched.items() <= checked.items()
    assert len(race.run_official()) == 4


def test_four_documents_stand_for_the_quarters_by_length() -> None:
    documents = [Document(str(count), "x" * count) for count in range(8)]
    assert [one.doc_id for one in quartiles(documents[::-1], lambda one: len(one.text))] == ["1", "3", "5", "7"]
    assert quartiles(documents[:1], lambda one: len(one.text)) == documents[:1]


def test_sides_take_turns_and_their_median_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each pair of readings is the start and the end of a side's turn.
    readings = iter([0, 2, 2, 12, 12, 16, 16, 21, 21, 22, 22, 42])
    monkeypatch.setattr("benchmarks.generation.time.perf_counter", lambda: next(readings))
    sides = {"ours": lambda: {"a": "x", "b": "y"}, "official": lambda: {"a": "x"}}
    rates, queries = measure(sides, 3)
    assert rates == {"ours": 1.0, "official": 0.1}  # of 1, 0.5 and 2; of 0.1, 0.2 and 0.05
    assert queries["ours"] == {"a": "x", "b": "y"}


def test_the_line_has_rates_ratios_and_checks() -> None:
    rates = {"ours": 4.0, "official": 0.125, "batched": 2.0}
    queries = {"ours": {"a": "x", "b": "y"}, "batched": {"a": "z"}, "official": {"a": "x"}}
    line = summarise(rates, queries, Counter({EQUAL: 1, TIE: 1}), {"a": "x", "b": "y"})
    assert line["ours"] == 4.0
    assert line["peers"] == {"official": 0.125, "batched": 2.0}
    assert line["ratio"] == {"official": 32.0, "batched": 2.0}
    assert line["checks"] == {
        "equal_to_reference": 0.5, "near_ties": 1, "differences_not_near_ties": 0, "documents_checked": 2,
        "runs_equal": True, "batched_equal": 0.0,
    }  # fmt: skip


def test_the_reference_finds_every_kind_of_difference(race: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Reference(race.language_model, race.peft_model, race.examples)
    request, stops = race.requests[0], stop_tokens(race.language_model.tokenizer)
    query = alone.query(request.tokens, stops, 8)
    assert alone.judge(request.tokens, query, stops, 8) == EQUAL
    other = [*query[:1], 50 if query[1] != 50 else 51, *query[2:]]
    assert alone.judge(request.tokens, other, stops, 8) == DIFFERENT
    assert alone.judge(request.tokens, query[:3], stops, 8) == DIFFERENT  # ends too early
    monkeypatch.setattr(reference, "NEAR_TIE", 1e9)
    assert alone.judge(request.tokens, other, stops, 8) == TIE

"""The tuning benchmark's clock and sums, by hand; that both sides start equal and the peer is PEFT's own forward."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import tuning
from benchmarks.tuning import Mark, Race, Stopwatch, official_loss, summarise
from sptar_engine.configs import TuneConfig
from sptar_engine.prompting.soft_prompt import load_language_model, trainable
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Query, SeedPair
from sptar_engine.training.prompt_loop import first_items

SEEDS = {
    f"q{number}": (SeedPair(Query(f"q{number}", f"what is {thing}"), Document(f"d{number}", f"{thing} is a thing")),)
    for number, thing in enumerate(["a heron", "a drill", "a mill", "a kettle"])
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that benchmarks.tuning sees; a test moves it."""
    now = [0.0]
    monkeypatch.setattr(tuning.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def race(tiny_llm: Path) -> Race:
    language_model = load_language_model(tiny_llm, "float32", "cpu")
    config = TuneConfig(virtual_tokens=4, epochs=2, batch_size=2, document_tokens=32, query_tokens=24)
    tokens = PromptTokens(language_model.tokenizer, 32, 24)
    return Race(language_model, tokens, SEEDS, first_items(SEEDS, tokens), config, 2)


def test_clock_stands_still_while_the_loss_is_measured(clock: list[float]) -> None:
    def measure() -> float:
        clock[0] += 100.0
        return 3.0

    watch = Stopwatch("x", measure, every=2)
    watch.start()
    for pairs in (1, 2, 3, 4):
        clock[0] += 1.0
        if watch.trained(pairs):
            clock[0] += 50.0  # the other side's turn
            watch.start()
    assert watch.marks == [Mark(2, 2.0, 3.0), Mark(4, 4.0, 3.0)]
    assert watch.best.pairs == 2


def test_batches_that_jump_over_marks_are_measured_once_each(clock: list[float]) -> None:
    watch = Stopwatch("x", lambda: 3.0, every=3)
    watch.start()
    stops = [watch.trained(pairs) for pairs in (4, 8, 9, 10, 12)]
    assert stops == [True, True, True, False, True]
    assert [mark.pairs for mark in watch.marks] == [4, 8, 9, 12]


def test_line_says_how_much_sooner_ours_was_there() -> None:
    official = Stopwatch("official", float, 1, marks=[Mark(10, 20.0, 3.5), Mark(20, 40.0, 3.0), Mark(30, 60.0, 3.2)])
    # Ours went on while the official loop had its turns: what counts is when it first had the loss.
    ours = Stopwatch("ours", float, 1, marks=[Mark(10, 5.0, 3.4), Mark(24, 16.0, 2.9), Mark(36, 24.0, 3.1)])
    result = summarise(4.0, official, ours)
    assert (result["ours"], result["peers"], result["ratio"]) == (16.0, {"official": 40.0}, {"official": 2.5})
    assert result["checks"]["reached"] is True
    assert result["checks"]["pairs_per_second_official"] == 0.5
    json.dumps(result)


def test_ratio_is_zero_when_ours_never_got_there() -> None:
    official = Stopwatch("official", float, 1, marks=[Mark(10, 20.0, 3.0)])
    ours = Stopwatch("ours", float, 1, marks=[Mark(10, 5.0, 3.4)])
    result = summarise(4.0, official, ours)
    assert (result["ratio"], result["checks"]["reached"]) == ({"official": 0.0}, False)


def test_both_sides_start_from_the_same_prompt(race: Race) -> None:
    one, other = (trainable(race.loop(size, lambda *_, **__: None).peft_model) for size in (1, 2))
    assert torch.equal(one.embedding.weight, other.embedding.weight)


def test_official_loss_without_padding_is_the_loss_we_measure(race: Race) -> None:
    loop = race.loop(1, lambda *_, **__: None)
    nats = sum(
        official_loss(loop.peft_model, item, 0, race.language_model).item() * len(item[1]) for item in race.heldout
    )
    assert nats / sum(len(query) for _, query in race.heldout) == pytest.approx(loop.measure(), abs=1e-4)


def test_official_row_is_padded_on_the_left_and_the_padding_hidden(race: Race) -> None:
    seen = {}

    def peft_model(**batch: torch.Tensor) -> torch.Tensor:
        seen.update({name: values[0].tolist() for name, values in batch.items()})
        batch["loss"] = torch.zeros(())
        return type("Output", (), batch)  # type: ignore[return-value]  # only .loss is read

    official_loss(peft_model, ([5, 6, 7], [8, 9]), 8, race.language_model)  # type: ignore[arg-type]
    assert seen["input_ids"][3:] == [5, 6, 7, 8, 9]
    assert seen["attention_mask"] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert seen["labels"] == [-100] * 6 + [8, 9]


def test_sides_take_turns_and_ours_goes_on_to_the_end_when_it_never_gets_there(
    race: Race, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Stopwatch, "first_at", lambda *_: None)
    official, ours = race.run(1, padded=True)
    assert [mark.pairs for mark in official.marks] == [2, 4]
    assert [mark.pairs for mark in ours.marks] == [2, 4, 6, 8]
    order = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert order == ["ours", "official", "ours", "official", "ours", "ours"]


def test_ours_stops_once_it_has_the_loss_and_the_official_loop_is_through(
    race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stopwatch, "first_at", lambda watch, _: watch.marks[0])
    official, ours = race.run(1, padded=True)
    assert [mark.pairs for mark in official.marks] == [2, 4]
    assert [mark.pairs for mark in ours.marks] == [2, 4, 6]

"""The prompt loop: which pairs an epoch has, the gradient it follows, when it stops, what it keeps, how it resumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sptar_engine.configs import TuneConfig
from sptar_engine.errors import Cancelled, StageError
from sptar_engine.prompting.scoring import Item, token_losses
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    soft_prefix,
    trainable,
)
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.records import Document, Query, SeedPair
from sptar_engine.training.prompt_loop import Epochs, PromptLoop, Tuning, first_items, like_lengths

THINGS = ["heron", "drill", "mill", "kettle", "tram", "violin", "harbour"]
CONFIG = TuneConfig(virtual_tokens=6, epochs=3, batch_size=2, document_tokens=32, query_tokens=24)
MakeLoop = Callable[..., PromptLoop]


def _pair(thing: str, number: int = 0) -> SeedPair:
    return SeedPair(
        Query(f"q-{thing}", f"what is a {thing}"), Document(f"{thing}-{number}", f"the {thing} {number} " * 3)
    )


SEEDS = {f"q-{thing}": [_pair(thing)] for thing in THINGS} | {"q-tram": [_pair("tram", number) for number in range(3)]}


@pytest.fixture(scope="module")
def language_model(tiny_llm: Path) -> LanguageModel:
    return load_language_model(tiny_llm, "float32", "cpu")


@pytest.fixture
def tokens(language_model: LanguageModel) -> PromptTokens:
    return PromptTokens(language_model.tokenizer, 32, 24)


@pytest.fixture
def make_loop(language_model: LanguageModel, tokens: PromptTokens) -> MakeLoop:
    def make(tick: Callable[..., None] = lambda *args, **metrics: None, **changes: Any) -> PromptLoop:
        config = replace(CONFIG, **changes)
        peft_model = build_soft_prompt(
            language_model,
            method=config.method,
            virtual_tokens=config.virtual_tokens,
            init_text=config.init_text,
            base_name="tiny",
            seed=config.seed,
        )
        epochs = Epochs(SEEDS, tokens, config.examples, config.batch_size, config.seed)
        heldout = first_items({"q-crane": [_pair("crane")], "q-kiln": [_pair("kiln")]}, tokens)
        return PromptLoop(language_model, peft_model, epochs, heldout, config, tick)

    return make


def _texts(language_model: LanguageModel, batches: list[list[Item]]) -> list[str]:
    return sorted(language_model.tokenizer.decode(document + query) for batch in batches for document, query in batch)


def test_epoch_has_each_query_once_and_its_documents_take_turns(
    language_model: LanguageModel, tokens: PromptTokens
) -> None:
    epochs = Epochs(SEEDS, tokens, 0, 2, 13)
    for epoch, number in [(1, 0), (2, 1), (3, 2), (4, 0)]:
        texts = _texts(language_model, epochs.batches(epoch))
        assert len(texts) == len(THINGS)
        assert [f"the tram {number}" in text for text in texts].count(True) == 1


def test_batches_are_the_same_for_a_seed_and_differ_between_epochs(tokens: PromptTokens) -> None:
    epochs = Epochs(SEEDS, tokens, 1, 2, 13)
    assert epochs.batches(1) == epochs.batches(1)
    assert epochs.batches(1) != epochs.batches(2)
    assert epochs.batches(1) != replace(epochs, seed=14).batches(1)
    assert epochs.steps == len(epochs.batches(1)) == 4


def test_examples_are_pairs_of_other_queries(language_model: LanguageModel, tokens: PromptTokens) -> None:
    for text in _texts(language_model, Epochs(SEEDS, tokens, 2, 2, 13).batches(1)):
        asked = [line.removeprefix("Relevant Query: ") for line in text.splitlines() if line.startswith("Relevant")]
        assert len(asked) == len(set(asked)) == 3
        assert set(asked) <= {f"what is a {thing}" for thing in THINGS}


def test_groups_of_a_batch_hold_all_items_longest_first_and_none_much_shorter_than_its_longest() -> None:
    lengths = [10, 100, 69, 70, 7, 6]
    groups = like_lengths([([1] * (length - 2), [2, 3]) for length in lengths])
    assert [[len(document) + len(query) for document, query in group] for group in groups] == [
        [100, 70],
        [69],
        [10, 7],
        [6],
    ]


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning"])
def test_gradient_is_that_of_pefts_own_forward(make_loop: MakeLoop, language_model: LanguageModel, method: str) -> None:
    loop = make_loop(method=method)
    batch = loop.epochs.batches(1)[0]
    module = trainable(loop.peft_model)
    losses = token_losses(language_model, soft_prefix(language_model, loop.peft_model), batch)
    ours = torch.autograd.grad(losses.mean(), list(module.parameters()))
    total = torch.zeros(())
    for document, query in batch:  # one at a time, loss over the query's tokens, by PEFT and transformers alone
        labels = torch.tensor([[-100] * len(document) + query])
        total = total + loop.peft_model(input_ids=torch.tensor([document + query]), labels=labels).loss * len(query)
    theirs = torch.autograd.grad(total / len(losses), list(module.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["prompt_tuning", "prefix_tuning", "p_tuning"])
def test_training_lowers_the_loss_and_leaves_the_model_as_it_was(
    make_loop: MakeLoop, language_model: LanguageModel, tmp_path: Path, method: str
) -> None:
    before = {name: value.clone() for name, value in language_model.model.state_dict().items()}
    rate = 1e-3 if method == "p_tuning" else 3e-2  # a network's weights move the prompt much further a step
    tuning = make_loop(method=method, epochs=6, patience=6, learning_rate=rate).run(tmp_path / "checkpoint.pt")
    assert tuning.history[-1]["train_loss"] < 0.98 * tuning.history[1]["train_loss"]
    assert tuning.heldout_loss(tuning.best_epoch) < tuning.heldout_loss(0)
    after = language_model.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not language_model.model.training


def test_history_starts_before_training_and_ticks_come_per_batch_and_epoch(make_loop: MakeLoop, tmp_path: Path) -> None:
    ticks: list[tuple[int, int, dict[str, Any]]] = []
    loop = make_loop(lambda done, total, message, **metrics: ticks.append((done, total, metrics)), epochs=2)
    tuning = loop.run(tmp_path / "checkpoint.pt")
    assert [row["epoch"] for row in tuning.history] == [0, 1, 2]
    assert [row["train_loss"] is None for row in tuning.history] == [True, False, False]
    assert [done for done, _, _ in ticks] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]
    assert {total for _, total, _ in ticks} == {8}
    assert [set(metrics) for _, _, metrics in ticks[3:5]] == [
        {"epoch", "loss"}, {"epoch", "heldout_perplexity", "best_epoch"},
    ]  # fmt: skip


def test_learning_rate_falls_linearly_to_nothing(
    make_loop: MakeLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = torch.optim.AdamW.step

    def watched(optimizer: torch.optim.AdamW, *args: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    make_loop(epochs=2, patience=5).run(tmp_path / "checkpoint.pt")
    assert rates == pytest.approx([3e-2 * (1 - done / 8) for done in range(8)])


class _Scripted(PromptLoop):
    """Held-out losses are given, so that stopping and keeping can be followed by hand."""

    losses: list[float]
    seen: list[torch.Tensor]

    def measure(self) -> float:
        self.seen.append(trainable(self.peft_model).embedding.weight.detach().clone())
        return self.losses[len(self.seen) - 1]


def _scripted(loop: PromptLoop, losses: list[float]) -> _Scripted:
    scripted = _Scripted(loop.language_model, loop.peft_model, loop.epochs, loop.heldout, loop.config, loop.tick)
    object.__setattr__(scripted, "losses", losses)
    object.__setattr__(scripted, "seen", [])
    return scripted


def test_stops_after_patience_and_keeps_the_best_epoch(make_loop: MakeLoop, tmp_path: Path) -> None:
    loop = _scripted(make_loop(epochs=9, patience=2), [3.0, 2.0, 2.5, 2.0, 1.0])
    tuning = loop.run(tmp_path / "checkpoint.pt")
    assert (tuning.epoch, tuning.best_epoch) == (3, 1)
    assert torch.equal(trainable(loop.peft_model).embedding.weight, loop.seen[1])


def test_start_is_kept_when_no_epoch_is_better(make_loop: MakeLoop, tmp_path: Path) -> None:
    loop = _scripted(make_loop(epochs=9, patience=2), [1.0, 2.0, 3.0])
    assert loop.run(tmp_path / "checkpoint.pt").best_epoch == 0
    assert torch.equal(trainable(loop.peft_model).embedding.weight, loop.seen[0])


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
@pytest.mark.parametrize("stop_at", [1, 5, 9, 11])
def test_resumed_training_ends_with_the_same_bytes(
    make_loop: MakeLoop, tmp_path: Path, stop_at: int, method: str
) -> None:
    changes = {"method": method, "learning_rate": 1e-3, "patience": 9, "examples": 1}
    undisturbed = make_loop(**changes)
    expected = undisturbed.run(tmp_path / "whole.pt")
    ticks = iter(range(1, 1000))

    def stop(*args: Any, **metrics: Any) -> None:
        if next(ticks) == stop_at:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        make_loop(stop, **changes).run(tmp_path / "cut.pt")
    again = make_loop(**changes)
    torch.rand(7)  # what else a process draws does not matter
    assert again.run(tmp_path / "cut.pt").history == expected.history
    first, second = (trainable(loop.peft_model).state_dict() for loop in (undisturbed, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_finished_training_is_not_done_again(make_loop: MakeLoop, tmp_path: Path) -> None:
    first = make_loop().run(tmp_path / "checkpoint.pt")
    ticks: list[int] = []
    assert make_loop(lambda done, *args, **metrics: ticks.append(done)).run(tmp_path / "checkpoint.pt").history == (
        first.history
    )
    assert ticks == []


def test_unreadable_checkpoint_is_as_good_as_none(make_loop: MakeLoop, tmp_path: Path) -> None:
    expected = make_loop(epochs=1).run(tmp_path / "whole.pt")
    (tmp_path / "broken.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:1000])
    assert make_loop(epochs=1).run(tmp_path / "broken.pt").history == expected.history


def test_loss_that_is_no_number_ends_the_stage_with_advice(make_loop: MakeLoop, tmp_path: Path) -> None:
    loop = make_loop()
    with torch.no_grad():
        trainable(loop.peft_model).embedding.weight.fill_(float("nan"))
    with pytest.raises(StageError, match=r"held-out pairs.*tune\.learning_rate"):
        loop.run(tmp_path / "checkpoint.pt")


def test_tuning_notes_the_first_of_equal_epochs_as_best() -> None:
    tuning = Tuning()
    for loss in (3.0, 2.0, 2.0):
        tuning.add(1.0, loss, {"x": torch.tensor([loss])})
    assert (tuning.epoch, tuning.best_epoch) == (2, 1)
    assert tuning.history[1]["heldout_perplexity"] == pytest.approx(7.389056, abs=1e-6)

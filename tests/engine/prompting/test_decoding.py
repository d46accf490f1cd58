from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sptar_engine.prompting import decoding
from sptar_engine.prompting.decoding import Decoding, stop_tokens
from sptar_engine.prompting.soft_prompt import load_language_model

# Shares 0.5, 0.3, 0.15 and 0.05 of the tokens 2, 0, 3 and 1.
LOGITS = torch.tensor([0.3, 0.05, 0.5, 0.15]).log()


def draw(uniform: float, **settings: float) -> int:
    chooser = Decoding(max_new_tokens=4, **settings)
    return int(chooser.choose(LOGITS[None], torch.tensor([uniform], dtype=torch.float64)))


def test_greedy_takes_the_likeliest_token_whatever_the_number() -> None:
    assert [draw(uniform) for uniform in (0.0, 0.5, 0.999)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("uniform", "token"), [(0.0, 2), (0.49, 2), (0.51, 0), (0.79, 0), (0.81, 3), (0.94, 3), (0.96, 1), (0.9999, 1)]
)
def test_a_number_falls_on_a_token_by_its_share(uniform: float, token: int) -> None:
    assert draw(uniform, temperature=1.0) == token


@pytest.mark.parametrize(
    # 0.5 + 0.3 reach 0.7, so two tokens are left, with 5/8 and 3/8; 0.85 needs the third, 0.4 only the first.
    ("top_p", "uniform", "token"),
    [(0.7, 0.62, 2), (0.7, 0.63, 0), (0.7, 0.9999, 0), (0.85, 0.9999, 3), (0.4, 0.9999, 2)],
)
def test_only_the_likeliest_tokens_up_to_top_p_are_drawn(top_p: float, uniform: float, token: int) -> None:
    assert draw(uniform, temperature=1.0, top_p=top_p) == token


def test_a_low_temperature_favours_the_likeliest_token() -> None:
    # Shares to the power of 2: 0.25, 0.09, 0.0225, 0.0025 of 0.365; the first has 0.685.
    assert [draw(uniform, temperature=0.5) for uniform in (0.68, 0.69)] == [2, 0]


def test_looking_at_a_few_tokens_first_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(200, 50, generator=generator)
    uniforms = torch.rand(200, generator=generator, dtype=torch.float64)
    chooser = Decoding(max_new_tokens=4, temperature=0.8, top_p=0.9)
    whole = chooser.choose(logits, uniforms)
    monkeypatch.setattr(decoding, "_FIRST_LOOK", 3)
    assert chooser.choose(logits, uniforms).tolist() == whole.tolist()


def test_a_querys_numbers_follow_its_seed_alone() -> None:
    chooser = Decoding(max_new_tokens=4, temperature=1.0)
    together = chooser.uniforms([7, 8])
    assert together.shape == (2, 4)
    assert together[1].tolist() == chooser.uniforms([8])[0].tolist() != together[0].tolist()
    assert together.min() >= 0
    assert together.max() < 1


def test_a_query_ends_at_the_end_of_text_and_at_every_token_with_a_newline(tiny_llm: Path) -> None:
    tokenizer = load_language_model(tiny_llm, "float32", "cpu").tokenizer
    stops = stop_tokens(tokenizer)
    assert tokenizer.eos_token_id in stops
    assert set(tokenizer("\n", add_special_tokens=False)["input_ids"]) <= stops
    assert {token for token in stops if token != tokenizer.eos_token_id} == {
        token for token in range(len(tokenizer)) if "\n" in tokenizer.decode([token])
    }

"""Which ways of generating behind a soft prompt write what the model writes for one document at a time.

The table of PERFORMANCE (a), kept true for the pinned peft and transformers: PEFT's own `generate` does so for one
row at a time. In a batch it drops the position ids (it warns of that, not of what follows), so padding counts as
text; with a filled cache it takes as many tokens of the input for done as the cache is long, silently. This is why
`generation.py` exists; when a test fails here, PEFT or transformers has changed, and the table with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from benchmarks.reference import Reference
from sptar_engine.prompting import generation
from sptar_engine.prompting.decoding import Decoding
from sptar_engine.prompting.generation import Request, decode_batch
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
    soft_prefix,
)

VIRTUAL = 20
STEPS = 12
SHORT = (5, 9, 14, 16, 18)  # tokens of the documents; all shorter than the soft prompt, as is usual with examples
LONG = (31, 40, 52)

Tokens = list[list[int]]


@dataclass(frozen=True)
class Setting:
    language_model: LanguageModel
    peft_model: PeftModel
    adapter: Path
    documents: Tokens

    def expected(self) -> Tokens:
        reference = Reference(self.language_model, self.peft_model, [])
        return [reference.query(document, (), STEPS) for document in self.documents]

    def equal(self, found: Tokens) -> list[bool]:
        return [one == other for one, other in zip(found, self.expected(), strict=True)]

    def by_peft(self, documents: Tokens, **extra: object) -> Tokens:
        """`PeftModel.generate` on documents padded on the left."""
        width = max(map(len, documents))
        ids = torch.tensor([[0] * (width - len(one)) + one for one in documents])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in documents])
        settings = {"attention_mask": mask, "do_sample": False, "max_new_tokens": STEPS, "pad_token_id": 0} | extra
        return self.peft_model.generate(input_ids=ids, **settings)[:, width:].tolist()


@pytest.fixture(params=["tiny_llm", "tiny_gpt2"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Setting]:
    def setting(method: str = "prompt_tuning", lengths: tuple[int, ...] = SHORT) -> Setting:
        language_model = load_language_model(request.getfixturevalue(request.param), "float32", "cpu")
        peft_model = build_soft_prompt(
            language_model, method=method, virtual_tokens=VIRTUAL, init_text="a heron", base_name="tiny", seed=3
        ).eval()
        save_soft_prompt(peft_model, tmp_path)
        peft_model.generation_config.eos_token_id = None  # every query is STEPS tokens long
        generator = torch.Generator().manual_seed(1)
        documents = [torch.randint(5, 300, (length,), generator=generator).tolist() for length in lengths]
        return Setting(language_model, peft_model, tmp_path, documents)

    return setting


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "prefix_tuning"])
def test_peft_writes_the_reference_one_row_at_a_time(make: Callable[..., Setting], method: str) -> None:
    setting = make(method)
    assert setting.equal([setting.by_peft([document])[0] for document in setting.documents]) == [True] * 5


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning"])
def test_peft_in_a_batch_is_right_in_the_unpadded_row_and_else_by_luck(
    make: Callable[..., Setting], method: str
) -> None:
    setting = make(method)
    equal = setting.equal(setting.by_peft(setting.documents))
    assert equal[-1]
    assert sum(equal) <= 2


def test_peft_in_a_batch_is_right_with_prefix_tuning(make: Callable[..., Setting]) -> None:
    setting = make("prefix_tuning")
    assert setting.equal(setting.by_peft(setting.documents)) == [True] * 5


def prefilled(setting: Setting) -> Tokens:
    """`PeftModel.generate`, a row at a time, with the soft prompt already in the cache."""
    start = soft_prefix(setting.language_model, setting.peft_model)
    masks = [torch.ones(1, VIRTUAL + len(document), dtype=torch.long) for document in setting.documents]
    return [
        setting.by_peft([document], past_key_values=start.repeat(1), attention_mask=mask)[0]
        for document, mask in zip(setting.documents, masks, strict=True)
    ]


def test_peft_with_a_filled_cache_is_wrong_for_every_document_shorter_than_the_cache(
    make: Callable[..., Setting],
) -> None:
    setting = make()
    assert setting.equal(prefilled(setting)) == [False] * 5


def test_peft_with_a_filled_cache_is_right_for_longer_documents(make: Callable[..., Setting]) -> None:
    setting = make(lengths=LONG)
    assert setting.equal(prefilled(setting)) == [True] * 3


def test_the_base_model_with_a_filled_cache_and_the_whole_mask_is_right(make: Callable[..., Setting]) -> None:
    setting = make()
    width, rows = max(SHORT), len(SHORT)
    ids = torch.tensor([[0] * (width - len(one)) + one for one in setting.documents])
    mask = torch.tensor([[1] * VIRTUAL + [0] * (width - len(one)) + [1] * len(one) for one in setting.documents])
    start = soft_prefix(setting.language_model, setting.peft_model).repeat(rows)
    found = setting.language_model.model.generate(
        ids, attention_mask=mask, past_key_values=start, do_sample=False, max_new_tokens=STEPS, pad_token_id=0
    )
    assert setting.equal(found[:, width:].tolist()) == [True] * 5


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "prefix_tuning"])
def test_ours_is_right_in_a_batch(make: Callable[..., Setting], method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make(method)
    monkeypatch.setattr(generation, "stop_tokens", lambda tokenizer: frozenset())
    requests = [Request(str(len(one)), one) for one in reversed(setting.documents)]
    start = prefix(setting.language_model, setting.adapter, [])
    found = decode_batch(setting.language_model, start, requests, Decoding(max_new_tokens=STEPS), 4096)
    assert setting.equal([one.tokens for one in found[::-1]]) == [True] * 5

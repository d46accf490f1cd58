"""A soft prompt starts where it should, is saved as PEFT reads it, and acts exactly as in PEFT's own forward."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from sptar_engine.errors import ArtifactError, ConfigError, InputError, StageError
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
    soft_prefix,
    trainable,
)

METHODS = ["prompt_tuning", "prefix_tuning", "p_tuning"]
WORDS = "the heron waits"
Build = Callable[..., PeftModel]


@pytest.fixture(params=["tiny_llm", "tiny_gpt2"])
def language_model(request: pytest.FixtureRequest) -> LanguageModel:
    return load_language_model(request.getfixturevalue(request.param), "float32", "cpu")


@pytest.fixture
def build(language_model: LanguageModel) -> Build:
    def make(method: str = "prompt_tuning", **changes: Any) -> PeftModel:
        settings = {"virtual_tokens": 8, "init_text": WORDS, "base_name": "tiny", "seed": 13} | changes
        return build_soft_prompt(language_model, method=method, **settings)

    return make


def _ids(language_model: LanguageModel, text: str) -> list[int]:
    return list(language_model.tokenizer(text, add_special_tokens=False)["input_ids"])


def _logits_behind(language_model: LanguageModel, start: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return language_model.model(torch.tensor([ids]), past_key_values=start.repeat(1)).logits[0]


def test_prompt_tuning_starts_from_the_words_repeated_to_length(language_model: LanguageModel, build: Build) -> None:
    ids = _ids(language_model, WORDS)
    peft_model = build(virtual_tokens=len(ids) + 2)
    table = language_model.model.get_input_embeddings().weight
    expected = table[torch.tensor([*ids, *ids[:2]])]
    torch.testing.assert_close(trainable(peft_model).embedding.weight.data, expected, rtol=0, atol=0)


def test_untrained_prefix_tuning_is_the_words_as_a_hard_prompt(language_model: LanguageModel, build: Build) -> None:
    words, text = _ids(language_model, WORDS), _ids(language_model, " beside the water")
    start = soft_prefix(language_model, build("prefix_tuning", virtual_tokens=len(words)))
    with torch.no_grad():
        whole = language_model.model(torch.tensor([words + text])).logits[0, len(words) :]
    torch.testing.assert_close(_logits_behind(language_model, start, text), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_gives_the_same_start_and_leaves_the_generator_alone(build: Build, method: str) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, again = (trainable(build(method)).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_p_tuning_depends_on_the_seed(build: Build) -> None:
    one, other = (trainable(build("p_tuning", seed=seed)).embedding.weight for seed in (1, 2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_soft_prompt_is_trained(language_model: LanguageModel, build: Build, method: str) -> None:
    peft_model = build(method)
    trained = [name for name, value in peft_model.named_parameters() if value.requires_grad]
    assert trained
    assert all(name.startswith("prompt_encoder") for name in trained)
    assert not any(value.requires_grad for value in language_model.model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_soft_prompt_stays_float32_around_a_bfloat16_model(tiny_llm: Path, tmp_path: Path, method: str) -> None:
    language_model = load_language_model(tiny_llm, "bfloat16", "cpu")
    peft_model = build_soft_prompt(
        language_model, method=method, virtual_tokens=4, init_text=WORDS, base_name="tiny", seed=13
    )
    assert {value.dtype for value in trainable(peft_model).parameters()} == {torch.float32}
    save_soft_prompt(peft_model, tmp_path / "adapter")
    start = prefix(language_model, tmp_path / "adapter", _ids(language_model, WORDS))
    assert {keys.dtype for keys, *_ in start.repeat(2)} == {torch.bfloat16}


@pytest.mark.parametrize("method", METHODS)
def test_saved_adapter_is_two_files_with_the_catalogue_name_and_no_path(
    language_model: LanguageModel, build: Build, tmp_path: Path, method: str
) -> None:
    for folder in ("one", "two"):
        save_soft_prompt(build(method), tmp_path / folder)
    names = ["adapter_config.json", "adapter_model.safetensors"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    text = (tmp_path / "one" / "adapter_config.json").read_text(encoding="utf-8")
    assert json.loads(text)["base_model_name_or_path"] == "tiny"
    assert str(language_model.model.config.name_or_path) not in text


@pytest.mark.parametrize("method", METHODS)
def test_peft_loads_the_saved_adapter_and_gives_the_same_logits(
    language_model: LanguageModel, build: Build, tmp_path: Path, method: str
) -> None:
    peft_model = build(method)
    with torch.no_grad():  # away from the start, so that the values must come from the file
        for value in trainable(peft_model).parameters():
            value.add_(0.05)
    save_soft_prompt(peft_model, tmp_path)
    examples, document = _ids(language_model, "a drill turns\n"), _ids(language_model, "the heron waits beside")
    ours = _logits_behind(language_model, prefix(language_model, tmp_path, examples), document)
    ids = torch.tensor([examples + document])
    with torch.no_grad():
        theirs = PeftModel.from_pretrained(language_model.model, str(tmp_path))(input_ids=ids).logits[0]
    torch.testing.assert_close(ours, theirs[-len(document) :], rtol=1e-4, atol=1e-4)


def test_prefix_counts_virtual_and_example_tokens(language_model: LanguageModel, build: Build, tmp_path: Path) -> None:
    save_soft_prompt(build(), tmp_path)
    examples = _ids(language_model, "a drill turns\n")
    start = prefix(language_model, tmp_path, examples)
    assert start.length == 8 + len(examples) == start.repeat(1).get_seq_length()


def test_nothing_before_a_document_is_an_empty_prefix(language_model: LanguageModel) -> None:
    start = prefix(language_model, None, [])
    assert start.length == 0
    text = _ids(language_model, WORDS)
    with torch.no_grad():
        plain = language_model.model(torch.tensor([text])).logits[0]
    torch.testing.assert_close(_logits_behind(language_model, start, text), plain)


def test_repeated_caches_grow_apart_and_leave_the_prefix_as_it_was(language_model: LanguageModel) -> None:
    start = prefix(language_model, None, _ids(language_model, WORDS))
    before = [keys.clone() for keys, *_ in start.repeat(1)]
    cache = start.repeat(2)
    with torch.no_grad():
        language_model.model(torch.tensor([[5, 6], [7, 8]]), past_key_values=cache)
    for keys, *_ in cache:
        keys.zero_()
    assert cache.get_seq_length() == start.length + 2
    assert all(torch.equal(old, keys) for old, (keys, *_) in zip(before, start.repeat(1), strict=True))


def test_tokenizer_that_opens_texts_opens_the_hard_prompt(tiny_llm: Path) -> None:
    from tokenizers import processors

    language_model = load_language_model(tiny_llm, "float32", "cpu")
    assert language_model.opening == []
    bos = (language_model.tokenizer.bos_token, language_model.tokenizer.bos_token_id)
    language_model.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos[0]} $A", special_tokens=[bos]
    )
    assert language_model.opening == [bos[1]]
    text = _ids(language_model, WORDS)
    start = prefix(language_model, None, text[:2])
    assert start.length == 3
    with torch.no_grad():
        whole = language_model.model(torch.tensor([[bos[1], *text]])).logits[0, 3:]
    torch.testing.assert_close(_logits_behind(language_model, start, text[2:]), whole, rtol=1e-4, atol=1e-5)


def test_init_text_without_words_is_refused(build: Build) -> None:
    with pytest.raises(ConfigError, match=r"tune\.init_text"):
        build(init_text="")


def test_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="safetensors"):
        load_language_model(tmp_path, "float32", "cpu")


def test_encoder_is_no_language_model(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match="not a causal language model"):
        load_language_model(tiny_encoder, "float32", "cpu")


def test_weights_cut_short_are_refused(tiny_llm: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_llm / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes((tiny_llm / "model.safetensors").read_bytes()[:-1000])
    with pytest.raises(InputError, match="can be loaded"):
        load_language_model(tmp_path, "float32", "cpu")


def test_broken_config_is_refused_with_its_reason(tiny_llm: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((tiny_llm / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "no-such-model"}', encoding="utf-8")
    with pytest.raises(InputError, match="no-such-model"):
        load_language_model(tmp_path, "float32", "cpu")


def test_model_that_caps_its_logits_is_refused(tiny_llm: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Gemma2Config, Gemma2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(tiny_llm)
    config = Gemma2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, final_logit_softcapping=0.1, initializer_range=0.5,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="gemma2"):
        load_language_model(tmp_path, "float32", "cpu")


def test_adapter_with_a_file_missing_is_named(language_model: LanguageModel, build: Build, tmp_path: Path) -> None:
    save_soft_prompt(build(), tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="adapter_model"):
        prefix(language_model, tmp_path, [])


def test_adapter_of_another_model_does_not_fit(language_model: LanguageModel, build: Build, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_soft_prompt(build(), tmp_path)
    values = load_file(tmp_path / "adapter_model.safetensors")
    wider = {name: value.repeat(1, 2) for name, value in values.items()}
    save_file(wider, tmp_path / "adapter_model.safetensors")
    with pytest.raises(StageError, match="does not fit"):
        prefix(language_model, tmp_path, [])

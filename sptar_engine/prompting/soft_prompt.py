"""The soft prompt: built, saved and loaded through PEFT; run through the base model by ourselves.

PEFT's own forward and generate are not used: batched, they shift positions by the padding of a row (peft sets
position_ids to None), so a text's result depends on its batch mates; and they compute logits for every token.
Whatever the method, a soft prompt acts on a text by filling the attention cache before it. So here it becomes
a `Prefix`: keys and values of one row, computed once and repeated for a batch. Training, scoring and
generation share this one path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
    get_peft_model,
)
from peft.tuners.prompt_tuning import PromptTuningInit
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from sptar_engine.errors import ArtifactError, ConfigError, InputError, StageError
from sptar_engine.runtime import torch_dtype

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_HEAD_TOLERANCE = 0.05  # of a logit: far above rounding, far below what a scaled or capped head changes


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A frozen causal language model in evaluation mode, with its tokenizer."""

    model: Any
    tokenizer: Any

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.model.device)

    def embed(self, token_ids: Sequence[int]) -> Tensor:
        """Input embeddings of one text, (1, tokens, dim)."""
        ids = torch.tensor([list(token_ids)], dtype=torch.long, device=self.device)
        embeddings: Tensor = self.model.get_input_embeddings()(ids)
        return embeddings

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits in float32 of hidden states, (..., dim) to (..., vocabulary)."""
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits.float()

    @property
    def opening(self) -> list[int]:
        """What this tokenizer puts before every text: nothing, or the beginning-of-text token."""
        first: list[int] = self.tokenizer("a")["input_ids"][:1]
        return first if first == [self.tokenizer.bos_token_id] else []


@dataclass(frozen=True, slots=True)
class Prefix:
    """What stands before every document, as keys and values of one row; None when nothing does.

    `length` counts the positions it takes: virtual tokens and example tokens.
    """

    cache: DynamicCache | None
    length: int

    def repeat(self, batch: int) -> DynamicCache:
        """A cache of `batch` equal rows that grows without touching this prefix. Gradients pass through."""
        if self.cache is None:
            return DynamicCache()
        # The constructor concatenates, so the rows are copies although `expand` makes views. What may stand
        # third is the window of a sliding layer.
        rows = [(_expand(keys, batch), _expand(values, batch), *rest) for keys, values, *rest in self.cache]
        return DynamicCache(rows)


def load_language_model(folder: Path, dtype: str, device: str) -> LanguageModel:
    """Load a Hugging Face folder with safetensors weights, frozen. Raises InputError if it cannot be used."""
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} holds no .safetensors file, which a folder of a language model must.")
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch_dtype(dtype), use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{folder} is not a causal language model that can be loaded: {reason}") from error
    model, found = loaded
    if found["missing_keys"]:  # an encoder loads too, with an output layer of random values
        raise InputError(f"{folder} is not a causal language model: it has no weights {min(found['missing_keys'])}.")
    language_model = LanguageModel(model.to(device).eval().requires_grad_(False), tokenizer)
    _check_body_and_head(language_model, folder)
    return language_model


def build_soft_prompt(
    language_model: LanguageModel,
    *,
    method: str,
    virtual_tokens: int,
    init_text: str,
    base_name: str,
    seed: int,
) -> PeftModel:
    """A new trainable soft prompt in float32 around the frozen model; the same seed gives the same values.

    `prompt_tuning` starts from the embeddings of `init_text`, repeated to length (the official code's way);
    `prefix_tuning` from the keys and values of the same tokens, since random ones start far from any text (Li
    and Liang, arXiv 2101.00190, section 7.4); `p_tuning` from PEFT's random encoder. `base_name` is the
    catalogue name that the saved adapter refers to. Raises ConfigError for an `init_text` without tokens.
    """
    kinds = {
        "prompt_tuning": PromptTuningConfig,
        "prefix_tuning": PrefixTuningConfig,
        "p_tuning": PromptEncoderConfig,
    }
    with torch.random.fork_rng(devices=()):  # PEFT draws its first values on the CPU
        torch.manual_seed(seed)
        config: Any = kinds[method](task_type=TaskType.CAUSAL_LM, num_virtual_tokens=virtual_tokens)
        peft_model: PeftModel = get_peft_model(language_model.model, config)
    config.base_model_name_or_path = base_name  # PEFT has put the folder of the weights there
    if method != "p_tuning":
        start = _start_values(language_model, method, init_text, virtual_tokens)
        trainable(peft_model).embedding.weight = torch.nn.Parameter(start)
    if method == "prompt_tuning":
        # Said in the saved file, not acted on: PEFT would look for the tokenizer's files under that name.
        config.prompt_tuning_init = PromptTuningInit.TEXT
        config.prompt_tuning_init_text = init_text
        config.tokenizer_name_or_path = base_name
    return peft_model


def trainable(peft_model: PeftModel) -> Any:
    """The module that holds the soft prompt's values: all that is trained, and all that a checkpoint needs."""
    return peft_model.prompt_encoder[peft_model.active_adapter]


def save_soft_prompt(peft_model: PeftModel, folder: Path) -> None:
    """Write the adapter in PEFT's format, safetensors and configuration; equal values give equal bytes."""
    # By default PEFT asks the network whether the base model's vocabulary was enlarged; here it never is.
    peft_model.save_pretrained(str(folder), save_embedding_layers=False)
    for path in folder.iterdir():
        if path.name not in _ADAPTER_FILES:  # PEFT's model card, which names folders of this machine
            path.unlink()


def prefix(language_model: LanguageModel, adapter: Path | None, token_ids: Sequence[int]) -> Prefix:
    """Run what all documents share through the model once: the soft prompt, if any, then the example tokens.

    Without a soft prompt the tokenizer's beginning-of-text token stands first, if it uses one; with one the
    virtual tokens are the beginning, in training as here. Raises ArtifactError for an adapter with a file
    missing, StageError for one that belongs to a model of another shape.
    """
    with torch.no_grad():
        if adapter is None:
            return _extend(language_model, Prefix(None, 0), [*language_model.opening, *token_ids])
        return _extend(language_model, soft_prefix(language_model, _load(language_model, adapter)), token_ids)


def soft_prefix(language_model: LanguageModel, peft_model: PeftModel) -> Prefix:
    """The soft prompt alone, as it is now. Inside a training step gradients reach its values."""
    length = peft_model.active_peft_config.num_virtual_tokens
    prompt = peft_model.get_prompt(1)
    if isinstance(prompt, DynamicCache):  # prefix tuning learns keys and values
        return Prefix(prompt, length)
    return Prefix(_run(language_model, prompt.to(language_model.model.dtype), DynamicCache()), length)


def _extend(language_model: LanguageModel, start: Prefix, token_ids: Sequence[int]) -> Prefix:
    if not token_ids:
        return start
    cache = _run(language_model, language_model.embed(token_ids), start.repeat(1))
    return Prefix(cache, start.length + len(token_ids))


def _run(language_model: LanguageModel, embeddings: Tensor, cache: DynamicCache) -> DynamicCache:
    # embeddings: (1, tokens, dim). The body alone: nobody asks for logits here.
    output = language_model.model.base_model(inputs_embeds=embeddings, past_key_values=cache, use_cache=True)
    filled: DynamicCache = output.past_key_values
    return filled


def _expand(states: Tensor, batch: int) -> Tensor:
    return states.expand(batch, *states.shape[1:])  # (1, heads, tokens, head dim)


def _load(language_model: LanguageModel, adapter: Path) -> PeftModel:
    if missing := [name for name in _ADAPTER_FILES if not (adapter / name).is_file()]:
        raise ArtifactError(f"{adapter / missing[0]} is missing")
    try:
        peft_model = PeftModel.from_pretrained(language_model.model, str(adapter))
    except RuntimeError as error:  # sizes differ
        raise StageError(f"The soft prompt in {adapter} does not fit this language model.") from error
    return peft_model.eval()


@torch.no_grad()
def _start_values(language_model: LanguageModel, method: str, init_text: str, virtual_tokens: int) -> Tensor:
    words = language_model.tokenizer(init_text, add_special_tokens=False)["input_ids"]
    tokens = [*language_model.opening, *words]
    if not words:
        raise ConfigError("tune.init_text", "it has no tokens; give a few words for the soft prompt to start from")
    tokens = (tokens * -(-virtual_tokens // len(tokens)))[:virtual_tokens]
    embeddings = language_model.embed(tokens)
    if method == "prompt_tuning":
        return embeddings[0].float().clone()  # (virtual tokens, dim)
    cache = _run(language_model, embeddings, DynamicCache())
    # 2 * layers of (heads, tokens, head dim) -> (tokens, 2 * layers, heads, head dim), the order PEFT reads
    states = [row for keys, values, *_ in cache for row in (keys[0], values[0])]
    return torch.stack(states).float().permute(2, 0, 1, 3).reshape(virtual_tokens, -1).clone()


@torch.no_grad()
def _check_body_and_head(language_model: LanguageModel, folder: Path) -> None:
    """Make sure that body, then head, is all the model does: some scale or cap their logits afterwards."""
    tokens = language_model.tokenizer("a b c", add_special_tokens=False)["input_ids"]
    model = language_model.model
    hidden = model.base_model(inputs_embeds=language_model.embed(tokens)).last_hidden_state
    whole = model(input_ids=torch.tensor([tokens], device=language_model.device)).logits.float()
    if (whole - language_model.logits(hidden)).abs().max() > _HEAD_TOLERANCE:
        kind = model.config.model_type
        raise InputError(f"{folder} is of type {kind}, whose output layer is not supported; Llama's is.")

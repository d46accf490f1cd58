"""tune: learn a soft prompt on the seed pairs while the language model stays frozen."""

from __future__ import annotations

from typing import Any

from sptar_engine.artifacts import write_jsonl
from sptar_engine.catalog import LANGUAGE_MODEL, describe, language_model_folder
from sptar_engine.configs import TuneConfig
from sptar_engine.data.seeds import read_seeds
from sptar_engine.errors import InputError
from sptar_engine.prompting.prompts import ADAPTER_FOLDER
from sptar_engine.prompting.scoring import Item, mean_loss, perplexity, query_losses
from sptar_engine.prompting.soft_prompt import (
    LanguageModel,
    build_soft_prompt,
    load_language_model,
    prefix,
    save_soft_prompt,
    trainable,
)
from sptar_engine.prompting.template import PromptTokens
from sptar_engine.runtime import prepare_torch
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.prompt_loop import HELDOUT_TOKENS, Epochs, PromptLoop, Tuning, first_items

HISTORY_FILE = "history.jsonl"
_CHECKPOINT = "checkpoint.pt"


def run(config: TuneConfig, context: StageContext) -> StageOutput:
    """Write the best adapter and the history. Raises InputError when there are no seed or no held-out pairs."""
    prepare = context.input("prepare")
    train, dev = (read_seeds(prepare, split) for split in ("train", "dev"))
    if not train or not dev:
        raise InputError(f"{prepare} has {len(train)} train and {len(dev)} held-out queries; tuning needs both.")
    prepare_torch(config.seed, config.threads)
    folder = language_model_folder(config.model, context.models)
    language_model = load_language_model(folder, config.dtype, context.device)
    tokens = PromptTokens(language_model.tokenizer, config.document_tokens, config.query_tokens)
    heldout = first_items(dev, tokens)
    hard = _hard_perplexity(language_model, heldout)
    peft_model = build_soft_prompt(
        language_model,
        method=config.method,
        virtual_tokens=config.virtual_tokens,
        init_text=config.init_text,
        base_name=describe(config.model, LANGUAGE_MODEL, context.models).name,
        seed=config.seed,
    )
    epochs = Epochs(train, tokens, config.examples, config.batch_size, config.seed)
    loop = PromptLoop(language_model, peft_model, epochs, heldout, config, context.tick)
    tuning = loop.run(context.scratch / _CHECKPOINT)
    save_soft_prompt(peft_model, context.out_dir / ADAPTER_FOLDER)
    write_jsonl(context.out_dir / HISTORY_FILE, tuning.history)
    parameters = sum(value.numel() for value in trainable(peft_model).parameters())
    counts = {"train_queries": len(train), "heldout_queries": len(dev), "trainable_parameters": parameters}
    return StageOutput(summarise(tuning, config, hard) | counts)


def summarise(tuning: Tuning, config: TuneConfig, hard: float) -> dict[str, Any]:
    """The numbers of a finished tuning and a sentence that reads them; `hard` is the perplexity without it."""
    before = perplexity(tuning.heldout_loss(0))
    after = perplexity(tuning.heldout_loss(tuning.best_epoch))
    return {
        "heldout_perplexity_hard": hard,
        "heldout_perplexity_before": before,
        "heldout_perplexity": after,
        "reduction": 1 - after / before,
        "best_epoch": tuning.best_epoch,
        "epochs_run": tuning.epoch,
        "virtual_tokens": config.virtual_tokens,
        "sentence": f"{_result(tuning, before, after)} Without a soft prompt it is {hard:.1f}. {_end(tuning, config)}",
    }


def _result(tuning: Tuning, before: float, after: float) -> str:
    if tuning.best_epoch == 0:
        return f"No epoch brought held-out perplexity below the {before:.1f} of the start, so the start was kept."
    fall = 1 - after / before
    found = f"from {before:.1f} to {after:.1f} ({fall:.0%} less), best after epoch {tuning.best_epoch}."
    return f"Held-out perplexity fell {found}"


def _end(tuning: Tuning, config: TuneConfig) -> str:
    if tuning.best_epoch == tuning.epoch == config.epochs:
        return "The last epoch was the best: more epochs may bring more."
    if tuning.epoch < config.epochs:
        return f"Training stopped after epoch {tuning.epoch}, since {config.patience} epochs in a row were no better."
    return "The epochs after it were no better."


def _hard_perplexity(language_model: LanguageModel, heldout: list[Item]) -> float:
    nothing = prefix(language_model, None, [])
    return perplexity(mean_loss(query_losses(language_model, nothing, heldout, HELDOUT_TOKENS)))

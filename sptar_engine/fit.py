"""Does what is asked for fit the data and the base? Asked when the dataset is read, before anything that takes long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sptar_engine.arms import CROSS_ENCODER
from sptar_engine.artifacts import read_json
from sptar_engine.configs import SelectConfig, TrainConfig
from sptar_engine.data.seeds import read_seeds
from sptar_engine.errors import ConfigError, InputError
from sptar_engine.prompting.example_sets import count_sets
from sptar_engine.steps import Step
from sptar_engine.training.pairs import check_negatives, read_training_set

Counts = Mapping[str, Any]
"""The numbers of a finished prepare step."""


_TRANSFORMER = "Transformer"
"""What sentence-transformers calls a Hugging Face encoder in a folder's list of modules."""

_SIZES = ("out_features", "embedding_dimension", "word_embedding_dimension", "hidden_size")
"""Names that a module's configuration gives to the length of what it puts out, sentence-transformers 5 and 6."""


def check_fit(steps: Sequence[Step], counts: Counts) -> tuple[str, ...]:
    """Return warnings, a sentence each, for a plan that works but not as one might think.

    Raises InputError for data that the plan's steps cannot work with, ConfigError for an option they are too few for.
    """
    stages = {step.stage for step in steps}
    documents, pool = int(counts["documents"]), int(counts["pool"])
    if "train" in stages and documents < 2:
        raise InputError("The collection has one document, which answers every query; a retriever needs several.")
    if "generate" in stages and not pool:
        raise InputError(
            "Every document has a training label, so there is none left to write queries for; arms without queries of "
            "their own (bm25, zero_shot, seeds_only) still can be compared."
        )
    for step in steps:
        _check_step(step, documents, int(counts["train_queries"]))
    return tuple(dict.fromkeys(_warnings(steps, documents, pool)))


def check_seeds(steps: Sequence[Step], prepare: Path) -> None:
    """Raise InputError where a training on the labels alone has nothing to tell an answer from.

    Raises ConfigError for a place among the sets of examples that there are not so many of. `prepare` is the folder of
    the finished step. Weak pairs and mined negatives bring documents of their own.
    """
    if any(step.stage == "train" and not {"filter", "mine"} & step.inputs.keys() for step in steps):
        check_negatives(read_training_set(prepare, None, None, 0))
    chosen = {(one.config.take, one.config.examples) for one in steps if isinstance(one.config, SelectConfig)}
    for take, examples in sorted(chosen):
        sets = count_sets([len(pairs) for pairs in read_seeds(prepare, "train").values()], examples)
        if take >= sets:
            raise ConfigError(
                "select.take",
                f"{take} is beyond the last of {sets} different sets that {examples} of the training examples can "
                f"make, counted from 0; with select.candidates={sets} no more are asked for",
            )


def check_base(steps: Sequence[Step], base: Path) -> None:
    """Raise InputError for a base that is no transformer, which a training cannot change.

    Raises ConfigError where a training wants more dimensions than the base retriever in the folder has.
    """
    _check_kind(base)
    size = base_size(base)
    for step in steps:
        if isinstance(step.config, TrainConfig):
            _check_sizes(step.config, step.family, size)


@dataclass(frozen=True, slots=True)
class BaseSize:
    """Dimensions of a base as its files say: of a token's state and of a text's vector; None where they do not."""

    token: int | None
    vector: int | None


def base_size(base: Path) -> BaseSize:
    """Read the sizes of a transformers folder or a sentence-transformers one, whose last module decides."""
    modules = base / "modules.json"
    parts = [part["path"] for part in read_json(modules)] if modules.is_file() else [""]
    found = [read_json(path) for part in parts if (path := base / part / "config.json").is_file()]
    sizes = [config[name] for config in found for name in _SIZES if isinstance(config.get(name), int)]
    tokens = [config["hidden_size"] for config in found if isinstance(config.get("hidden_size"), int)]
    return BaseSize(next(iter(tokens), None), next(reversed(sizes), None))


def _check_kind(base: Path) -> None:
    modules = base / "modules.json"
    first: Mapping[str, Any] = next(iter(read_json(modules)), {}) if modules.is_file() else {}
    kind = str(first.get("type", _TRANSFORMER)).rpartition(".")[2]
    if kind != _TRANSFORMER:
        raise InputError(f"{base} holds a {kind}, not a Hugging Face encoder; only these are used as retrievers.")


def _check_sizes(config: TrainConfig, family: str, size: BaseSize) -> None:
    wanted, option, there, allowed = {
        "bi_encoder": (config.shorter[0] + 1 if config.shorter else 0, "matryoshka", size.vector, "fewer than"),
        "adapter": (config.adapter_rank, "adapter_rank", size.vector, "at most"),
        "late_interaction": (config.token_dimensions, "token_dimensions", size.token, "at most"),
    }.get(family, (0, "", None, ""))
    if there is not None and wanted > there:
        given = getattr(config, option)
        raise ConfigError(
            f"train.{option}", f"{given} is too much for the base; {allowed} its {there} dimensions is allowed"
        )


def _check_step(step: Step, documents: int, train_queries: int) -> None:
    if step.stage == "select" and (examples := getattr(step.config, "examples", 0)) > train_queries:
        reason = f"{examples} examples need as many train queries, and there are {train_queries}"
        raise ConfigError("select.examples", reason)
    if step.stage == "mine" and (skip := getattr(step.config, "skip", 0)) >= documents - 1:
        raise ConfigError("mine.skip", f"{skip} passes over everything that can be mined in {documents} documents")


def _warnings(steps: Sequence[Step], documents: int, pool: int) -> Iterator[str]:
    for step in steps:
        depth = getattr(step.config, "rerank_depth", 0)
        if step.stage == "train" and step.family == CROSS_ENCODER and documents <= depth:
            yield (
                f"With {documents} documents and train.rerank_depth={depth} the cross-encoder puts the whole "
                "collection in order, not the first hits of BM25."
            )
        wanted = getattr(step.config, "documents", 0)
        if step.stage == "generate" and wanted > pool:
            yield f"generate.documents asks for {wanted} documents and {pool} have no training label; these are taken."

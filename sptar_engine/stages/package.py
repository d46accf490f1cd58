"""Make the archive that a user downloads, and prove that it loads elsewhere before calling it done."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import read_json, sha256_file, write_json
from sptar_engine.catalog import ENCODER, LANGUAGE_MODEL, describe
from sptar_engine.configs import CONFIGS, PackageConfig
from sptar_engine.errors import ConfigError
from sptar_engine.evaluation.compare import interval
from sptar_engine.packaging import load_check
from sptar_engine.packaging.archive import SUMS, Content, digests, model_files, sums, write_archive
from sptar_engine.packaging.card import CardFacts, Measured, Source, Step, Together, write_card, write_requirements
from sptar_engine.packaging.usage import USAGES
from sptar_engine.retrieval.fusion import FUSION_FILE
from sptar_engine.retrieval.kinds import has_two_towers
from sptar_engine.stage import StageContext, StageOutput
from sptar_engine.training.pairs import WRITTEN, count_pairs

_STEPS = ("prepare", "tune", "filter", "train")
_LOADS = ("sentence-transformers", "transformers", "tokenizers", "torch", "safetensors", "numpy", "huggingface_hub")
_MACHINE_SETTINGS = frozenset({"threads"})  # say how it was computed, not what


def run(config: PackageConfig, context: StageContext) -> StageOutput:
    """Write NAME.zip and package.json. Raises StageError when a file may not go in or the archive does not load."""
    name = config.name
    model = context.input("train") / "model"
    contents = model_files(model)
    context.tick(0, len(contents), "reading the trained model")
    reference = load_check.read_reference(model)
    facts = gather_facts(config, context, reference)
    contents |= written_files(facts)
    if facts.together:
        contents[FUSION_FILE] = context.input("fuse") / FUSION_FILE
    contents[SUMS] = sums(digests(contents))

    archive = context.out_dir / f"{name}.zip"
    write_archive(archive, name, contents, context.tick)
    difference = load_check.check(
        archive, name, reference.numbers, context.scratch,
        lambda: context.tick(len(contents), len(contents), "loading it in a clean process"),
    )  # fmt: skip
    size = archive.stat().st_size
    made = {"sha256": sha256_file(archive), "bytes": size}
    check = {"passed": True, "sentences": len(load_check.SENTENCES), "tolerance": load_check.TOLERANCE}
    listing = {**made, "archive": archive.name, "files": digests(contents), "load_check": check}
    write_json(context.out_dir / "package.json", listing)
    sentence = f"{archive.name}, {size / 2**20:.1f} MiB, loads in a clean process without a network"
    return StageOutput({**made, "files": len(contents), "max_difference": difference, "sentence": sentence})


def written_files(facts: CardFacts) -> dict[str, Content]:
    """The files beside the model that are written here."""
    files: dict[str, Content] = {
        "README.md": write_card(facts).encode(),
        "requirements.txt": write_requirements(facts.pins).encode(),
        "load_example.py": _source(USAGES[facts.family].example).encode(),
    }
    return files | ({"load_example_hybrid.py": _source("load_example_hybrid").encode()} if facts.together else {})


def gather_facts(config: PackageConfig, context: StageContext, reference: load_check.Reference) -> CardFacts:
    """Collect what the card says from the results of the stages before. Raises ConfigError when they disagree."""
    results = {stage: read_json(context.inputs[stage] / "result.json") for stage in _STEPS if stage in context.inputs}
    _check_agreement(config, results)
    training = results["train"]
    per_query = read_json(context.input("evaluate") / "metrics.json")["per_query"]
    return CardFacts(
        name=config.name,
        family=str(training["config"]["family"]),
        kept_untrained=bool(training["metrics"].get("kept_untrained", False)),
        dimensions=reference.dimensions,
        max_length=reference.max_length,
        similarity=reference.similarity,
        test_queries=max(map(len, per_query.values())),
        measured=measure(per_query),
        sources=_sources(
            config, context.models, writes="filter" in results and count_pairs(training["metrics"], WRITTEN) > 0
        ),
        steps=[make_step(stage, result, context.models) for stage, result in results.items()],
        trained_with=training["versions"],
        pins={package: importlib.metadata.version(package) for package in _LOADS},
        rerank_depth=int(training["config"].get("rerank_depth", 0)),
        weight=float(training["metrics"].get("weight", 1.0)),
        predicts_words=_has_module(context.input("train") / "model", "SpladePooling"),
        two_towers=has_two_towers(context.input("train") / "model"),
        together=_together(context),
        projected=_has_module(context.input("train") / "model", "Dense"),
    )


def measure(per_query: Mapping[str, Mapping[str, float]]) -> list[Measured]:
    """Mean and 95 % bootstrap interval of every measure over the test queries, in the order they are stored."""
    found = {name: interval(list(values.values())) for name, values in per_query.items()}
    return [Measured(name, one.mean, one.low, one.high) for name, one in found.items()]


def make_step(stage: str, result: Mapping[str, Any], models: Path) -> Step:
    """A stage's part of the card: its sentence, its numbers and its settings, models by their names."""
    metrics = result["metrics"]
    numbers = {name: value for name, value in metrics.items() if type(value) in (int, float)}
    settings = {name: value for name, value in result["config"].items() if name not in _MACHINE_SETTINGS}
    for name, spec in CONFIGS[stage].__dataclass_fields__.items():
        if kind := spec.metadata.get("model"):  # may be a folder, whose path does not belong into a card
            settings[name] = describe(str(settings[name]), kind, models).name
    return Step(stage, str(metrics.get("sentence", "")), numbers, settings)


def _source(example: str) -> str:
    """The source of an example that goes along with a model."""
    return inspect.getsource(importlib.import_module(f"sptar_engine.packaging.{example}"))


def _together(context: StageContext) -> Together | None:
    """How the hybrid of this bi-encoder was put together and measured, where there is one."""
    if "fuse" not in context.inputs:
        return None
    result = read_json(context.input("fuse") / "result.json")
    per_query = read_json(context.input("together") / "metrics.json")["per_query"]
    config = result["config"]
    return Together(str(result["metrics"].get("sentence", "")), config["k1"], config["b"], measure(per_query))


def _has_module(model: Path, kind: str) -> bool:
    """Whether a model has a layer of a class: a sparse one a head for words, one of token vectors a projection."""
    return any(kind in str(module.get("type", "")) for module in read_json(model / "modules.json"))


def _sources(config: PackageConfig, models: Path, *, writes: bool) -> list[Source]:
    base = describe(config.base, ENCODER, models)
    sources = [Source("base retriever", base.name, base.licence, base.source)]
    if writes:
        teacher = describe(config.language_model, LANGUAGE_MODEL, models)
        sources.append(Source("writer of queries", teacher.name, teacher.licence, teacher.source))
    return sources


def _check_agreement(config: PackageConfig, results: Mapping[str, Mapping[str, Any]]) -> None:
    """The card names the models of its own settings, so these must be the ones that were used."""
    for stage, theirs, option, ours in (
        ("train", "base", "base", config.base),
        ("tune", "model", "language_model", config.language_model),
    ):
        if stage in results and (used := results[stage]["config"][theirs]) != ours:
            raise ConfigError(f"package.{option}", f"{ours!r} is not {used!r}, which {stage} used; give that name")

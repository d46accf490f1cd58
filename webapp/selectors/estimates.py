"""How long an experiment will take and what it needs, from what this machine did before.

Time is counted in units of work, mostly "a document goes through the model once": the same unit for the stages that
were done and for those to come, so that a median of seconds per unit carries over to another size.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from django.conf import settings

from sptar_engine.arms import BI_ENCODER, CROSS_ENCODER
from sptar_engine.configs import CROSS_ENCODER_NEGATIVES
from sptar_engine.steps import Step
from sptar_engine.training.pairs import WRITTEN, count_pairs
from webapp.models import StageRun, State
from webapp.selectors.models import ModelChoice

RANGE = (0.7, 1.6)  # of the estimate: what stages took on machines that do other work too
_BACKWARD = 3  # a step of training against one pass through the model (sptar_engine.training.retriever_loop)
_START = 4.0  # seconds until the process of a stage has loaded its libraries
_KEPT = 0.5  # share of generated questions that the filter keeps, before anything is known
_HISTORY = 300  # finished stages that are looked at
_RECENT = 9  # of a kind that make its median
_GIB = 2**30

# Seconds per unit with the bundled models on 2 CPU cores (docs/results.md), until this machine has its own.
MEASURED = {
    "prepare": 0.0005, "tune": 0.20, "select": 0.25, "generate": 0.25, "filter": 0.003, "filter.round_trip": 0.020,
    "mine": 0.020, "mine.bm25": 0.003, "teach.cross_encoder": 0.025, "teach.self": 0.020, "teach.likelihood": 0.25,
    "teach.hybrid": 0.020, "train.query": 0.012,
    "train": 0.022, "train.late_interaction": 0.026, "train.cross_encoder": 0.025, "train.sparse": 0.026,
    "train.adapter": 0.020, "fuse": 0.020, "evaluate.bm25": 0.0016, "evaluate.dense": 0.020,
    "evaluate.late_interaction": 0.026, "evaluate.cross_encoder": 0.025, "evaluate.sparse": 0.026,
    "evaluate.hybrid": 0.022, "package": 16.0,
}  # fmt: skip
_WITHOUT_MODEL: Mapping[str, tuple[str, ...]] = {
    "retriever": ("bm25",), "method": ("bm25", "likelihood"), "source": ("bm25",), "teacher": ("cross_encoder", "self"),
}  # fmt: skip
_PEAK = 4.7 * _GIB  # bytes of memory of a whole experiment with the bundled models (docs/results.md)

Counts = Mapping[str, int]
"""As Experiment.counts has them: `documents`, queries of `train`, `dev` and `test`, and `train_pairs`.

`pool` counts the documents without a training label.
"""


@dataclass(frozen=True, slots=True)
class Need:
    """Something needed and what there is of it, in bytes."""

    needed: int
    free: int

    @property
    def is_enough(self) -> bool:
        """Whether it fits."""
        return self.needed <= self.free


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a whole experiment. `low` and `high` are seconds; `rough` says that some of it never ran here before."""

    low: float
    high: float
    rough: bool
    by_stage: Mapping[str, float]
    disk: Need
    memory: Need


@dataclass(frozen=True, slots=True)
class Speeds:
    """Median seconds per unit of work by kind, from this machine's own finished stages."""

    medians: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, kind: str, model: str, scale: float) -> tuple[float, bool]:
        """Seconds per unit and whether they were measured here. `scale` makes the bundled model's figure fit."""
        if (found := self.medians.get((kind, model))) is not None:
            return found, True
        return MEASURED[kind] * scale, False


class Work(Protocol):
    """A stage to be done: a StageRun, or a Piece of a plan that is not started."""

    stage: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass(slots=True)
class Piece:
    """A step of a plan with plain settings."""

    stage: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]


def estimate(steps: Sequence[Step], counts: Counts, corpus_bytes: int, models: Mapping[str, ModelChoice]) -> Estimate:
    """Of a plan (sptar_engine.experiment.plan). `corpus_bytes` is the size of the documents' file."""
    speeds = read_speeds()
    pieces = [Piece(step.stage, step.config.as_dict(), step.inputs) for step in steps]
    by_stage: dict[str, float] = defaultdict(float)
    rough = False
    for piece in pieces:
        seconds, known = seconds_of(piece, pieces, counts, speeds, models)
        by_stage[piece.stage] += seconds
        rough = rough or not known
    total = sum(by_stage.values())
    return Estimate(
        low=total * RANGE[0],
        high=total * RANGE[1],
        rough=rough,
        by_stage=dict(by_stage),
        disk=Need(_disk_needed(pieces, corpus_bytes, models), shutil.disk_usage(_existing(settings.DATA_DIR)).free),
        memory=Need(_memory_needed(pieces, models), free_memory()),
    )


def seconds_of(
    piece: Work, pieces: Iterable[Work], counts: Counts, speeds: Speeds, models: Mapping[str, ModelChoice]
) -> tuple[float, bool]:
    """Seconds of one of the stages `pieces`, and whether they were measured on this machine."""
    model = model_of(piece.config)
    scale = models[model].scale if model in models else 1.0
    seconds, known = speeds.of(kind_of(piece.stage, piece.config), model, scale)
    kept = kept_questions(pieces, counts) if piece.stage == "filter" or "filter" in piece.inputs else 0
    return _START + seconds * units(piece.stage, piece.config, counts, kept=kept), known


def kept_questions(pieces: Iterable[Work], counts: Counts) -> int:
    """Generated questions that will take part in a training, a guess before they are written."""
    for piece in pieces:
        if piece.stage == "generate":
            return int(_KEPT * units("generate", piece.config, counts))
    return 0


def units(
    stage: str, config: Mapping[str, Any], counts: Counts, *, kept: int = 0, metrics: Mapping[str, Any] | None = None
) -> float:
    """The work of a stage; `kept` are generated questions to train on.

    `metrics` of a finished stage say how much it really was.
    """
    found = metrics or {}
    documents, dev = counts.get("documents", 0), counts.get("dev", 0)
    if stage == "tune":
        epochs = found.get("epochs_run", config["epochs"])
        return float(_BACKWARD * epochs * counts.get("train", 0) + (epochs + 2) * dev)
    if stage == "select":
        return float(found.get("candidates", config["candidates"]) * dev)
    if stage == "generate":
        return float(found.get("documents", min(config["documents"], documents)) * config["queries"])
    if stage == "filter":
        encoded = documents if config.get("method") == "round_trip" else 0
        return float(found.get("total", kept / _KEPT) + encoded)
    written = count_pairs(found, WRITTEN) if "weak_pairs" in found else kept
    pairs = found.get("seed_pairs", counts.get("train_pairs", 0)) + written
    if stage == "mine":
        return float(documents + found.get("queries", pairs))
    if stage == "teach":
        return _taught(config, found.get("documents", pairs * _each(config)), documents, dev)
    if stage == "train":
        return _trained(config, pairs, documents, dev)
    if stage == "fuse":
        return float(dev + _dev_documents(config, documents))
    if config.get("retriever") == "cross_encoder":
        return float(counts.get("test", 0) * min(config["rerank_depth"], documents))
    return 1.0 if stage == "package" else float(documents)


def _trained(config: Mapping[str, Any], pairs: float, documents: int, dev: int) -> float:
    """Of a training: what it learns from, and the searches in which its versions are measured."""
    mixes = sum(float(share) < 1 for share in str(config["mixes"]).split(","))
    looks = 1 + config["evaluations"] + mixes
    family = config.get("family", BI_ENCODER)
    if _learns_queries(config):  # no document passes the model
        return float(_BACKWARD * pairs * config["epochs"] + looks * dev)
    if family == "adapter":  # the base reads each text once, and the layer behind it costs nothing
        return float(pairs + dev + _dev_documents(config, documents))
    read = 1 + config.get("negatives", 0)
    if family == CROSS_ENCODER:
        read = 1 + max(CROSS_ENCODER_NEGATIVES, config["negatives"])
        return float(_BACKWARD * pairs * read * config["epochs"] + looks * dev * config["rerank_depth"])
    return float(_BACKWARD * pairs * read * config["epochs"] + looks * (dev + _dev_documents(config, documents)))


def _learns_queries(config: Mapping[str, Any]) -> bool:
    return config.get("family") == BI_ENCODER and config.get("towers") == "query"


def _taught(config: Mapping[str, Any], scored: float, documents: int, dev: int) -> float:
    """Of a teacher: the documents of the queries that it scores, and its own examination."""
    if config["teacher"] in ("self", "hybrid"):  # it turns texts into vectors, each once
        return float(documents + scored / _each(config) + dev)
    return float(scored + dev * min(config["rerank_depth"], documents))


def _each(config: Mapping[str, Any]) -> int:
    """Documents that a teacher scores for a query."""
    return int(config["hits"] if config["teacher"] == "hybrid" else config["documents"])


def _dev_documents(config: Mapping[str, Any], documents: int) -> int:
    return min(config["dev_pool"], documents) or documents


def kind_of(stage: str, config: Mapping[str, Any]) -> str:
    """What is measured together: the stage, and what does the work where that can be different things."""
    variants = {
        "evaluate": config.get("retriever"),
        "teach": config.get("teacher"),
        "train": "query" if _learns_queries(config) else config.get("family"),
        "filter": config.get("method"),
        "mine": config.get("source"),
    }
    kind = f"{stage}.{variants.get(stage)}"
    return kind if kind in MEASURED else stage


def model_of(config: Mapping[str, Any]) -> str:
    """The model that decides about a stage's speed, or an empty name. BM25 and packaging have none.

    BM25 and the base together teach with the base; the language model of a teacher's settings speaks only alone.
    """
    if "language_model" in config or any(config.get(option) in values for option, values in _WITHOUT_MODEL.items()):
        return ""
    named = config.get("base") if config.get("teacher") == "hybrid" else config.get("model") or config.get("base")
    return str(named or "")


def read_speeds() -> Speeds:
    """Medians over the newest finished stages of this installation, whoever's; reused results say nothing of time."""
    rows = (
        StageRun.objects.filter(state=State.DONE, reused=False, seconds__gt=0)
        .select_related("experiment")
        .only("stage", "config", "metrics", "seconds", "experiment__counts")
        .order_by("-id")[:_HISTORY]
    )
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        work = units(row.stage, row.config, row.experiment.counts, metrics=row.metrics)
        times = found[kind_of(row.stage, row.config), model_of(row.config)]
        if work > 0 and len(times) < _RECENT:
            times.append((row.seconds or 0.0) / work)
    return Speeds({kind: median(times) for kind, times in found.items() if times})


def free_memory() -> int:
    """Bytes of memory that programs may take on this machine."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _disk_needed(pieces: Iterable[Work], corpus: int, models: Mapping[str, ModelChoice]) -> int:
    """Bytes: prepared documents and their index, a model for each training, its checkpoint, the package."""
    named = [model_of(piece.config) for piece in pieces if piece.stage == "train"]
    sizes = [models[name].bytes for name in named if name in models]
    return int(2.5 * corpus + sum(sizes) + 5 * max(sizes, default=0) + 64 * 2**20)


def _memory_needed(pieces: Iterable[Work], models: Mapping[str, ModelChoice]) -> int:
    """Bytes: the measured peak, and twice what a model's weights have more than the bundled one's."""
    named = {model_of(piece.config) for piece in pieces}
    more = max((models[name].bytes - models[name].reference_bytes for name in named if name in models), default=0)
    return int(_PEAK + 2 * max(0, more))


def _existing(folder: Path) -> Path:
    return next(path for path in (Path(folder), *Path(folder).parents) if path.exists())

"""The stages by name: where their code is, what they read, and their version. Imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sptar_engine.configs import CONFIGS, StageConfig
from sptar_engine.stage import StageContext, StageOutput

Run = Callable[[StageConfig, StageContext], StageOutput]


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage as the pipeline sees it.

    `version` is part of every cache key: raise it when the stage's results change. `needs` are the roles it
    cannot do without, `takes` those it uses when given. `reads_results` says that it shows what their result.json
    holds, which then counts in its key.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    help: str
    reads_results: bool = False

    @property
    def config(self) -> type[StageConfig]:
        """The settings class."""
        return CONFIGS[self.name]

    def load(self) -> Run:
        """Import the stage and return its `run` function. Only here are torch and Java within reach."""
        return cast(Run, importlib.import_module(f"sptar_engine.stages.{self.name}").run)


_SPECS = (
    StageSpec("prepare", 1, ("dataset",), (), "check the dataset, split the labels, draw the unlabelled pool"),
    StageSpec("tune", 3, ("prepare",), (), "learn a soft prompt on the seed pairs"),
    StageSpec("select", 2, ("prepare",), ("tune",), "choose the example pairs by held-out perplexity"),
    StageSpec("generate", 3, ("prepare", "select"), ("tune",), "write weak queries for unlabelled documents"),
    StageSpec("filter", 3, ("prepare", "generate"), ("train",), "keep queries that find their own document"),
    StageSpec("mine", 1, ("prepare",), ("filter", "decisions", "train"), "find hard negatives for the queries"),
    StageSpec(
        "teach",
        4,
        ("prepare",),
        ("mine", "filter", "decisions", "train", "select", "tune"),
        "let a teacher score documents",
    ),
    StageSpec("train", 5, ("prepare",), ("filter", "decisions", "mine", "teach"), "train the retriever"),
    StageSpec("fuse", 3, ("prepare",), ("train",), "choose how BM25 and dense search are put together"),
    StageSpec("evaluate", 2, ("prepare",), ("train", "fuse"), "rank the test queries and measure"),
    StageSpec(
        "package",
        4,
        ("prepare", "train", "evaluate"),
        ("tune", "filter", "fuse", "together"),
        "build the archive to download",
        True,
    ),
)

STAGES: dict[str, StageSpec] = {spec.name: spec for spec in _SPECS}

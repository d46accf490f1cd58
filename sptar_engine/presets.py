"""Ready-made settings, from a first look to the paper's own (DESIGN section 4 has the table)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sptar_engine.configs import Value

Settings = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings by stage that differ from the defaults, and what they are for."""

    name: str
    help: str
    settings: Settings = field(default_factory=dict)


# With some hundred pairs the queries' side of a bi-encoder learns more from the order in which BM25 and the base
# together put a hundred documents than both sides do from the answers alone: docs/results.md.
_TEACH: Mapping[str, Value] = {"teacher": "hybrid"}
_TRAIN: Mapping[str, Value] = {"towers": "query", "answers": 1, "epochs": 4, "teacher_weight": 0.7}

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "fast",
            "150 documents, a first look in about 10 minutes on 2 CPU cores",
            {
                "tune": {"epochs": 3},
                "select": {"candidates": 4},
                "generate": {"documents": 150},
                "teach": _TEACH,
                "train": {**_TRAIN, "evaluations": 2, "dev_pool": 500},
                "fuse": {"dev_pool": 500},
            },
        ),
        Preset(
            "balanced",
            "1,000 documents, about 40 minutes on 2 CPU cores with the bundled models",
            {"teach": _TEACH, "train": _TRAIN},
        ),
        Preset(
            "paper",
            "100,000 documents and the settings of the paper's code, for a GPU and a language model of 7 billion",
            {
                "tune": {"epochs": 100, "patience": 6, "batch_size": 1, "learning_rate": 3e-2, "average": 0.0},
                "select": {"candidates": 50},
                "generate": {"documents": 100_000},
                "train": {"epochs": 20, "evaluations": 20, "patience": 10, "weights": 0},
            },
        ),
    )
}

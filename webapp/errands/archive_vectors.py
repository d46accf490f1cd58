"""Document vectors for a download, by the packed model. This process may load torch: it is an errand's child."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sptar_engine.configs import TrainConfig, build_config
from sptar_engine.data.beir import CORPUS_FILE
from webapp.places import corpus_folder
from webapp.selectors.archive_sources import Sources

PARTS = "vectors"
"""The folder of finished parts below an attempt's folder; the next attempt goes on with them."""


def write_vectors(sources: Sources, folder: Path, target: Path, tick: Callable[[int, int, str], None]) -> None:
    """Encode the documents of the experiment as they are measured, into an npz file with `ids` and `vectors`."""
    from sptar_engine.serving.embeddings import write_embeddings  # loads torch

    packed = sources.dense
    assert packed is not None
    assert packed.model is not None
    trained = next(stage for stage in sources.stages if stage.step_id == packed.stage.inputs["train"])
    config = build_config("train", trained.config)
    assert isinstance(config, TrainConfig)
    corpus = corpus_folder(sources.experiment.corpus) / CORPUS_FILE
    write_embeddings(packed.model, corpus, folder / PARTS, target, max_length=config.max_length, tick=tick)

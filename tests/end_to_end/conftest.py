"""A models folder with the tiny models on the list, a toy dataset, and the command line as a user types it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sptar_engine.arms import ARMS
from sptar_engine.cli import main
from sptar_engine.registry import StageSpec

SMALL = (
    "tune.epochs=1", "tune.virtual_tokens=4", "tune.document_tokens=32", "select.candidates=2",
    "select.document_tokens=32", "generate.documents=20", "generate.shard_documents=6", "generate.max_new_tokens=8",
    "generate.min_words=1", "generate.document_tokens=32", "filter.top_k=100", "train.epochs=1", "train.evaluations=1",
    "train.batch_size=8", "train.max_length=32", "evaluate.max_length=32", "fuse.max_length=32", "teach.max_length=32",
    "mine.max_length=32", "filter.max_length=32", "train.rerank_depth=10", "evaluate.rerank_depth=10",
    "teach.rerank_depth=10", "train.token_dimensions=16",
)  # fmt: skip


class Workshop:
    """A models folder with the tiny models on the list, a dataset, and the command line."""

    def __init__(self, root: Path, dataset: Path) -> None:
        self.root = root
        self.models = root / "models"
        self.dataset = dataset

    def words(self, command: str, out: Path, *more: str) -> list[str]:
        """A command line with the tiny models and settings that take seconds."""
        settings = [word for pair in SMALL for word in ("--set", pair)]
        return [
            "--models", str(self.models), command, str(self.dataset), "--out", str(out), "--llm", "tiny-llm",
            "--base", "tiny-encoder", *settings, *more,
        ]  # fmt: skip

    def arguments(self, out: Path, *more: str, arms: str = ",".join(ARMS)) -> list[str]:
        return self.words("experiment", out, "--arms", arms, *more)

    def experiment(self, out: Path, *more: str, arms: str = ",".join(ARMS)) -> int:
        return main(self.arguments(out, *more, arms=arms))


@pytest.fixture(scope="session")
def workshop(tmp_path_factory, tiny_llm, tiny_encoder, toy_dataset) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("workshop"), toy_dataset)
    for folder, name in ((tiny_llm, "tiny-llm"), (tiny_encoder, "tiny-encoder")):
        words = ["models", "add", str(folder), "--name", name, "--licence", "CC0-1.0"]
        assert main(["--models", str(made.models), *words]) == 0
    return made


@pytest.fixture(scope="session")
def finished(workshop) -> Path:
    out = workshop.root / "finished"
    assert workshop.experiment(out) == 0
    return out


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def stages_run(monkeypatch) -> list[str]:
    """Names of the stages that really ran."""
    ran: list[str] = []
    load = StageSpec.load

    def note(spec):
        ran.append(spec.name)
        return load(spec)

    monkeypatch.setattr(StageSpec, "load", note)
    return ran

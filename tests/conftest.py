"""Fixtures every test may use: tiny random models, a toy dataset and a stage context. No network, no GPU."""

from __future__ import annotations

import os
import sys

# Before any import of torch or a Hugging Face library, which read these once. Subprocesses inherit them.
os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
os.environ.setdefault("OMP_NUM_THREADS", "2")  # torch's threads: the same sums in the same order on every machine

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.artifacts import checksums
from sptar_engine.stage import StageContext
from tests import tiny_models, toy_data

MakeContext = Callable[..., StageContext]


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """A stage sets torch's threads for the whole process: give the next test what this one found."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    yield
    if before:
        sys.modules["torch"].set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a random Llama of two layers and its tokenizer, as SmolLM2's: eos = pad = <|im_end|>."""
    yield from _shared(tmp_path_factory.mktemp("models") / "tiny-llama", tiny_models.write_llama)


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a random GPT-2 of two layers (learned positions) and its tokenizer."""
    yield from _shared(tmp_path_factory.mktemp("models") / "tiny-gpt2", tiny_models.write_gpt2)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sentence-transformers folder around a random BERT of two layers: 32 dimensions, mean pooling, normalised."""
    yield from _shared(tmp_path_factory.mktemp("models") / "tiny-encoder", tiny_models.write_encoder)


@pytest.fixture(scope="session")
def bundled_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled language model, unpacked once a session. For tests marked `bundled`."""
    from sptar_engine.catalog import language_model_folder

    return language_model_folder("smollm2-135m-instruct", tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="session")
def bundled_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled base retriever. For tests marked `bundled`."""
    from sptar_engine.catalog import encoder_folder

    return encoder_folder("all-minilm-l6-v2", tmp_path_factory.mktemp("bundled"))


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A BEIR folder: 60 short documents on 6 topics, 14 train, 12 dev and 12 test queries. See tests/toy_data.py."""
    yield from _shared(tmp_path_factory.mktemp("datasets") / "toy", toy_data.write)


@pytest.fixture
def make_context(tmp_path: Path) -> MakeContext:
    """Return `make(stage, inputs, out=None, **fields)`: a StageContext whose folders lie in `tmp_path`.

    The out folder is made; a second context for the same stage gets another one unless `out` is given.
    """

    def make(
        stage: str, inputs: Mapping[str, Path] | None = None, out: Path | None = None, **fields: Any
    ) -> StageContext:
        folder = out or _free(tmp_path / "out" / stage)
        folder.mkdir(parents=True, exist_ok=True)
        places = {"cache": tmp_path / "cache", "models": tmp_path / "models"} | fields
        return StageContext(stage=stage, out_dir=folder, inputs=inputs or {}, **places)

    return make


def _free(folder: Path) -> Path:
    names = (folder.with_name(f"{folder.name}-{number}") if number > 1 else folder for number in range(1, 1000))
    return next(name for name in names if not name.exists())


def _shared(folder: Path, write: Callable[[Path], None]) -> Iterator[Path]:
    """Let `write` fill a folder that all tests share; fail at the end when one of them changed it."""
    folder.mkdir()
    write(folder)
    before = checksums(folder)
    yield folder
    assert checksums(folder) == before, f"a test wrote into the shared folder {folder.name}"

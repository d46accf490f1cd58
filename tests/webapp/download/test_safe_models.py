"""No model comes in by a name of a person's, and none goes out that another program could be harmed by (T42)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from django.test import Client

from sptar_engine.errors import StageError
from sptar_engine.packaging import load_check
from sptar_engine.packaging.archive import model_files
from tests.webapp.download.conftest import Make
from tests.webapp.download.results import pack
from webapp import places
from webapp.models import Experiment, Project

NAMES = [
    "../../etc", "/etc/passwd", "file:///etc/passwd", "someone/unknown-model", "https://example.org/model", ".", "",
    "all-minilm-l6-v2/../..", "openai-community/gpt2; rm -rf", "all-minilm-l6-v2\0",
]  # fmt: skip


@pytest.mark.parametrize("field", ["base", "llm"])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_not_on_the_list_starts_nothing(
    client: Client, project: Project, experiment: Experiment, field: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("sptar_engine.catalog.check_folder", lambda folder: opened.append(str(folder)))
    given = {"preset": "fast", "arms": ["bm25"], "families": ["bi_encoder"], "seeds": "1", "after": "1"}
    given |= {"action": "start", field: name}
    answer = client.post(f"/p/{project.slug}/experiments/new/", given)
    assert answer.status_code == 200
    assert Experiment.objects.count() == 1
    assert opened == []


@pytest.fixture
def tiny_model(experiment: Experiment, tiny_encoder: Path) -> Path:
    """A real, tiny search model in the place of the stand-in."""
    stages = places.store_folder(experiment.project) / "stages"
    model = stages / "train.sptar-0123456789abcdef" / "model"
    for name, content in model_files(tiny_encoder).items():
        assert isinstance(content, Path)
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(content.read_bytes())
    pack(stages / "package.sptar-0123456789abcdef", model_files(model))
    return model


def test_a_downloaded_model_is_safetensors_and_loads_in_a_clean_process_without_a_network(
    client: Client, project: Project, make: Make, tiny_model: Path, tmp_path: Path
) -> None:
    archive = make("retriever", "measures", "examples")
    sent = client.get(f"/p/{project.slug}/download/archives/{archive.slug}/file/")
    saved = tmp_path / "saved.zip"
    saved.write_bytes(b"".join(sent.streaming_content))  # type: ignore[arg-type]
    with zipfile.ZipFile(saved) as opened:
        endings = {Path(name).suffix for name in opened.namelist() if not name.endswith("SHA256SUMS")}
    assert endings <= {".safetensors", ".json", ".txt", ".md", ".py"}
    expected = load_check.read_reference(tiny_model).numbers
    assert load_check.check(saved, "retriever", expected, tmp_path, lambda: None) <= load_check.TOLERANCE


@pytest.mark.parametrize("spoil", ["pickle", "link"])
def test_a_model_with_more_in_it_than_weights_is_not_packed(make: Make, tiny_model: Path, spoil: str) -> None:
    bad = tiny_model / "pytorch_model.bin"
    if spoil == "pickle":
        bad.write_bytes(b"x")
    else:
        bad.symlink_to("/etc/passwd")
    with pytest.raises(StageError, match=r"pytorch_model\.bin"):
        make("retriever")

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from sptar_engine.errors import StageError
from sptar_engine.packaging.archive import digests, model_files, sums, write_archive


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name in ("model.safetensors", "modules.json", "README.md", "1_Pooling/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def _silent(done: int, total: int, message: str) -> None:
    assert 0 <= done < total
    assert message


def test_model_files_leave_out_the_model_s_own_card(model: Path) -> None:
    assert list(model_files(model)) == ["1_Pooling/config.json", "model.safetensors", "modules.json"]


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "optimizer.pt", "modeling.py", "2_Dense/weights.pkl", "noextension"]
)
def test_file_that_can_carry_code_is_refused(model: Path, name: str) -> None:
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(b"x")
    with pytest.raises(StageError, match=name):
        model_files(model)


def test_link_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (model / "extra.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(StageError, match="link"):
        model_files(model)


@pytest.mark.parametrize("missing", ["model.safetensors", "modules.json"])
def test_folder_that_lacks_weights_or_modules_is_refused(model: Path, missing: str) -> None:
    (model / missing).unlink()
    with pytest.raises(StageError, match=missing.partition(".")[2]):
        model_files(model)


def test_sums_hold_the_sha256_of_each_file_as_sha256sum_reads_it(model: Path) -> None:
    files = {"b.txt": b"bee", "a.json": model / "modules.json"}
    bee, modules = hashlib.sha256(b"bee").hexdigest(), hashlib.sha256(b"modules.json").hexdigest()
    assert digests(files) == {"a.json": modules, "b.txt": bee}
    assert sums(digests(files)) == f"{modules}  a.json\n{bee}  b.txt\n".encode()


def test_archive_of_the_same_files_has_the_same_bytes(model: Path, tmp_path: Path) -> None:
    files = {**model_files(model), "README.md": b"card"}
    write_archive(tmp_path / "one.zip", "name", files, _silent)
    for path in model.rglob("*.json"):
        path.write_text(path.read_text())  # another modification time
        path.chmod(0o600)
    write_archive(tmp_path / "two.zip", "name", dict(reversed(files.items())), _silent)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_archive_is_stored_under_one_folder_and_readable_by_all(model: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "one.zip", "name", {**model_files(model), "README.md": b"card"}, _silent)
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == [
            "name/1_Pooling/config.json", "name/README.md", "name/model.safetensors", "name/modules.json",
        ]  # fmt: skip
        assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
        assert {oct(entry.external_attr >> 16) for entry in entries} == {"0o100644"}
        assert archive.read("name/README.md") == b"card"
        assert archive.testzip() is None

"""What a request may name, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sptar_engine.serving.library import Library
from sptar_engine.serving.wire import Refusal

_DIGEST = "a" * 64


@pytest.fixture
def library(tmp_path) -> Library:
    root = tmp_path / "data"
    (root / "p1").mkdir(parents=True)
    (root / "p1" / "corpus.jsonl").write_text("{}")
    (tmp_path / "corpus.jsonl").write_text("{}")
    return Library(root, root / "cache", root / "models", "all-minilm-l6-v2")


def model(folder: Path, weights: str = "weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(weights)
    return folder


def test_corpus_below_the_root_has_a_folder_of_its_content(library) -> None:
    file = str(library.root / "p1" / "corpus.jsonl")
    first, second = library.corpus(file, _DIGEST), library.corpus(file, "b" * 64)
    assert first.path == Path(file)
    assert first.folder.parent == library.cache / "corpora"
    assert first.folder != second.folder


@pytest.mark.parametrize(
    "path",
    [
        "{root}/../corpus.jsonl", "/etc/passwd", "corpus.jsonl", "{root}/p1/../../corpus.jsonl",
        "{root}/link/corpus.jsonl", "{root}/p1/corpus.jsonl\0", "{root}/p1", "{root}/" + "a" * 5000,
        "{root}/\ud800/corpus.jsonl", "", None, 3, ["a"],
    ],
)  # fmt: skip
def test_anything_else_is_refused(library, path: object) -> None:
    (library.root / "link").symlink_to(library.root.parent)
    named = path.replace("{root}", str(library.root)) if isinstance(path, str) else path
    with pytest.raises(Refusal) as no:
        library.corpus(named, _DIGEST)
    assert no.value.reason == "refused"


@pytest.mark.parametrize("digest", ["", "../../x", "A" * 64, "a" * 63, "a" * 65, None, 3])
def test_digest_that_is_none_is_refused(library, digest: object) -> None:
    with pytest.raises(Refusal, match="SHA-256"):
        library.corpus(str(library.root / "p1" / "corpus.jsonl"), digest)


def test_encoder_of_the_catalogue_and_the_base_are_the_same(library) -> None:
    assert library.encoder("base") == library.encoder("all-minilm-l6-v2")


def test_trained_encoder_below_the_root_is_named_by_its_weights(library) -> None:
    first = library.encoder(str(model(library.root / "p1" / "model")))
    second = library.encoder(str(model(library.root / "p2" / "model", "others")))
    assert first.folder == library.root / "p1" / "model"
    assert first.key != second.key


@pytest.mark.parametrize("name", ["{outside}", "..", ".", "p1", "no-such-model", "smollm2-135m-instruct", "", None, 3])
def test_other_encoders_are_refused(library, monkeypatch, name: object) -> None:
    outside = model(library.root.parent / "outside")
    monkeypatch.chdir(library.root)
    model(library.root / "p1" / "m")
    named = name.replace("{outside}", str(outside)) if isinstance(name, str) else name
    with pytest.raises(Refusal):
        library.encoder(named)


def test_model_that_carries_code_is_refused(library) -> None:
    folder = model(library.root / "p1" / "model")
    (folder / "pytorch_model.bin").write_text("pickle")
    with pytest.raises(Refusal, match="can carry code"):
        library.encoder(str(folder))


def test_name_may_say_how_many_tokens_are_read(library) -> None:
    plain, short = library.encoder("base"), library.encoder("base:128")
    assert (plain.max_length, short.max_length) == (256, 128)
    assert plain.folder == short.folder
    assert plain.key != short.key
    assert library.encoder("base:256") == plain
    folder = model(library.root / "p1" / "model")
    assert library.encoder(f"{folder}:64").max_length == 64


@pytest.mark.parametrize("name", ["base:0", "base:", "base:x", ":128", "base:99999", "base:-5"])
def test_number_of_tokens_that_makes_no_sense_is_refused(library, name: str) -> None:
    with pytest.raises(Refusal):
        library.encoder(name)

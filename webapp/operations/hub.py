"""Pushing a packed search model to a repository of the Hugging Face hub. An operator's doing, from the command line.

The token comes from the caller's environment, goes into the requests' headers, and nowhere else.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from sptar_engine.artifacts import sha256_file
from sptar_engine.packaging.archive import SUMS, digests, sums
from webapp.models import Experiment
from webapp.selectors.archive_sources import Packed, sources_of
from webapp.selectors.model_cards import card_of
from webapp.services import events

_CARD = "README.md"


class CannotPush(Exception):
    """A sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed where."""

    url: str
    files: int
    is_private: bool


def push(
    *,
    experiment: Experiment,
    repository: str,
    token: str,
    endpoint: str | None,
    is_public: bool,
    card: Mapping[str, Any],
    family: str = "",
) -> Pushed:
    """Upload the packed model of an experiment, the first or that of a family; `card` says what its card shows.

    A new repository is private unless `is_public`. One that is there already and public is refused without it. Raises
    CannotPush.
    """
    packed = _packed(experiment, family)
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise CannotPush(f"{repository!r} is no name of a repository: {error}") from None
    if constants.HF_HUB_OFFLINE:
        raise CannotPush("HF_HUB_OFFLINE is set, so nothing can be pushed. Unset it for this command.")
    api = HfApi(endpoint=endpoint, token=token, library_name="sptar")
    with tempfile.TemporaryDirectory() as place:
        folder = _unpack(packed, Path(place), card_of(experiment, packed.card, card))
        files = len(packed.listing["files"])
        try:
            url, is_private = _upload(api, repository, folder, is_public=is_public)
        except (HTTPError, OSError, ValueError) as error:
            # What the library says can quote a whole answer of the server: its first line is enough for a person.
            reason = str(error).replace(token, "…").strip().partition("\n")[0]
            raise CannotPush(f"The hub refused, or cannot be reached: {reason or type(error).__name__}") from None
    facts = {"experiment": experiment.number, "repository": repository, "private": is_private}
    events.record("experiment.pushed", project=experiment.project, actor=None, **facts)
    return Pushed(url, files, is_private)


def _packed(experiment: Experiment, family: str) -> Packed:
    sources = sources_of(experiment)
    packed = sources.package(family)
    if packed is None:
        raise CannotPush(sources.missing("retriever") or f"This experiment has packed no search model {family!r}.")
    if sha256_file(packed.archive) != packed.listing["sha256"]:
        raise CannotPush("The packed model is not the one that was checked: its SHA-256 differs. Pack it again.")
    return packed


def _unpack(packed: Packed, place: Path, card: str) -> Path:
    with zipfile.ZipFile(packed.archive) as content:
        content.extractall(place)
    folder = place / packed.name
    (folder / _CARD).write_text(card, encoding="utf-8")
    names = {name: folder / name for name in packed.listing["files"] if name != SUMS}
    (folder / SUMS).write_bytes(sums(digests(names)))
    return folder


def _upload(api: HfApi, repository: str, folder: Path, *, is_public: bool) -> tuple[str, bool]:
    api.create_repo(repository, private=not is_public, exist_ok=True)
    is_private = bool(api.model_info(repository).private)
    if not is_private and not is_public:
        raise CannotPush(
            f"The repository {repository} is there already and everybody can read it. Nothing was pushed; say --public "
            "if that is what you want, or name another repository."
        )
    api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Search model made with SPTAR")
    return f"{api.endpoint}/{repository}", is_private

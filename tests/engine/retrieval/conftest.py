"""Trained models of every family, and a folder to search."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sptar_engine.retrieval.ranking import SearchSpace
from tests import tiny_families

TEXTS = {
    "d3": "The sparrow is a bird that people know from the harbour.",
    "d1": "The hammer is a tool, easy to carry.",
    "d2": "The copper is a metal of the old library, covered in dust, long and narrow.",
    "b-copy": "The hammer is a tool, easy to carry.",
    "d5": "A pulsar shines, far from the harbour.",
}
"""Two of the same text; ids not in order."""
QUERIES = {"q2": "which bird is at the harbour", "q1": "easy tool hammer"}


@pytest.fixture(scope="session")
def family_folder(tiny_encoder, tmp_path_factory) -> Callable[[str], Path]:
    """Return `folder(family)`: a trained model, made once a session."""
    made: dict[str, Path] = {}
    place = tmp_path_factory.mktemp("families")

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tiny_families.write(family, tiny_encoder, place / family)
        return made[family]

    return folder


@pytest.fixture
def space(tmp_path) -> SearchSpace:
    """The texts above as a dataset."""
    rows = (json.dumps({"_id": doc_id, "text": text}) + "\n" for doc_id, text in TEXTS.items())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "corpus.jsonl").write_text("".join(rows))
    return SearchSpace(dataset=tmp_path / "data", cache=tmp_path / "cache", scratch=tmp_path / "scratch", max_length=64)

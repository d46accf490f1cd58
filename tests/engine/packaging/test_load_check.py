from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sptar_engine.errors import Cancelled, StageError
from sptar_engine.packaging import (
    clean_load,
    load_check,
    load_example,
    load_example_cross_encoder,
    load_example_hybrid,
)
from sptar_engine.packaging.archive import model_files, write_archive
from sptar_engine.packaging.usage import USAGES
from sptar_engine.records import Hit, rank_hits
from sptar_engine.retrieval.feedback import move_towards
from sptar_engine.retrieval.fusion import WEIGHTED, Feedback, Fusion, write_fusion
from sptar_engine.retrieval.reordering import put_beside
from tests import tiny_families

Pack = Callable[..., Path]


@pytest.fixture
def pack(tiny_encoder: Path, tmp_path: Path) -> Pack:
    """Return a function that packs the tiny encoder, with files put in or replaced, and returns the archive."""

    def write(**files: bytes) -> Path:
        contents = {
            path.relative_to(tiny_encoder).as_posix(): path for path in tiny_encoder.rglob("*") if path.is_file()
        }
        example = Path(load_example.__file__)
        named = {name.replace("__", "."): content for name, content in files.items()}
        write_archive(tmp_path / "m.zip", "m", {**contents, "load_example.py": example, **named}, lambda *_: None)
        return tmp_path / "m.zip"

    return write


def _check(archive: Path, expected: load_check.Numbers, scratch: Path) -> float:
    return load_check.check(archive, "m", expected, scratch, lambda: None)


def test_whole_archive_gives_the_same_vectors(pack: Pack, tiny_encoder: Path, tmp_path: Path) -> None:
    reference = load_check.read_reference(tiny_encoder)
    assert reference.numbers.shape == (4, 32)  # two sentences as queries, then as documents
    assert (reference.dimensions, reference.max_length, reference.similarity) == (32, 256, "cosine")
    assert _check(pack(), reference.numbers, tmp_path) <= load_check.TOLERANCE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.zip"]


def test_archive_in_a_folder_named_from_here_loads_as_well(
    pack: Pack, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = load_check.read_reference(tiny_encoder).numbers
    archive = pack()
    monkeypatch.chdir(tmp_path)
    assert _check(Path(archive.name), vectors, Path()) <= load_check.TOLERANCE


@pytest.mark.parametrize(
    ("family", "shape", "dimensions", "similarity"),
    [
        ("late_interaction", (2, 2), tiny_families.WIDTH, "maxsim"),
        ("cross_encoder", (4,), 0, ""),
        ("sparse", (2, tiny_families.PLACES), tiny_families.PLACES, "dot"),
    ],
)
def test_archive_of_every_family_loads_in_a_clean_process_with_the_same_numbers(
    tiny_encoder: Path, tmp_path: Path, family: str, shape: tuple[int, ...], dimensions: int, similarity: str
) -> None:
    folder = tiny_families.write(family, tiny_encoder, tmp_path / "model")
    reference = load_check.read_reference(folder)
    assert reference.numbers.shape == shape
    assert (reference.dimensions, reference.max_length, reference.similarity) == (dimensions, 64, similarity)
    example = importlib.import_module(f"sptar_engine.packaging.{USAGES[family].example}").__file__
    contents = {**model_files(folder), "load_example.py": Path(example)}
    write_archive(tmp_path / "m.zip", "m", contents, lambda *_: None)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert _check(tmp_path / "m.zip", reference.numbers, scratch) <= load_check.TOLERANCE


def test_example_of_a_cross_encoder_counts_as_it_was_measured(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(load_example_cross_encoder, "FOLDER", tmp_path)
    hits = [Hit("a", 7.0), Hit("b", 6.0), Hit("c", 2.0), Hit("d", 2.0)]
    read = [0.5, 3.0, -1.0, 2.0]
    assert load_example_cross_encoder.put_together(read, [hit.score for hit in hits]) == read
    for weight in (0.3, 1.0):
        fusion = Fusion(WEIGHTED, weight, 60, 50)
        write_fusion(tmp_path, fusion, {})
        found = load_example_cross_encoder.put_together(read, [hit.score for hit in hits])
        by_id = dict(zip("abcd", read, strict=True))
        expected = put_beside(hits, by_id, fusion) if weight < 1 else by_id
        assert dict(zip("abcd", found, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize("fusion", [
    Fusion("reciprocal_rank", None, 60, 4), Fusion("weighted", 0.3, 60, 4), Fusion("weighted", 0.0, 60, 1000),
    Fusion("weighted", 0.6, 60, 5, Feedback(Fusion("weighted", 0.4, 60, 5), 3, 0.5)),
    Fusion("weighted", 0.6, 60, 5, Feedback(Fusion("reciprocal_rank", None, 10, 5), 2, 1.0)),
])  # fmt: skip
def test_example_of_a_hybrid_ranks_as_the_engine_does(fusion: Fusion, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    doc_ids = [f"d{number}" for number in range(9)]
    vectors = rng.standard_normal((10, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query, documents = vectors[0], vectors[1:]
    words = {"d4": 3.0, "d1": 2.5, "d7": 2.5, "d2": 0.5, "d8": 0.25}

    def dense(vector) -> list[Hit]:
        return rank_hits([Hit(*pair) for pair in zip(doc_ids, (documents @ vector).tolist(), strict=True)])

    lexical, meaning = {"q": rank_hits([Hit(*pair) for pair in words.items()])}, {"q": dense(query)}
    if again := fusion.feedback:
        found = [doc_ids.index(hit.doc_id) for hit in again.first.fuse(lexical, meaning, again.documents)["q"]]
        meaning = {"q": dense(move_towards(query, documents[found], again.rate))}
    expected = fusion.fuse(lexical, meaning, 9)["q"]
    write_fusion(tmp_path, fusion, {})
    stored = json.loads((tmp_path / "fusion.json").read_text())
    ranked = load_example_hybrid.search(query, doc_ids, documents, words, stored)
    assert [doc_id for doc_id, _ in ranked] == [hit.doc_id for hit in expected]
    assert [score for _, score in ranked] == pytest.approx([hit.score for hit in expected], abs=1e-5)


def test_kind_of_model_that_is_none_of_ours_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "config_sentence_transformers.json").write_text('{"model_type": "os"}')
    with pytest.raises(ValueError, match="os is none of SentenceTransformer"):
        clean_load.load(str(tmp_path))


def test_compare_counts_a_share_of_large_scores() -> None:
    expected = np.array([20.0, -3.0], np.float32)
    assert load_check.compare(expected + np.float32([0, 2**-16]), expected) == pytest.approx(2**-16 / 20)


def test_compare_gives_the_largest_difference_of_a_component() -> None:
    expected = np.array([[0.5, 0.25], [1.0, 0.0]], np.float32)
    assert load_check.compare(expected.copy(), expected) == 0.0
    assert load_check.compare(expected + np.float32([[0, 2**-20], [0, 0]]), expected) == 2**-20  # about 1e-6


@pytest.mark.parametrize("other", [[[0.5, 0.2501]], [[0.5, np.nan]], [[0.5, 0.25], [0.5, 0.25]]])
def test_compare_refuses_other_vectors(other: list[list[float]]) -> None:
    with pytest.raises(StageError, match="The packaged model"):
        load_check.compare(np.array(other, np.float32), np.array([[0.5, 0.25]], np.float32))


def test_damaged_weights_are_refused_with_the_reason(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"does not load in a clean process: .*[Ss]afetensor"):
        _check(pack(model__safetensors=b"cut short"), np.zeros((2, 32), np.float32), tmp_path)


def test_example_that_reaches_for_the_network_is_refused(pack: Pack, tiny_encoder: Path, tmp_path: Path) -> None:
    vectors = load_check.read_reference(tiny_encoder).numbers
    example = b"import socket\nsocket.create_connection(('127.0.0.1', 9), timeout=1)\n"
    with pytest.raises(StageError, match="reached for the network"):
        _check(pack(load_example__py=example), vectors, tmp_path)


def test_check_stops_and_leaves_nothing_when_asked(pack: Pack, tmp_path: Path) -> None:
    def stop() -> None:
        raise Cancelled("stop")

    archive = pack()
    with pytest.raises(Cancelled):
        load_check.check(archive, "m", np.zeros((2, 32), np.float32), tmp_path, stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.zip"]


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', 9), timeout=1)",
        "socket.getaddrinfo('localhost', 80)",
        "socket.gethostbyname('localhost')",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    ],
)
def test_network_is_out_of_reach_once_forbidden(attempt: str) -> None:
    code = f"import runpy, socket; runpy.run_path({clean_load.__file__!r})['forbid_network'](); {attempt}"
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "RuntimeError: the model reached for the network" in ended.stderr

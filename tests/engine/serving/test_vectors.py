"""Vectors on disk: what a kill leaves is used, what is damaged is not; and exact search over them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from sptar_engine.errors import Cancelled, StageError
from sptar_engine.records import Document, Hit, rank_hits
from sptar_engine.serving import vectors as module
from sptar_engine.serving.vectors import VECTORS_FILE, Vectors, build_vectors, nearest, open_vectors

_TEXTS = [f"text {number % 9}" for number in range(25)]


class Counting:
    """Encodes a text as (its number, its length) and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        return np.array([[int(text.split()[1]), len(text)] for text in texts], dtype=np.float32)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch) -> None:
    monkeypatch.setattr(module, "_PART", 10)
    monkeypatch.setattr(module, "_BATCH", 4)


def documents(texts: Sequence[str] = _TEXTS) -> Iterator[Document]:
    return (Document(f"d{row}", text) for row, text in enumerate(texts))


def build(folder: Path, encode: Counting, *, stop_at: int | None = None, total: int = len(_TEXTS)) -> list[int]:
    reports: list[int] = []

    def tick(done: int, of: int, message: str) -> None:
        reports.append(done)
        if stop_at is not None and done >= stop_at:
            raise Cancelled("stop")

    for _ in build_vectors(folder, documents(), total, 2, encode, tick):
        pass
    return reports


def test_row_of_each_document_is_the_vector_of_its_text(tmp_path) -> None:
    reports = build(tmp_path, Counting())
    found = open_vectors(tmp_path, len(_TEXTS))
    assert found[:, 0].tolist() == [number % 9 for number in range(25)]
    assert reports == sorted(reports)
    assert reports[-1] == 25
    assert [path.name for path in tmp_path.iterdir()] == [VECTORS_FILE]


def test_equal_texts_of_a_part_are_encoded_once(tmp_path) -> None:
    encode = Counting()
    build(tmp_path, encode)
    assert len(encode.seen) == 9 + 9 + 5


def test_build_goes_on_with_the_part_it_was_killed_in(tmp_path) -> None:
    first, second = Counting(), Counting()
    with pytest.raises(Cancelled):
        build(tmp_path, first, stop_at=14)
    assert not (tmp_path / VECTORS_FILE).exists()
    build(tmp_path, second)
    assert len(second.seen) == 9 + 5
    undisturbed = tmp_path / "other"
    build(undisturbed, Counting())
    assert (tmp_path / VECTORS_FILE).read_bytes() == (undisturbed / VECTORS_FILE).read_bytes()


@pytest.mark.parametrize("content", [b"", b"half a file", None])
def test_damaged_part_is_encoded_again(tmp_path, content: bytes | None) -> None:
    with pytest.raises(Cancelled):
        build(tmp_path, Counting(), stop_at=14)
    part = tmp_path / "part-000000.npy"
    part.write_bytes(part.read_bytes()[:-4] if content is None else content)
    encode = Counting()
    build(tmp_path, encode)
    assert len(encode.seen) == 9 + 9 + 5


def test_changed_corpus_is_no_result(tmp_path) -> None:
    with pytest.raises(StageError, match="25 documents, not 24"):
        build(tmp_path, Counting(), total=24)
    assert not (tmp_path / VECTORS_FILE).exists()


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"nonsense"])
def test_damaged_vectors_are_an_error(tmp_path, damage: bytes) -> None:
    (tmp_path / VECTORS_FILE).write_bytes(damage)
    with pytest.raises(StageError, match="cannot be read"):
        open_vectors(tmp_path, 25)


def test_vectors_of_other_documents_are_an_error(tmp_path) -> None:
    build(tmp_path, Counting())
    with pytest.raises(StageError, match="does not fit its 26"):
        open_vectors(tmp_path, 26)


def test_nearest_by_hand_with_a_tie_at_the_cut() -> None:
    # Products with (1, 0): c 1, b and a 0.6, d -1. The tie falls to the smaller id.
    found = np.array([[0.6, 0.8], [0.6, -0.8], [1, 0], [-1, 0]], dtype=np.float32)
    query = np.array([1, 0], dtype=np.float32)
    assert nearest(found, query, ["b", "a", "c", "d"], 2) == [Hit("c", 1.0), Hit("a", pytest.approx(0.6))]
    assert [hit.doc_id for hit in nearest(found, query, ["b", "a", "c", "d"], 9)] == ["c", "a", "b", "d"]
    assert nearest(found[:0], query, [], 5) == []


def test_nearest_is_what_sorting_all_scores_gives(monkeypatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 64)
    random = np.random.default_rng(0)
    found = random.standard_normal((500, 16)).astype(np.float32)
    found[100:200] = found[0]  # equal documents
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    ids = [f"d{number:03d}" for number in random.permutation(500)]
    for query in (found[0], found[7]):
        exact = (found.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
        expected = rank_hits(map(Hit, ids, exact.tolist()), 50)
        assert nearest(found, query, ids, 50) == expected

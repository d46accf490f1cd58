"""The format in which a corpus is encoded: float32 unless it is large and the machine clearly faster in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

from sptar_engine.artifacts import read_json
from sptar_engine.retrieval import number_format
from sptar_engine.retrieval.dense import BFLOAT16, FLOAT32, encode
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.number_format import LARGE, find_format, settle_format


@pytest.fixture
def model(tiny_encoder):
    return load_bi_encoder(tiny_encoder, 64, "cpu")


def machine(monkeypatch, seconds: dict[str, float], error: float) -> list[int]:
    """A machine that takes so long in each format, its bfloat16 vectors off by `error`. Returns what it encodes."""
    clock, encoded = [0.0], []

    def encoding(model, texts, max_length, *, number_format):
        clock[0] += seconds[number_format]
        encoded.append(len(set(texts)))
        vectors = np.zeros((len(texts), 2), np.float32)
        vectors[:, 0] = 1.0 if number_format == FLOAT32 else 1 - error
        return vectors

    monkeypatch.setattr(number_format, "encode", encoding)
    monkeypatch.setattr(number_format.time, "perf_counter", lambda: clock[0])
    return encoded


@pytest.mark.parametrize(
    ("half", "error", "found"),
    [(0.5, 1e-5, BFLOAT16), (0.5, 1e-2, FLOAT32), (0.9, 1e-5, FLOAT32), (7.0, 1e-5, FLOAT32)],
)
def test_faster_format_is_taken_where_its_vectors_are_the_same(model, monkeypatch, half, error, found) -> None:
    encoded = machine(monkeypatch, {FLOAT32: 1.0, BFLOAT16: half}, error)
    assert find_format(model) == found
    assert set(encoded) == {16}


def test_only_large_corpora_are_looked_at_and_what_is_found_stays(model, monkeypatch, tmp_path) -> None:
    encoded = machine(monkeypatch, {FLOAT32: 1.0, BFLOAT16: 0.5}, 0.0)
    assert settle_format(model, LARGE - 1, tmp_path / "store") == FLOAT32
    assert not encoded and not (tmp_path / "store").exists()
    assert settle_format(model, LARGE, tmp_path / "store") == BFLOAT16
    tests = len(encoded)
    machine(monkeypatch, {FLOAT32: 1.0, BFLOAT16: 2.0}, 0.0)  # a busy moment
    assert settle_format(model, LARGE, tmp_path / "store") == BFLOAT16
    assert settle_format(model, LARGE, tmp_path / "other") == FLOAT32
    assert len(encoded) == tests
    assert [read_json(file) for file in (tmp_path / "store").iterdir()] == [{"number_format": BFLOAT16}]


def test_bfloat16_vectors_are_near_normalised_and_the_same_for_equal_texts(model) -> None:
    texts = ["The sparrow is a bird.", "The hammer is a tool, easy to carry.", "The sparrow is a bird."]
    exact, rounded = encode(model, texts, 64), encode(model, texts, 64, number_format=BFLOAT16)
    assert rounded.dtype == np.float32 and not np.array_equal(exact, rounded)
    np.testing.assert_array_equal(rounded[0], rounded[2])
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((exact * rounded).sum(axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(encode(model, texts, 64), exact)

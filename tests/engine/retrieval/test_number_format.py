"""The format in which a corpus is encoded: float32 unless it is large and the machine clearly faster in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest

from sptar_engine.retrieval import number_format
from sptar_engine.retrieval.dense import BFLOAT16, FLOAT32, encode
from sptar_engine.retrieval.encoder import load_bi_encoder
from sptar_engine.retrieval.number_format import LARGE, agrees_rounded, is_faster_rounded, settle_format


@pytest.fixture
def model(tiny_encoder):
    return load_bi_encoder(tiny_encoder, 64, "cpu")


class Machine:
    """A clock that only encoding moves: by so many seconds for a text in each format."""

    def __init__(self, float32: float, bfloat16: float, error: float = 0.0) -> None:
        self.now, self.passes = 0.0, []
        self._seconds, self._error = {FLOAT32: float32, BFLOAT16: bfloat16}, error

    def perf_counter(self) -> float:
        return self.now

    def encode(self, model, texts, max_length, *, number_format):
        self.passes.append((number_format, len(texts)))
        self.now += len(texts) * self._seconds[number_format]
        share = 1.0 if number_format == FLOAT32 else 1 - self._error
        return np.tile(np.array([share, 0.0], np.float32), (len(texts), 1))


def put(monkeypatch, machine: Machine) -> Machine:
    monkeypatch.setattr(number_format, "encode", machine.encode)
    monkeypatch.setattr(number_format, "time", machine)
    return machine


@pytest.mark.parametrize(("bfloat16", "faster"), [(0.5, True), (0.86, True), (0.9, False), (1.9, False), (7.0, False)])
def test_bfloat16_must_be_clearly_faster(model, monkeypatch, bfloat16, faster) -> None:
    machine = put(monkeypatch, Machine(1.0, bfloat16))
    assert is_faster_rounded(model) is faster
    # Without instructions for it one text tells, and what takes long is not tried any more.
    assert (max(count for _, count in machine.passes) == 1) is (bfloat16 == 7.0)


def test_vectors_must_be_the_same(model, monkeypatch) -> None:
    put(monkeypatch, Machine(1.0, 0.5, error=5e-5))
    assert agrees_rounded(model)
    put(monkeypatch, Machine(1.0, 0.5, error=2e-4))
    assert not agrees_rounded(model)


def test_real_model_agrees_with_itself_in_bfloat16_or_not_at_all(model) -> None:
    texts = number_format._texts(model)
    assert len(set(texts)) == len(texts) == 8
    exact, rounded = (encode(model, texts, 64, number_format=name) for name in (FLOAT32, BFLOAT16))
    assert agrees_rounded(model) == bool(((exact * rounded).sum(axis=1) >= number_format._SAME).all())
    assert is_faster_rounded(model) in (True, False)


def test_only_large_corpora_are_looked_at_and_what_is_found_stays(model, monkeypatch, tmp_path) -> None:
    machine = put(monkeypatch, Machine(1.0, 0.5))
    assert settle_format(model, LARGE - 1, tmp_path / "store") == FLOAT32
    assert not machine.passes and not (tmp_path / "store").exists()
    assert settle_format(model, LARGE, tmp_path / "store") == BFLOAT16
    put(monkeypatch, Machine(1.0, 1.0))  # a busy moment
    assert settle_format(model, LARGE, tmp_path / "store") == BFLOAT16
    assert settle_format(model, LARGE, tmp_path / "other") == FLOAT32


def test_each_model_has_to_agree_with_itself(model, monkeypatch, tmp_path) -> None:
    put(monkeypatch, Machine(1.0, 0.5))
    assert settle_format(model, LARGE, tmp_path) == BFLOAT16
    put(monkeypatch, Machine(1.0, 0.5, error=0.01))  # another model
    assert settle_format(model, LARGE, tmp_path) == FLOAT32


def test_what_was_begun_before_there_was_a_choice_stays_in_float32(model, monkeypatch, tmp_path) -> None:
    machine = put(monkeypatch, Machine(1.0, 0.5))
    (tmp_path / "part-000000.npy").touch()
    assert settle_format(model, LARGE, tmp_path) == FLOAT32
    assert not machine.passes


def test_bfloat16_vectors_are_near_normalised_and_the_same_for_equal_texts(model) -> None:
    texts = ["The sparrow is a bird.", "The hammer is a tool, easy to carry.", "The sparrow is a bird."]
    exact, rounded = encode(model, texts, 64), encode(model, texts, 64, number_format=BFLOAT16)
    assert rounded.dtype == np.float32 and not np.array_equal(exact, rounded)
    np.testing.assert_array_equal(rounded[0], rounded[2])
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((exact * rounded).sum(axis=1), 1, atol=2e-3)
    np.testing.assert_array_equal(encode(model, texts, 64), exact)

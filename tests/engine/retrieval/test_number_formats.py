"""Encoders in smaller numbers: what they compute, when they are trusted, and when they are taken."""

import numpy as np
import pytest
import torch
from torch import nn

from sptar_engine.retrieval import number_formats
from sptar_engine.retrieval.dense import encode
from sptar_engine.retrieval.int8 import Int8Linear
from sptar_engine.retrieval.number_formats import (
    ENCODINGS,
    encoding_of,
    is_sound,
    load_encoder,
    order_ndcg,
    pick_encoding,
)

_TEXTS = [f"falcon {'and owl ' * (number % 5)}of harbour {number}" for number in range(20)]


def unit(*rows) -> np.ndarray:
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_layer_of_whole_numbers_by_hand() -> None:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[63.0, -21.0], [32 / 63, 1.0]]))
        linear.bias.copy_(torch.tensor([1.0, -2.0]))
    # Rows are 127 times 1, and 127 times 2 / 127; weights 63 and -21 times 1, and 32 and 63 times 1 / 63.
    found = Int8Linear(linear)(torch.tensor([[127.0, -64.0], [2.0, 0.0]]))
    expected = [[63 * 127 + 21 * 64 + 1, (32 * 127 - 63 * 64) / 63 - 2], [63 * 2 + 1, 2 * 32 / 63 - 2]]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-4)


def test_layer_has_no_overflow_at_the_largest_values() -> None:
    linear = nn.Linear(64, 3, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0], [-1.0], [0.25]]).expand(3, 64) * 63)
    found = Int8Linear(linear)(torch.full((2, 64), 127.0))
    torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, 0.25]] * 2) * 63 * 127 * 64)


def test_row_of_zeros_and_several_axes() -> None:
    linear = nn.Linear(4, 3)
    found = Int8Linear(linear)(torch.zeros(2, 5, 4))
    torch.testing.assert_close(found, linear.bias.detach().expand(2, 5, 3))


def test_row_does_not_hang_on_the_rows_beside_it() -> None:
    layer, rows = Int8Linear(nn.Linear(16, 8)), torch.randn(6, 16)
    torch.testing.assert_close(layer(rows)[2], layer(torch.cat([rows[2:3], 1000 * rows]))[0])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_format_gives_vectors_of_length_one_close_to_float32(tiny_encoder, encoding) -> None:
    model = load_encoder(tiny_encoder, 64, "cpu", encoding)
    assert encoding_of(model) == encoding
    found, exact = encode(model, _TEXTS, 64), encode(load_encoder(tiny_encoder, 64, "cpu", "float32"), _TEXTS, 64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert found.dtype == np.float32
    assert np.einsum("td,td->t", found, exact).min() > 0.98


def test_order_ndcg_by_hand() -> None:
    exact = unit([1, 0], [0.8, 0.6], [0.6, 0.8])
    assert order_ndcg(exact, exact) == 1.0
    # With the last two exchanged the first text finds them in the wrong order; each of them finds the other first.
    discount = 1 / np.log2(3)
    first = (0.6 + 0.8 * discount) / (0.8 + 0.6 * discount)
    assert order_ndcg(exact, exact[[0, 2, 1]]) == pytest.approx((first + 1 + 1) / 3, abs=1e-6)


def test_vectors_far_off_or_no_numbers_are_not_sound() -> None:
    exact = unit([1, 0], [0.8, 0.6], [0, 1])
    assert is_sound(exact, exact)
    assert not is_sound(exact, unit([1, 0], [0, 1], [0, 1]))
    assert not is_sound(exact, np.full_like(exact, np.nan))
    assert not is_sound(exact[:1], exact[:1])  # one text proves nothing


@pytest.mark.parametrize(
    ("seconds", "picked"),
    [
        ((1.0, 0.4, 0.5), "bfloat16"),
        ((1.0, 9.0, 0.5), "int8"),
        ((1.0, 0.9, 0.95), "float32"),
        ((1.0, 0.5, 0.4), "int8"),
    ],
)
def test_fastest_format_is_taken_when_clearly_faster(tiny_encoder, monkeypatch, seconds, picked) -> None:
    table = dict(zip(ENCODINGS, seconds, strict=True))
    monkeypatch.setattr(number_formats, "_seconds", lambda model, *_: table[encoding_of(model)])
    monkeypatch.setattr(number_formats, "is_sound", lambda *_: True)
    assert pick_encoding(tiny_encoder, 64, "cpu", _TEXTS) == picked


def test_format_that_is_not_sound_is_left_however_fast(tiny_encoder, monkeypatch) -> None:
    table = {"float32": 1.0, "bfloat16": 0.3, "int8": 0.1}
    monkeypatch.setattr(number_formats, "_seconds", lambda model, *_: table[encoding_of(model)])
    monkeypatch.setattr(number_formats, "is_sound", lambda *_: False)
    assert pick_encoding(tiny_encoder, 64, "cpu", _TEXTS) == "float32"


def test_self_test_runs_on_this_machine(tiny_encoder) -> None:
    assert pick_encoding(tiny_encoder, 64, "cpu", _TEXTS) in ENCODINGS

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sptar_engine.data.fingerprints import FingerprintTable, fingerprint

_KEYS = st.integers(1, 40) | st.integers(1, 2**64 - 1)


@given(st.lists(st.tuples(_KEYS, st.integers(0, 2**64 - 1)), max_size=80))
def test_a_table_does_what_a_dict_does(entries: list[tuple[int, int]]) -> None:
    table = FingerprintTable()
    expected: dict[int, int] = {}
    for key, value in entries:
        assert table.setdefault(key, value) == expected.setdefault(key, value)
    assert len(table) == len(expected)
    assert all(table.get(key) == value for key, value in expected.items())


def test_keys_stay_through_growth_and_wrap_around_the_end() -> None:
    table = FingerprintTable()
    keys = [1023 + 1024 * number for number in range(700)] + list(range(1, 5000))
    expected = {key: value for value, key in enumerate(dict.fromkeys(keys))}
    for key, value in expected.items():
        assert table.setdefault(key, value) == value
    assert len(table) == len(expected)
    assert all(table.get(key) == value for key, value in expected.items())
    assert table.get(2**63) is None


def test_fingerprints_fit_eight_bytes_and_are_never_zero() -> None:
    values = {fingerprint(str(number)) for number in range(1000)}
    assert len(values) == 1000
    assert all(0 < value < 2**64 for value in values)

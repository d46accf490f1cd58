"""Millions of texts remembered in a few bytes each."""

from __future__ import annotations

from array import array
from hashlib import blake2b

_FIRST_SLOTS = 1024


def fingerprint(text: str) -> int:
    """The 8-byte hash of a text, never 0. Among a million texts two agree with a chance of about 3 in 100 million."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


class FingerprintTable:
    """A hash table from fingerprints to numbers below 2**64, in 24 to 48 bytes an entry (a dict takes over 150)."""

    def __init__(self) -> None:
        self._count = 0
        self._keys = _zeros(_FIRST_SLOTS)
        self._values = _zeros(_FIRST_SLOTS)

    def __len__(self) -> int:
        return self._count

    def setdefault(self, key: int, value: int) -> int:
        """Return the number held for a fingerprint; where there was none, hold and return `value`."""
        slot = self._slot(key)
        if self._keys[slot]:
            return self._values[slot]
        self._keys[slot], self._values[slot] = key, value
        self._count += 1
        if 3 * self._count > 2 * len(self._keys):
            self._grow()
        return value

    def get(self, key: int) -> int | None:
        """The number held for a fingerprint, or None."""
        slot = self._slot(key)
        return self._values[slot] if self._keys[slot] else None

    def _slot(self, key: int) -> int:
        """The place of a key, or the free one where it belongs: linear probing, a free place is 0."""
        keys, mask = self._keys, len(self._keys) - 1
        slot = key & mask
        while keys[slot] and keys[slot] != key:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys, self._values = _zeros(2 * len(keys)), _zeros(2 * len(keys))
        for key, value in zip(keys, values, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot], self._values[slot] = key, value


def _zeros(count: int) -> array[int]:
    return array("Q", [0]) * count

"""An attention cache whose rows are filled in groups, grow in place and leave one by one.

transformers' own growing cache copies all it holds at every step, which on a CPU costs about as much as the
attention itself, and a row that is done would stay to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer


class RowCache(Cache):
    """Keys and values of `rows` texts: `width` columns that `fill` writes, then room for `steps` more.

    Columns that a text does not reach hold zeros and must be masked.
    """

    def __init__(self, rows: int, width: int, steps: int) -> None:
        self._size = (rows, width, width + steps)
        self._in_place: list[_InPlaceLayer] = []
        super().__init__(layers=[])

    def fill(self, row: int, group: DynamicCache, copies: int) -> None:
        """Write a group's texts, each `copies` times in succession, into the rows from `row` on."""
        states = [(keys, values) for keys, values, *_ in group]
        if not self._in_place:
            self._in_place = [_InPlaceLayer(keys, values, self._size) for keys, values in states]
            self.layers = [*self._in_place]
        for layer, (keys, values) in zip(self._in_place, states, strict=True):
            layer.fill(row, keys, values, copies)

    def keep(self, sources: Sequence[int]) -> None:
        """Let row i become what row `sources[i]` is now, and drop the rows behind the last."""
        moves = [(source, row) for row, source in enumerate(sources) if source != row]
        for layer in self._in_place:
            layer.keep(moves, len(sources))


class _InPlaceLayer(DynamicLayer):
    """One layer. `keys` and `values` are views of the columns in use, (rows, heads, columns, head dim)."""

    def __init__(self, keys: Tensor, values: Tensor, size: tuple[int, int, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers declares no types here
        rows, width, capacity = size
        self._stores = [
            states.new_empty((rows, states.shape[1], capacity, states.shape[3])) for states in (keys, values)
        ]
        self.is_initialized = True
        self._show(width)

    def fill(self, row: int, keys: Tensor, values: Tensor, copies: int) -> None:
        texts, _, length, _ = keys.shape
        width, end = self.get_seq_length(), row + texts * copies
        for store, states in zip(self._stores, (keys, values), strict=True):
            for copy in range(copies):
                store[row + copy : end : copies, :, :length] = states
            store[row:end, :, length:width] = 0  # masked, but a NaN that memory held before would still spread

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append the states of new positions in place and return all states so far."""
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for store, states in zip(self._stores, (key_states, value_states), strict=True):
            store[:, :, start:end] = states
        return self._show(end)

    def keep(self, moves: Sequence[tuple[int, int]], rows: int) -> None:
        columns = self.get_seq_length()
        for store in self._stores:
            if moves:
                sources, targets = (list(side) for side in zip(*moves, strict=True))
                store[targets, :, :columns] = store[sources, :, :columns]
        self._stores = [store[:rows] for store in self._stores]
        self._show(columns)

    def _show(self, columns: int) -> tuple[Tensor, Tensor]:
        keys, values = (store[:, :, :columns] for store in self._stores)
        self.keys, self.values = keys, values
        return keys, values

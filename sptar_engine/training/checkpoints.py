"""The state of a training between two moments at which it may be stopped, in one file that is whole or absent."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dicts, replacing an earlier one at once."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as stream:
        torch.save(dict(state), stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a state onto the CPU. None when there is none, or one that cannot be read, which is as good as none."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return state

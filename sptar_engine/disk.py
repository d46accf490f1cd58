"""A full disk, as the libraries that write tell of it."""

from __future__ import annotations

import errno

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)


def is_full_disk(error: BaseException) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in _NUMBERS
    # safetensors wraps the system's error in one of its own and keeps the number in the text alone.
    is_wrapped = type(error).__name__ == "SafetensorError"
    return is_wrapped and any(f"(os error {number})" in str(error) for number in _NUMBERS)

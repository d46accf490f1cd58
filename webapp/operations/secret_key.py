"""The secret key that is made once and kept in the data folder. Read by the settings, so it imports no Django."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_FILE = "secret-key"


def kept_key(data_dir: Path, *, make: bool) -> str:
    """The key in the data folder; "" when there is none and none is to be made.

    A key that is made is readable by its owner alone. Of two processes that make one at the same time both get the
    first one's.
    """
    path = data_dir / _FILE
    if not path.exists():
        if not make:
            return ""
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(path, secrets.token_urlsafe(48))
    return path.read_text(encoding="utf-8").strip()


def _write_once(path: Path, text: str) -> None:
    """Write a whole file under its name, or leave the one that is there already."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(scratch, path)  # unlike a rename, it does not replace
    except FileExistsError:
        pass
    finally:
        scratch.unlink()

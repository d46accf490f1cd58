"""What the processes inherit: where the data lies, and secrets as names of files, never as values.

A value in the environment can be read in /proc by every program of the same user, and ends in crash reports. The
settings read NAME_FILE wherever they read NAME.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

SECRETS = ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")
_ONLY_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SPTAR_MAKES_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""What no other process needs; the last two are the key of `push_to_hub`, which runs by itself."""


def child_environment(
    inherited: Mapping[str, str], secrets: Mapping[str, str], data_dir: Path, port: int
) -> dict[str, str]:
    """The environment of all processes. `secrets` has the value of each of SECRETS that is set to one.

    Writes the values into files below `data_dir` that only their owner can read; files of secrets that are no longer
    set go.
    """
    folder = data_dir / "run" / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    environment = {name: value for name, value in inherited.items() if name not in (*SECRETS, *_ONLY_OURS)}
    for name in SECRETS:
        environment.pop(f"{name}_FILE", None)
        path = folder / name
        path.unlink(missing_ok=True)
        if name in secrets:
            _write_private(path, secrets[name])
            environment[f"{name}_FILE"] = str(path)
    return {
        **environment,
        "SPTAR_DATA": str(data_dir),
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",  # a line of a log is there when it happened
    }


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)

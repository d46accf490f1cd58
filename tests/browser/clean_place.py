"""A place where nothing is installed but one library with what it requires, and no network can be reached.

What pip would install is laid out by links to the files that are installed here, so that no download is needed.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

_START = """
import sys
sys.path.insert(0, sys.argv[1])
NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostby")
def refuse(event, arguments):
    if event.startswith(NETWORK):
        raise RuntimeError("reached for the network: " + event)
sys.addaudithook(refuse)
exec(compile(open(sys.argv[2], encoding="utf-8").read(), sys.argv[2], "exec"))
"""


def lay_out(folder: Path, library: str) -> list[str]:
    """Link a library and everything it requires into an empty folder; returns their names."""
    names = sorted(_closure(library))
    for name in names:
        for file in importlib.metadata.distribution(name).files or ():
            top = file.parts[0]
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if top not in ("..", "__pycache__") and not (folder / top).exists() and source.exists():
                (folder / top).symlink_to(source)
    return names


def run(place: Path, home: Path, program: str) -> Any:
    """Run a program in a clean process that stands in `home`; it prints JSON, which is returned."""
    script = home / "program.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", _START, str(place), str(script)],
        cwd=home, env={"HOME": str(home), "CUDA_VISIBLE_DEVICES": "", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _closure(library: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The names of a library and of all that it requires on this machine, extras left out."""
    name = _plain(library)
    found = {name}
    for line in importlib.metadata.requires(name) or ():
        other = _plain(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0])
        if "extra ==" in line or other in seen | found or not _is_installed(other):
            continue
        found |= _closure(other, seen | found)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    """A requirement for another system is not."""
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

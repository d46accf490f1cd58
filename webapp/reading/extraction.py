"""Text out of PDF and Word files, in a child process with little memory and little time: such files are programs of
strangers, and a reader that is led astray must take nothing else down with it.
"""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from sptar_engine.errors import InputError

MEMORY_MB = 1024
SECONDS = 60
"""Of processor time for one file; twice as much may pass on the clock."""
MAX_PAGES = 2000
MAX_CHARACTERS = 16 << 20

_ROOT = Path(__file__).resolve().parents[2]
_ANSWER_LIMIT = 8 * MAX_CHARACTERS  # bytes of an answer: JSON may write six bytes for a character


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a file says. `title` is empty where it names none."""

    title: str
    text: str


class Extractor:
    """Hands files to a child, one at a time, and starts another child when one breaks."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Extractor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def extract(self, path: Path, kind: str) -> Extracted:
        """Read a file; `kind` is pdf or docx. Raises InputError with one sentence when it is refused."""
        child = self._running()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps({"path": str(path), "kind": kind}).encode() + b"\n")
            child.stdin.flush()
            answer = self._answer(child)
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            raise InputError(self._why_it_died(child))
        reply: dict[str, Any] = json.loads(answer)
        if "broken" in reply:
            self._stop()  # without memory it may be in pieces; the next file gets a new child
        if "refused" in reply:
            raise InputError(reply["refused"])
        return Extracted(reply["title"], reply["text"])

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            limits = [str(value) for value in (MEMORY_MB, SECONDS, MAX_PAGES, MAX_CHARACTERS)]
            # No environment: secrets stay here, and nothing of it can change how the child starts.
            self._child = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-P", "-m", "webapp.reading.extraction_child", *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )
        return self._child

    def _answer(self, child: subprocess.Popen[bytes]) -> bytes:
        """One line, or what there was of it when the child died, wrote too much or took too long."""
        assert child.stdout is not None
        parts: list[bytes] = []
        held, end = 0, time.monotonic() + 2 * SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while held <= _ANSWER_LIMIT and selector.select(max(0.0, end - time.monotonic())):
                block = child.stdout.read1(1 << 16)  # type: ignore[attr-defined]  # a pipe is buffered
                parts.append(block)
                held += len(block)
                if not block or block.endswith(b"\n"):
                    return b"".join(parts)
        child.kill()
        return b""

    def _why_it_died(self, child: subprocess.Popen[bytes]) -> str:
        code = child.wait()
        self._stop()
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"it takes more than {SECONDS} seconds to read; split it, or save it as text"
        return "it breaks the program that reads it; save it again, or save it as text"

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        child.kill()
        child.wait()

"""The process: starts the service, answers until it is told to stop, and stops within a few seconds."""

from __future__ import annotations

import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from sptar_engine.serving.backends import Backends, real_backends
from sptar_engine.serving.library import Library
from sptar_engine.serving.server import Server
from sptar_engine.serving.service import Service

_ANSWERS = 2.0  # seconds for answers under way when it stops
_BUILD = 3.0  # seconds for the build under way
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """Where things are. `device` is a torch device or `auto`; `threads` 0 leaves one processor to others."""

    socket: Path
    root: Path
    cache: Path
    models: Path
    base: str
    device: str = "cpu"
    threads: int = 0


def run(options: Options, backends: Backends | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Call it from the main thread.

    The caller should then end the process by `os._exit`: a build that did not stop in time is in native code, which
    does not survive the interpreter's end, and torch and Java take seconds for theirs. Nothing is lost by that.
    Raises StageError when another service has the socket or Java does not start.
    """
    _be_quiet()
    service = Service(
        Library(options.root, options.cache, options.models, options.base),
        backends or real_backends(options.device, options.threads),
    )
    server = Server(options.socket, service.answer)
    before = {number: signal.signal(number, lambda *_: server.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.open()
        service.start()
        _log.info("Search service: process %d answers at %s", os.getpid(), options.socket)
        server.serve(lambda: service.builds.alive)
    finally:
        server.close(_ANSWERS)
        service.builds.stop(_BUILD)
        for number, handler in before.items():
            signal.signal(number, handler)


def _be_quiet() -> None:
    """Read by the Hugging Face libraries when they are imported: nothing is fetched, no progress bars, no forks."""
    os.environ.update(
        {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TQDM_DISABLE": "1",
        }
    )
    for chatty in ("kivy", "sentence_transformers"):  # kivy: what pyjnius says about Java
        logging.getLogger(chatty).setLevel(logging.WARNING)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

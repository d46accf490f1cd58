"""The socket of the search service: who may connect, how much and for how long."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from sptar_engine.errors import StageError
from sptar_engine.serving.wire import ANSWER_LIMIT, REQUEST_LIMIT, Refusal, WireError, check_path, receive, send

_CONNECTIONS = 64  # at a time; one more is told to come again
_READ = 10.0  # seconds for a whole request to come
_WRITE = 10.0  # seconds for an answer to be taken
_LOOK = 0.25  # seconds between two looks at whether to stop
_log = logging.getLogger(__name__)

FAILED_SENTENCE = (
    "The search failed. Try again in a moment; if it fails once more, tell the person who runs this machine, who finds "
    "the reason in the log of the search service."
)

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Server:
    """Listens at a socket that only this user may open, one thread for each connection."""

    def __init__(self, path: Path, answer: Answer, *, connections: int = _CONNECTIONS, seconds: float = _READ) -> None:
        """`seconds` is how long a request may take to come."""
        self._path = path
        self._answer = answer
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(connections)
        self._most = connections
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._lock: IO[str] | None = None
        self._inode = 0

    def open(self) -> None:
        """Take the place. A socket that a killed process left is replaced.

        Raises StageError when another service has the place, Unreachable when its path is too long.
        """
        check_path(self._path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(self._path.parent, 0o700)
        self._lock = _locked(self._path)
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(before)
        self._inode = self._path.stat().st_ino
        self._listener.listen(128)
        self._listener.settimeout(_LOOK)

    def stop(self) -> None:
        """Have `serve` return. May be called by a signal handler."""
        self._stopping.set()

    def serve(self, is_well: Callable[[], bool]) -> None:
        """Answer until `stop` is called; `is_well` is asked meanwhile. Raises StageError when all is not well."""
        assert self._listener is not None, "open comes first"
        looked = time.monotonic()
        while not self._stopping.is_set():
            try:
                stream = self._listener.accept()[0]
            except TimeoutError:
                pass
            else:
                self._take(stream)
            if time.monotonic() - looked > _LOOK:
                looked = time.monotonic()
                self._look(is_well)

    def close(self, seconds: float) -> None:
        """Give the place up, after the answers under way or after `seconds`."""
        if self._listener is not None:
            self._listener.close()
            if self._is_ours():
                self._path.unlink(missing_ok=True)
        deadline = time.monotonic() + seconds
        for _ in range(self._most):
            if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
                break
        if self._lock is not None:
            self._lock.close()

    def _look(self, is_well: Callable[[], bool]) -> None:
        if not self._is_ours():
            raise StageError(f"The socket {self._path} was removed or replaced; start the search service again.")
        if not is_well():
            raise StageError("The search service stopped building indexes by a mistake of its own; start it again.")

    def _is_ours(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _take(self, stream: socket.socket) -> None:
        if self._free.acquire(blocking=False):
            threading.Thread(target=self._converse, args=(stream,), name="connection", daemon=True).start()
            return
        with stream:
            _try_to_send(stream, _refused(Refusal("busy", "Too many searches at once; try again in a moment.")), 0.1)

    def _converse(self, stream: socket.socket) -> None:
        """Answer one request after the other until the client closes, is too slow or talks nonsense."""
        try:
            with stream:
                while not self._stopping.is_set():
                    try:
                        request = receive(stream, REQUEST_LIMIT, self._seconds)
                    except WireError as error:
                        _try_to_send(stream, _refused(Refusal("refused", str(error))), _WRITE)
                        return
                    except OSError:  # too slow, or gone
                        return
                    if request is None or not _try_to_send(stream, self._reply(request), _WRITE):
                        return
        finally:
            self._free.release()

    def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"answer": self._answer(request)}
        except Refusal as refusal:
            return _refused(refusal)
        except Exception:  # whatever it is, the person gets a sentence, the log the rest, and the connection lives on
            _log.exception("A request of the kind %r could not be answered.", request.get("do"))
            return _refused(Refusal("failed", FAILED_SENTENCE))


def _locked(path: Path) -> IO[str]:
    """The lock that goes with the socket; the system frees it when its process ends, however that happens."""
    stream = path.with_name(f"{path.name}.lock").open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise StageError(f"Another search service answers at {path} already; stop it first.") from None
    return stream


def _refused(refusal: Refusal) -> dict[str, Any]:
    return {"refusal": {**refusal.facts, "reason": refusal.reason, "sentence": str(refusal)}}


def _try_to_send(stream: socket.socket, message: dict[str, Any], seconds: float) -> bool:
    try:
        send(stream, message, ANSWER_LIMIT, seconds)
    except OSError:  # the client has left, or does not read
        return False
    return True

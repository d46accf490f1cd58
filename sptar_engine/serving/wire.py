"""How the search service and its clients talk: JSON objects over a Unix socket, each after its length in four bytes.

Light: a client loads neither a machine learning library nor Java.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sptar_engine.errors import SptarError

REQUEST_LIMIT = 4 << 20  # bytes: some ten thousand document ids
ANSWER_LIMIT = 32 << 20  # bytes
_LENGTH = struct.Struct("!I")
_BLOCK = 1 << 16  # bytes read at a time
_LONGEST_PATH = 107  # bytes that the kernel takes for a socket's path


class Unreachable(SptarError):
    """Nobody answers at the socket, or not in time."""


class TooSlow(Unreachable):
    """The service is there, but has too much to do."""


class WireError(SptarError):
    """What came is no message: too long, cut short, or no JSON object."""


class Refusal(SptarError):
    """The service's answer to a request that it does not fulfil.

    `reason` is one word for a program, the message a sentence for a person; `facts` may hold more (`done`, `total`).
    """

    def __init__(self, reason: str, sentence: str, **facts: Any) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.facts = facts


def ask(path: Path, request: dict[str, Any], *, connect_seconds: float, answer_seconds: float) -> dict[str, Any]:
    """Send one request and return its answer.

    Raises Unreachable when the service is not there, stops meanwhile or takes too long, Refusal when it says no, and
    WireError when what it says is no answer.
    """
    check_path(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
        stream.settimeout(connect_seconds)
        try:
            stream.connect(str(path))
            # A service without room says so and closes before it has read: its words are there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                send(stream, request, REQUEST_LIMIT, answer_seconds)
            answer = receive(stream, ANSWER_LIMIT, answer_seconds)
        except TimeoutError as error:
            raise TooSlow(
                f"The search service did not answer within {answer_seconds:.0f} seconds; the machine has much to do. "
                "Try again in a moment."
            ) from error
        except OSError as error:
            raise Unreachable("The search service is not running.") from error
    if answer is None:
        raise Unreachable("The search service stopped before it had answered.")
    return _content(answer)


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    if isinstance(content := answer.get("answer"), dict):
        return content
    refusal = answer.get("refusal")
    if isinstance(refusal, dict) and isinstance(refusal.get("reason"), str):
        facts = {name: value for name, value in refusal.items() if name not in ("reason", "sentence")}
        raise Refusal(refusal["reason"], str(refusal.get("sentence", "")), **facts)
    raise WireError("The search service gave an answer that is neither a result nor a refusal.")


def check_path(path: Path) -> None:
    """Raise Unreachable for a path that is longer than a socket's may be."""
    size = len(str(path).encode())
    if size > _LONGEST_PATH:
        raise Unreachable(
            f"The path of the search socket is {size} bytes long and {_LONGEST_PATH} is the limit of the system; "
            f"choose a data folder with a shorter path than {path.parent}."
        )


def send(stream: socket.socket, message: dict[str, Any], limit: int, seconds: float) -> None:
    """Send one message, within `seconds` altogether. Raises WireError when it is longer than `limit` bytes."""
    body = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > limit:
        raise WireError(f"A message of {len(body)} bytes is too long; {limit} is the limit.")
    stream.settimeout(seconds)
    stream.sendall(_LENGTH.pack(len(body)) + body)


def receive(stream: socket.socket, limit: int, seconds: float) -> dict[str, Any] | None:
    """Return the next message, or None when the other side has closed the connection instead.

    All of it must come within `seconds`, so that a sender of one byte now and then holds nobody up. Raises
    TimeoutError, and WireError for a message that is too long, cut short or no JSON object.
    """
    deadline = time.monotonic() + seconds
    head = _read(stream, _LENGTH.size, deadline)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise WireError("The message was cut short.")
    (length,) = _LENGTH.unpack(head)
    if length > limit:
        raise WireError(f"A message of {length} bytes is too long; {limit} is the limit.")
    body = _read(stream, length, deadline)
    if len(body) < length:
        raise WireError("The message was cut short.")
    return _parse(body)


def _read(stream: socket.socket, length: int, deadline: float) -> bytes:
    """That many bytes, or fewer when the other side closes before."""
    read = bytearray()
    while len(read) < length:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the message did not come in time")
        stream.settimeout(left)
        block = stream.recv(min(_BLOCK, length - len(read)))
        if not block:
            break
        read += block
    return bytes(read)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("The message is not JSON.") from error
    if not isinstance(message, dict):
        raise WireError("The message is no JSON object.")
    return message

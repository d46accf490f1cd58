"""Messages: whole, short enough, in time, and JSON objects."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sptar_engine.serving.wire import Refusal, TooSlow, Unreachable, WireError, ask, receive, send

_LIMIT = 1000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def head(length: int) -> bytes:
    return struct.pack("!I", length)


def test_message_arrives_as_it_was_sent(pair) -> None:
    send(pair[0], {"text": "Flügel \u2028 \U0001f600", "n": 3}, _LIMIT, 5)
    assert receive(pair[1], _LIMIT, 5) == {"text": "Flügel \u2028 \U0001f600", "n": 3}


def test_two_messages_arrive_one_after_the_other(pair) -> None:
    send(pair[0], {"n": 1}, _LIMIT, 5)
    send(pair[0], {"n": 2}, _LIMIT, 5)
    assert [receive(pair[1], _LIMIT, 5), receive(pair[1], _LIMIT, 5)] == [{"n": 1}, {"n": 2}]


def test_closed_connection_is_no_message(pair) -> None:
    pair[0].close()
    assert receive(pair[1], _LIMIT, 5) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (head(_LIMIT + 1), "1001 bytes is too long"),
        (b"GET / HTTP/1.1\r\n\r\n", "is too long"),
        (head(4) + b"{", "cut short"),
        (b"\0\0", "cut short"),
        (head(3) + b"abc", "not JSON"),
        (head(2) + b"\xff\xfe", "not JSON"),
        (head(2) + b"[]", "no JSON object"),
        (head(900) + b"[" * 900, "not JSON"),
    ],
)
def test_nonsense_is_refused(pair, data: bytes, reason: str) -> None:
    pair[0].sendall(data)
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(WireError, match=reason):
        receive(pair[1], _LIMIT, 5)


def test_sender_of_single_bytes_is_given_up_on(pair) -> None:
    stop = threading.Event()

    def drip() -> None:
        pair[0].sendall(head(500))
        while not stop.wait(0.02):
            pair[0].sendall(b"{")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    with pytest.raises(TimeoutError):
        receive(pair[1], _LIMIT, 0.2)
    stop.set()
    thread.join()


def test_too_long_message_is_not_sent(pair) -> None:
    with pytest.raises(WireError, match="too long"):
        send(pair[0], {"text": "a" * _LIMIT}, _LIMIT, 5)


def test_nobody_answers(root: Path) -> None:
    with pytest.raises(Unreachable, match="not running"):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=1)


def test_socket_of_a_dead_process_is_not_running(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(root / "s.sock"))
    with pytest.raises(Unreachable, match="not running"):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=1)


def test_path_that_is_too_long_is_explained(root: Path) -> None:
    with pytest.raises(Unreachable, match="107 is the limit"):
        ask(root / ("a" * 100) / "s.sock", {}, connect_seconds=1, answer_seconds=1)


def test_silent_service_is_given_up_on(root: Path) -> None:
    with answering(root, lambda stream: time.sleep(1)), pytest.raises(TooSlow, match="did not answer within"):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=0.1)


def test_service_that_dies_in_the_middle_is_unreachable(root: Path) -> None:
    with answering(root, lambda stream: None), pytest.raises(Unreachable, match="before it had answered"):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=5)


@pytest.mark.parametrize("answer", [{}, {"answer": 3}, {"refusal": []}, {"refusal": {"reason": 4}}])
def test_answer_without_sense_is_an_error(root: Path, answer: dict) -> None:
    with answering(root, lambda stream: send(stream, answer, _LIMIT, 5)), pytest.raises(WireError, match="neither"):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=5)


def test_refusal_carries_reason_sentence_and_facts(root: Path) -> None:
    refusal = {"refusal": {"reason": "building", "sentence": "Not yet.", "done": 3}}
    with (
        answering(root, lambda stream: send(stream, refusal, _LIMIT, 5)),
        pytest.raises(Refusal, match="Not yet") as no,
    ):
        ask(root / "s.sock", {}, connect_seconds=1, answer_seconds=5)
    assert (no.value.reason, no.value.facts) == ("building", {"done": 3})


class answering:  # noqa: N801  a context manager
    """A service that reads a request, does something with the connection and closes it."""

    def __init__(self, root: Path, act: Callable[[socket.socket], object]) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(root / "s.sock"))
        self._listener.listen()
        self._act = act
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        stream = self._listener.accept()[0]
        with stream:
            receive(stream, 10_000, 5)
            self._act(stream)

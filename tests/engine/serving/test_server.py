"""The socket: one service, this user only, many clients, and none of them holds the others up."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sptar_engine.errors import StageError
from sptar_engine.serving.server import FAILED_SENTENCE, Server
from sptar_engine.serving.wire import REQUEST_LIMIT, Refusal, Unreachable, ask, receive, send

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"heard": request}


@pytest.fixture
def serve(root: Path) -> Iterator[Callable[..., Server]]:
    """Return `serve(answer, **options)`: a server that answers; it is stopped at the end."""
    running: list[tuple[Server, threading.Thread]] = []

    def make(answer: Answer = echo, **options: Any) -> Server:
        server = Server(root / "s.sock", answer, **options)
        server.open()
        thread = threading.Thread(target=server.serve, args=(lambda: True,), daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield make
    for server, thread in running:
        server.stop()
        thread.join(10)
        server.close(1)


def say(root: Path, request: dict[str, Any], seconds: float = 10) -> dict[str, Any]:
    return ask(root / "s.sock", request, connect_seconds=5, answer_seconds=seconds)


def connected(root: Path) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(10)
    stream.connect(str(root / "s.sock"))
    return stream


def test_only_this_user_may_open_the_socket(root: Path, serve) -> None:
    os.chmod(root, 0o755)
    serve()
    assert stat.S_IMODE((root / "s.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_many_clients_get_their_own_answers(root: Path, serve) -> None:
    serve()
    with ThreadPoolExecutor(20) as clients:
        answers = clients.map(lambda number: say(root, {"n": number})["heard"]["n"], range(200))
        assert list(answers) == list(range(200))


def test_several_requests_of_one_connection_are_answered(root: Path, serve) -> None:
    serve()
    with connected(root) as stream:
        for number in range(3):
            send(stream, {"n": number}, 1000, 5)
            assert receive(stream, 1000, 5) == {"answer": {"heard": {"n": number}}}


def is_closed(stream: socket.socket) -> bool:
    try:
        return stream.recv(1) == b""
    except ConnectionResetError:  # closed with our bytes unread
        return True


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack("!I", REQUEST_LIMIT + 1), "is too long"),
        (b"\xff" * 64, "is too long"),
        (struct.pack("!I", 5) + b"hello", "not JSON"),
    ],
)
def test_nonsense_is_answered_with_a_sentence_and_the_service_goes_on(root, serve, data: bytes, sentence: str) -> None:
    serve()
    with connected(root) as stream:
        stream.sendall(data)
        answer = receive(stream, 10_000, 5)
        assert sentence in answer["refusal"]["sentence"]
        assert is_closed(stream)
    assert say(root, {"n": 1})


def test_slow_client_is_cut_off_and_holds_nobody_up(root: Path, serve) -> None:
    serve(seconds=0.3)
    with connected(root) as slow:
        slow.sendall(b"\0")
        assert say(root, {"n": 1}) == {"heard": {"n": 1}}
        assert is_closed(slow)


def test_client_that_leaves_in_the_middle_does_no_harm(root: Path, serve) -> None:
    serve()
    for data in (b"", b"\0\0", struct.pack("!I", 100) + b"{"):
        with connected(root) as stream:
            stream.sendall(data)
    assert say(root, {"n": 1})


def test_unforeseen_error_is_a_refusal_for_the_person_and_a_line_in_the_log(root: Path, serve, caplog) -> None:
    def fail(request: dict[str, Any]) -> dict[str, Any]:
        raise PermissionError(13, "Permission denied", "/data/search")

    serve(fail)
    with connected(root) as stream:
        for _ in range(2):  # the connection lives on
            send(stream, {"do": "search"}, 1000, 5)
            refusal = receive(stream, 1000, 5)["refusal"]
            assert (refusal["reason"], refusal["sentence"]) == ("failed", FAILED_SENTENCE)
    assert "'search' could not be answered" in caplog.text
    assert "/data/search" in caplog.text


def test_one_connection_too_many_is_told_to_come_again(root: Path, serve) -> None:
    may_go, both_wait = threading.Event(), threading.Barrier(3)

    def wait(request: dict[str, Any]) -> dict[str, Any]:
        both_wait.wait(10)
        may_go.wait(10)
        return {}

    serve(wait, connections=2)
    with ThreadPoolExecutor(2) as clients:
        first = [clients.submit(say, root, {}) for _ in range(2)]
        both_wait.wait(10)
        with pytest.raises(Refusal, match="Too many searches") as busy:
            say(root, {})
        assert busy.value.reason == "busy"
        may_go.set()
        assert [one.result() for one in first] == [{}, {}]


def test_refusal_reaches_the_client(root: Path, serve) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("building", "Not yet.", done=1)

    serve(refuse)
    with pytest.raises(Refusal, match="Not yet") as no:
        say(root, {})
    assert no.value.facts == {"done": 1}


def test_socket_that_a_killed_process_left_is_replaced(root: Path, serve) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(root / "s.sock"))
    (root / "s.sock.lock").touch()
    serve()
    assert say(root, {"n": 1})


def test_second_service_is_refused_and_the_first_goes_on(root: Path, serve) -> None:
    serve()
    with pytest.raises(StageError, match=r"answers at .+ already"):
        Server(root / "s.sock", echo).open()
    assert say(root, {"n": 1})


def test_stopped_service_leaves_no_socket_and_the_next_one_starts(root: Path, serve) -> None:
    server = Server(root / "s.sock", echo)
    server.open()
    server.stop()
    server.serve(lambda: True)
    server.close(1)
    with pytest.raises(Unreachable):
        say(root, {})
    assert not (root / "s.sock").exists()
    serve()
    assert say(root, {})


def test_service_whose_socket_was_removed_says_so(root: Path) -> None:
    server = Server(root / "s.sock", echo)
    server.open()
    (root / "s.sock").unlink()
    with pytest.raises(StageError, match="was removed or replaced"):
        server.serve(lambda: True)
    server.close(0)


def test_service_that_is_not_well_ends(root: Path) -> None:
    server = Server(root / "s.sock", echo)
    server.open()
    with pytest.raises(StageError, match="start it again"):
        server.serve(lambda: False)
    server.close(0)


def test_socket_path_that_is_too_long_is_explained(root: Path) -> None:
    with pytest.raises(Unreachable, match="shorter path"):
        Server(root / ("a" * 120) / "s.sock", echo).open()

"""`manage.py up` with its real processes: one command starts them, Ctrl-C or a kill ends them, and nothing leaks."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.webapp.operations.machines import Machine
from tests.webapp.operations.started import Up, free_port, processes_of

pytestmark = pytest.mark.processes

NAMES = {"redis", "web", "search", "worker-stages", "worker-short", "reconcile"}
SECRET = "a-secret-key-that-must-not-be-seen-" + "z" * 30


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine with secrets in its environment. Its folder has a short name, for the sockets."""
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        yield Machine(Path(folder) / "data", {"PORT": str(free_port()), "SECRET_KEY": SECRET})


@pytest.fixture
def start(machine: Machine) -> Iterator[Callable[[], Up]]:
    """Return `start()`: a new `up` on the machine. What is left of it is killed at the end."""
    started: list[Up] = []

    def make() -> Up:
        started.append(Up(machine))
        return started[-1]

    yield make
    for one in started:
        one.stop()
    for pid in processes_of(machine.data):
        os.kill(pid, signal.SIGKILL)


def test_one_command_starts_everything_and_ctrl_c_ends_it_in_order(machine: Machine, start: Callable[[], Up]) -> None:
    up = start()
    up.wait_until_it_runs()
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/login/", timeout=20) as page:
        assert page.status == 200
    assert f"http://127.0.0.1:{up.port}/login/link/" in up.said
    assert machine.data.stat().st_mode & 0o777 == 0o700
    assert (machine.data / "redis").stat().st_mode & 0o777 == 0o700
    up.wait(lambda: set(states(machine.data)) == NAMES and set(states(machine.data).values()) == {"RUNNING"}, 60)
    assert not listening_ports(up) - {up.port}, "Redis and the search service have no port"
    before = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert time.monotonic() - before < 40
    assert up.others() == {}
    assert stop_order(machine.data) == ["workers", "search", "web", "redis"]


def test_a_killed_start_leaves_no_process_and_the_next_one_goes_on(start: Callable[[], Up]) -> None:
    first = start()
    first.wait_until_it_runs()
    first.process.kill()
    second = start()
    second.wait_until_it_runs()
    assert "still stopping" in second.said
    assert len([line for line in second.others().values() if "redis-server" in line]) == 1
    supervisors = [pid for pid, line in second.others().items() if "supervisord" in line]
    assert len(supervisors) == 1
    os.kill(supervisors[0], signal.SIGKILL)
    assert second.process.wait(60) == 1
    assert "The supervisor ended" in second.said
    second.wait_until_all_are_gone(45)


def test_a_second_start_on_the_same_data_is_refused(machine: Machine, start: Callable[[], Up]) -> None:
    start().wait_until_it_runs()
    done = machine.manage("up")
    assert done.returncode == 1
    assert f"SPTAR is running on {machine.data} already" in done.stderr
    done = machine.manage("restore", "any.zip")
    assert done.returncode == 1
    assert "is running" in done.stderr


def test_a_taken_port_is_said(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(machine.variables["PORT"])))
        taken.listen()
        done = machine.manage("up")
    assert done.returncode == 1
    assert f"Port {machine.variables['PORT']} of 127.0.0.1 cannot be used" in done.stderr


def test_a_folder_with_a_long_name_is_said(tmp_path: Path) -> None:
    done = Machine(tmp_path / ("x" * 120), {"PORT": str(free_port())}).manage("up")
    assert done.returncode == 1
    assert "bytes too long for the sockets in it" in done.stderr


def test_no_secret_is_seen_in_processes_or_files(machine: Machine, start: Callable[[], Up]) -> None:
    """T43: command lines, environments of the processes, and logs."""
    up = start()
    up.wait_until_it_runs()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{up.port}/nothing/here/", timeout=20)
    seen = dict(up.others())
    assert len(seen) >= len(NAMES)
    for pid, line in seen.items():
        try:
            environment = Path(f"/proc/{pid}/environ").read_text(errors="replace")
        except OSError:
            continue
        assert SECRET not in line, f"in the command line of {line}"
        assert SECRET not in environment, f"in the environment of {line}"
    up.process.send_signal(signal.SIGINT)
    up.process.wait(60)
    open_files = [path for path in machine.data.rglob("*") if path.is_file() and path.parent.name != "secrets"]
    for path in [*open_files, up.log]:
        assert SECRET.encode() not in path.read_bytes(), path
    assert all(path.stat().st_mode & 0o077 == 0 for path in (machine.data / "run" / "secrets").iterdir())


def test_the_key_is_made_once_and_only_by_up(machine: Machine, start: Callable[[], Up]) -> None:
    machine.variables["SECRET_KEY"] = ""
    refused = machine.manage("check")
    assert refused.returncode != 0
    assert "SECRET_KEY is missing" in refused.stderr
    up = start()
    up.wait_until_it_runs()
    key = machine.data / "secret-key"
    assert key.stat().st_mode & 0o777 == 0o600
    made = key.read_text()
    assert len(made) >= 40
    assert machine.manage("loginlink").stdout.startswith(f"http://127.0.0.1:{up.port}/login/link/")
    assert key.read_text() == made


def states(data: Path) -> dict[str, str]:
    """What the supervisor says of each process."""
    import xmlrpc.client

    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, serverurl=f"unix://{data / 'run' / 'supervisor.sock'}")
    server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        return {one["name"]: one["statename"] for one in server.supervisor.getAllProcessInfo()}
    finally:
        transport.close()


def stop_order(data: Path) -> list[str]:
    """The groups in the order in which their last process stopped, from the supervisor's log."""
    groups = {"worker-stages": "workers", "worker-short": "workers", "reconcile": "workers"}
    lines = (data / "logs" / "supervisor.log").read_text().splitlines()
    stopped = [line.split("stopped: ", 1)[1].split(" ")[0] for line in lines if "stopped: " in line]
    names = [groups.get(name, name) for name in stopped]
    return [name for place, name in enumerate(names) if name not in names[place + 1 :]]


def listening_ports(up: Up) -> set[int]:
    """TCP ports on which one of the processes listens."""
    sockets = set()
    for pid in up.others():
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(str(link.readlink()))
            except OSError:
                continue
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[3] == "0A" and f"socket:[{columns[9]}]" in sockets:
            ports.add(int(columns[1].rsplit(":", 1)[1], 16))
    return ports

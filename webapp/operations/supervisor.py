"""supervisord as a child of `manage.py up`: its configuration, its start, what it says, its end."""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterable, Mapping
from pathlib import Path

from supervisor.xmlrpc import SupervisorTransport

from webapp.operations.processes import Process

# 6 MB a process, 30 MB for all: enough to see what happened last week, too little to fill a disk.
_LOG_BYTES, _LOG_COPIES = "2MB", 2
_FEW, _MANY = 3, 1_000  # starts that end at once, one second later after each

_HEAD = """\
; Made by `manage.py up` at each start. Changes here are lost.
[unix_http_server]
file=%(here)s/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
nodaemon=true
silent=true
umask=077
logfile=%(here)s/../logs/supervisor.log
logfile_maxbytes={log_bytes}
logfile_backups={log_copies}
pidfile=%(here)s/supervisor.pid
childlogdir=%(here)s/../logs
"""

_PROGRAM = """
[program:{name}]
command={command}
stopsignal=TERM
stopwaitsecs={stop_seconds}
killasgroup=true
autorestart=true
startsecs=2
startretries={retries}
redirect_stderr=true
stdout_logfile=%(here)s/../logs/{name}.log
stdout_logfile_maxbytes={log_bytes}
stdout_logfile_backups={log_copies}
"""

_GROUP = """
[group:{group}]
programs={names}
priority={priority}
"""


def configuration(processes: Iterable[Process]) -> str:
    """The file for supervisord. It holds no secret and no path of the data folder, whatever characters that has."""
    python = shlex.quote(sys.executable).replace("%", "%%")
    parts = [_HEAD.format(log_bytes=_LOG_BYTES, log_copies=_LOG_COPIES)]
    groups: dict[str, list[Process]] = {}
    for process in processes:
        groups.setdefault(process.group, []).append(process)
        parts.append(
            _PROGRAM.format(
                name=process.name,
                command=f"{python} -m webapp.operations.process {process.name}",
                stop_seconds=process.stop_seconds,
                retries=_FEW if process.needed else _MANY,
                log_bytes=_LOG_BYTES,
                log_copies=_LOG_COPIES,
            )
        )
    for group, members in groups.items():
        names = ",".join(member.name for member in members)
        parts.append(_GROUP.format(group=group, names=names, priority=members[0].priority))
    return "".join(parts)


class Supervisor:
    """A running supervisord. Its configuration must lie in `run/supervisor.conf` of the data folder."""

    def __init__(self, data_dir: Path, checkout: Path, environment: Mapping[str, str]) -> None:
        self._socket = data_dir / "run" / "supervisor.sock"
        with (data_dir / "logs" / "start.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "webapp.operations.process", "supervisor"],
                cwd=checkout,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches `up` alone, which then stops everything in order
            )

    @property
    def is_running(self) -> bool:
        """Whether supervisord lives."""
        return self._process.poll() is None

    def states(self) -> dict[str, str]:
        """State of each process by name: STARTING, RUNNING, BACKOFF, FATAL …; {} while supervisord does not answer."""
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            found = proxy.supervisor.getAllProcessInfo()
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return {}
        finally:
            transport.close()
        return {one["name"]: one["statename"] for one in found}  # type: ignore[union-attr,index,call-overload]

    def ask_to_stop(self) -> None:
        """Begin to stop all processes, in order."""
        if self.is_running:
            os.kill(self._process.pid, signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait until supervisord and with it all processes have ended; False when they have not after `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

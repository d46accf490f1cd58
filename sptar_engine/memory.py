"""How much memory a piece of work took at its peak: resident, of this process and of the children it waited for."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_FORGET_PEAK = "5"  # what Linux takes in clear_refs to let the peak start again from now (man 5 proc)
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """Measures from its making on. Where the system cannot forget an earlier peak, that one counts too."""

    def __init__(self) -> None:
        self._children = _children_mib()
        try:
            _CLEAR.write_text(_FORGET_PEAK)
        except OSError:
            return

    def mib(self) -> int:
        """The peak so far in MiB; of a child only when it took more than every child before."""
        children = _children_mib()
        return max(_own_mib(), children if children > self._children else 0)


def _own_mib() -> int:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _per_mib()
    peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return max(peaks, default=0) // 1024


def _children_mib() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // _per_mib()


def _per_mib() -> int:
    return 1024 if sys.platform != "darwin" else 1024 * 1024  # kilobytes on Linux, bytes on macOS

"""Who else used the processor: a number measured beside other work says little."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Load:
    """Cores in use, on average over some time, of those that this process may use.

    Attributes:
        own_cores: by this process, all threads, and by processes of its own that have ended meanwhile.
        others_cores: by everyone else, what the host of a virtual machine took away among them.
    """

    own_cores: float
    others_cores: float


class LoadMeter:
    """Looks at the processor's clocks when made, and again when asked; they tick every 10 ms."""

    def __init__(self) -> None:
        self._wall_s, self._own_s, self._busy_s = time.perf_counter(), _own_s(), _busy_s()

    def load(self) -> Load:
        """The load since this was made."""
        wall_s = time.perf_counter() - self._wall_s
        own_s = _own_s() - self._own_s
        others_s = _busy_s() - self._busy_s - own_s
        return Load(round(own_s / wall_s, 3), round(max(0.0, others_s / wall_s), 3))


def _own_s() -> float:
    """Seconds of this process, and of those that it started, and that those started, once they were waited for."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _busy_s() -> float:
    """Seconds for which our cores did something, since the machine started."""
    cores = psutil.cpu_times(percpu=True)
    if hasattr(os, "sched_getaffinity"):
        cores = [cores[number] for number in os.sched_getaffinity(0) if number < len(cores)]
    # Linux counts a guest's time among the user's, too.
    idle = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(sum(s for name, s in core._asdict().items() if name not in idle) for core in cores))

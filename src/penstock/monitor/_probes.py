"""What can be measured of a machine and its processes.

A probe is called again and again, and gives numbers by name; the names end with their unit. Those that are rates tell
what has been since the call before, so the first call may give none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, final

import psutil  # type: ignore[import-untyped]

from penstock._types import WorkerId

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
Workers = Callable[[], Sequence[WorkerId]]


class Probe(Protocol):
    """Measures something."""

    def __call__(self) -> Mapping[str, float]:
        """Numbers by name."""
        ...


class Rate:
    """How fast a count grows.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._last: tuple[float, float] | None = None

    def __call__(self, count: float) -> float | None:
        """Growth per second since the last call; None at the first."""
        now_s, before = self._clock(), self._last
        self._last = now_s, count
        if before is None or now_s <= before[0]:
            return None
        return max(0.0, count - before[1]) / (now_s - before[0])


@final
class MachineProbe:
    """`cpu_percent`: of all cores of the machine, from 0 to 100, whoever uses them."""

    def __init__(self) -> None:
        psutil.cpu_percent()  # since this call

    def __call__(self) -> Mapping[str, float]:
        return {"cpu_percent": psutil.cpu_percent()}


@final
class DiskProbe:
    """`disk_read_mb_per_s`: of all disks of the machine; none where the system does not tell, as in some containers."""

    def __init__(self) -> None:
        self._rate = Rate()

    def __call__(self) -> Mapping[str, float]:
        counters: Any = psutil.disk_io_counters()
        rate = None if counters is None else self._rate(counters.read_bytes)
        return {} if rate is None else {"disk_read_mb_per_s": rate / 1e6}


@final
class MemoryProbe:
    """`memory_mb`: of this process and of its feeds' worker processes, what they share counted once.

    Args:
        workers: of the feeds.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._own = psutil.Process()

    def __call__(self) -> Mapping[str, float]:
        used = self._own.memory_info().rss
        for pid in {worker.pid for worker in self._workers()} - {self._own.pid}:
            with suppress(psutil.Error):  # it has ended meanwhile
                memory = psutil.Process(pid).memory_info()
                # The proportional share would be exact, and costs milliseconds a process.
                used += memory.rss - getattr(memory, "shared", 0)
        return {"memory_mb": used / 1e6}


@final
class WorkerProbe:
    """`worker_0_cpu_percent`, `worker_1_cpu_percent`...: of each worker of the feeds, 100 for one core.

    Args:
        workers: of the feeds.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._rates: dict[WorkerId, tuple[int, Rate]] = {}

    def __call__(self) -> Mapping[str, float]:
        measured = {}
        for worker in self._workers():
            used_s = _cpu_s(worker)
            if used_s is not None:
                number, rate = self._rates.setdefault(worker, (len(self._rates), Rate()))
                share = rate(used_s)
                if share is not None:
                    measured[f"worker_{number}_cpu_percent"] = 100 * share
        return measured


def _cpu_s(worker: WorkerId) -> float | None:
    """CPU time of a worker in seconds; None if it has ended, or the system does not tell."""
    if worker.thread is None:
        try:
            times = psutil.Process(worker.pid).cpu_times()
        except psutil.Error:
            return None
        return float(times.user + times.system)
    try:
        # psutil reads those of all threads of a process, of which a back end has dozens: 1 ms and more, this 20 us.
        line = Path(f"/proc/{worker.pid}/task/{worker.thread}/stat").read_text()
        user, system = line.rpartition(")")[2].split()[11:13]
    except (OSError, ValueError):
        return None
    return (int(user) + int(system)) / _TICKS_PER_S

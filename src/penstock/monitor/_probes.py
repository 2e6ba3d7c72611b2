"""What can be measured of a machine and its processes.

A probe is called again and again, and gives numbers by name; the names end with their unit. Those that are rates tell
what has been since the call before, so the first call may give none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, Protocol, final

import psutil  # type: ignore[import-untyped]

from penstock._types import WorkerId

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
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
        nothing_at_s: when the count was 0, by the clock, if that is known.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter, nothing_at_s: float | None = None) -> None:
        self._clock = clock
        self._last = None if nothing_at_s is None else (nothing_at_s, 0.0)

    def __call__(self, count: float) -> float | None:
        """Growth per second since the last call; None at the first, if nothing is known of before."""
        now_s, before = self._clock(), self._last
        self._last = now_s, count
        if before is None or now_s <= before[0]:
            return None
        return max(0.0, count - before[1]) / (now_s - before[0])


@final
class MachineProbe:
    """`cpu_percent`: of all cores of the machine, from 0 to 100, whoever uses them.

    `psutil.cpu_percent` tells what has been since anybody's last call, so that two monitors would disturb each other.

    Args:
        times: CPU times of the machine in seconds, by name.
    """

    def __init__(self, times: Callable[[], Mapping[str, float]] = lambda: psutil.cpu_times()._asdict()) -> None:
        self._times = times
        self._last: tuple[float, float] | None = None

    def __call__(self) -> Mapping[str, float]:
        times = self._times()
        total_s = sum(seconds for name, seconds in times.items() if not name.startswith("guest"))  # in user and nice
        idle_s, before = times["idle"] + times.get("iowait", 0.0), self._last
        self._last = total_s, idle_s
        if before is None or total_s <= before[0]:
            return {}
        idle_share = (idle_s - before[1]) / (total_s - before[0])
        return {"cpu_percent": 100 * min(1.0, max(0.0, 1 - idle_share))}


@final
class DiskProbe:
    """`disk_read_mb_per_s`: of all disks of the machine; none where the system does not tell, as in some containers.

    It looks once a second, since a look takes 0.1 to 0.3 ms, and says the same until the next one.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._rate = Rate(clock)
        self._looks_at_s = -math.inf
        self._measured: Mapping[str, float] = {}

    def __call__(self) -> Mapping[str, float]:
        now_s = self._clock()
        if now_s >= self._looks_at_s:
            self._looks_at_s = now_s + 1.0
            self._measured = self._look()
        return self._measured

    def _look(self) -> Mapping[str, float]:
        counters: Any = None
        with suppress(NotImplementedError, OSError, RuntimeError):
            counters = psutil.disk_io_counters()
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
            used += _private_bytes(pid)
        return {"memory_mb": used / 1e6}


@final
class WorkerProbe:
    """`worker_0_cpu_percent`, `worker_1_cpu_percent`...: of each worker of the feeds, 100 for one core.

    A worker that comes after another one has ended takes its number, so that a long program has no end of columns.

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
                if worker not in self._rates:
                    self._rates[worker] = self._free_number(), Rate()
                number, rate = self._rates[worker]
                share = rate(used_s)
                if share is not None:
                    measured[f"worker_{number}_cpu_percent"] = 100 * share
        return measured

    def _free_number(self) -> int:
        """The lowest that no living worker has; those of a user's pool are only listed while they are at a batch."""
        for worker in [worker for worker in self._rates if _cpu_s(worker) is None]:
            del self._rates[worker]
        taken = {number for number, _ in self._rates.values()}
        return next(number for number in range(len(taken) + 1) if number not in taken)


def _cpu_s(worker: WorkerId) -> float | None:
    """CPU time of a worker in seconds; None if it has ended, or the system does not tell."""
    within = "" if worker.thread is None else f"/task/{worker.thread}"
    try:
        # psutil reads those of all threads of a process, of which a back end has dozens: 1 ms and more, this 20 us.
        with open(f"/proc/{worker.pid}{within}/stat", "rb", buffering=0) as file:
            user, system = file.read(4096).rpartition(b")")[2].split()[11:13]
    except (OSError, ValueError):
        return _process_cpu_s(worker.pid) if worker.thread is None else None
    return (int(user) + int(system)) / _TICKS_PER_S


def _private_bytes(pid: int) -> int:
    """Memory that a process shares with no other; 0 if it has ended. The exact share would cost milliseconds."""
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:  # a third of the time that psutil takes
            resident, shared = file.read(4096).split()[1:3]
        return (int(resident) - int(shared)) * _PAGE_BYTES
    except (OSError, ValueError):
        with suppress(psutil.Error):
            memory = psutil.Process(pid).memory_info()
            return int(memory.rss - getattr(memory, "shared", 0))
    return 0


def _process_cpu_s(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)

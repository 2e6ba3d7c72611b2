"""How long threads have computed, and how long they have been ready to, and had no core."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from penstock._types import WorkerId


def core_wait_s(workers: Iterable[WorkerId]) -> float:
    """Seconds, summed over workers, since each began; 0 where the system does not tell, as elsewhere than on Linux.

    Source: https://docs.kernel.org/scheduler/sched-stats.html, the last section.
    """
    waited_ns = 0
    for worker in workers:
        thread = worker.pid if worker.thread is None else worker.thread
        try:
            waited_ns += int(Path(f"/proc/{worker.pid}/task/{thread}/schedstat").read_text().split()[1])
        except (OSError, IndexError, ValueError):  # it has ended, too
            continue
    return waited_ns / 1e9


def computed_s(threads: Iterable[WorkerId]) -> float:
    """Seconds of CPU time, summed over threads of this process; 0 elsewhere than on Linux.

    Python's own `pthread_getcpuclockid` must not be asked for a thread that has ended meanwhile.
    """
    if sys.platform != "linux":
        return 0.0
    sum_s = 0.0
    for thread in threads:
        if thread.thread is None:
            continue
        try:  # the number that Linux gives to the clock of a thread: MAKE_THREAD_CPUCLOCK in linux/posix-timers_types.h
            sum_s += time.clock_gettime(~thread.thread << 3 | 6)
        except OSError:  # it has ended
            continue
    return sum_s

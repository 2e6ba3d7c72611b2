"""How long workers have been ready to compute, and had no core."""

from __future__ import annotations

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

"""How many CPUs this process may use, and what they are."""

from __future__ import annotations

import math
import os
import platform
from pathlib import Path

_CPU_FILE = Path("/proc/cpuinfo")


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs by affinity and by container quota, at least 1; `os.cpu_count()` knows of neither.

    Args:
        cgroup: where the control groups are mounted.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, count if quota is None else min(count, math.ceil(quota)))


def cpu_name() -> str:
    """The model's."""
    if _CPU_FILE.is_file():
        for line in _CPU_FILE.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _quota(cgroup: Path) -> float | None:
    """CPUs that the control group grants (version 2, then version 1); None for no limit."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return None if int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError):
        return None

"""How much memory this process may still take."""

from __future__ import annotations

import re
from pathlib import Path


def free_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that is free, or would be at once, of the machine and of the container; None where neither tells.

    Args:
        meminfo: what the kernel says of the machine.
        cgroup: where the control groups are mounted.
    """
    known = [free for free in (_of_machine(meminfo), _of_container(cgroup)) if free is not None]
    return min(known, default=None)


def _of_machine(meminfo: Path) -> int | None:
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else 1024 * int(found[1])


def _of_container(cgroup: Path) -> int | None:
    """What the control group's limit leaves (version 2, then version 1); cached files give way."""
    for limit, used, cached in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most = (cgroup / limit).read_text().strip()
            if most == "max":
                return None
            left = int(most) - int((cgroup / used).read_text())
            found = re.search(rf"^{cached} (\d+)", (cgroup / limit).with_name("memory.stat").read_text(), re.MULTILINE)
            return max(0, left + (0 if found is None else int(found[1])))
        except (OSError, ValueError):
            continue
    return None

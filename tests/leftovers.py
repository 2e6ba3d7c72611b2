"""What a process holds, for tests that nothing is left behind. On Linux, where it can be told."""

from __future__ import annotations

import contextlib
import os


def descriptors() -> list[str]:
    """What every open descriptor leads to, sorted."""
    found = []
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that lists them
            found.append(os.readlink(entry.path))
    return sorted(found)


def shared_memory() -> list[str]:
    """Those of memory that penstock shares with other processes."""
    return [name for name in descriptors() if "penstock" in name]

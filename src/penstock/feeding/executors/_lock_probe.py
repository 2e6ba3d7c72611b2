"""Whether threads wait for the interpreter lock rather than for anything else."""

from __future__ import annotations

import sys
import zlib
from statistics import median
from time import perf_counter
from typing import final

_PASSED_OVER = 3  # batches; while the first ones are made, kernels are compiled or loaded
_LOOKS = 9
# Looked through without the lock, in some 100 us: a thread that waits for it needs up to 50 to wake up, and takes it
# then. Asleep instead, this one might come late for want of a core, on a busy machine.
_BLANK = bytes(200_000)


@final
class LockProbe:
    """Looks before some of the first batches, and then no more.

    A look lets go of the lock and takes it back. Where the other threads compute in Python, that takes as long as one
    of them may keep it, the switch interval of 5 ms; where they compute outside of it, or wait, some microseconds.
    """

    def __init__(self) -> None:
        self._waits_s: list[float] = []
        self.is_held = False

    def look(self) -> None:
        """Called by each thread before a batch."""
        waits_s = self._waits_s
        if len(waits_s) >= _PASSED_OVER + _LOOKS:
            return
        began = perf_counter()
        zlib.crc32(_BLANK)
        waits_s.append(perf_counter() - began)
        if len(waits_s) >= _PASSED_OVER + _LOOKS:  # several threads may be looking
            self.is_held = median(waits_s[_PASSED_OVER:]) > sys.getswitchinterval() / 2

"""Whether threads wait for the interpreter lock rather than for anything else."""

from __future__ import annotations

import os
import sys
import threading
import time
from statistics import median
from time import perf_counter
from typing import final

from penstock._types import WorkerId
from penstock.feeding._core_wait import core_wait_s

_PASSED_OVER = 3  # batches; while the first ones are made, kernels are compiled or loaded
_LOOKS = 9
_LET_GO_S = 0.001  # a thread that waits for it needs 50 us to wake up, and on a busy machine a core, too


@final
class LockProbe:
    """Looks before some of the first batches, and then no more.

    A look lets go of the lock and takes it back. Where the other threads compute in Python, that takes as long as one
    of them may keep it, the switch interval of 5 ms; where they compute outside of it, or wait, some microseconds. On
    a busy machine it may take as long for want of a core, which does not count.
    """

    def __init__(self) -> None:
        self._waits_s: list[float] = []
        self.is_held = False

    def look(self) -> None:
        """Called by each thread before a batch."""
        waits_s = self._waits_s
        if len(waits_s) >= _PASSED_OVER + _LOOKS:
            return
        own = [WorkerId(os.getpid(), threading.get_native_id())]
        before_s, began = core_wait_s(own), perf_counter()
        time.sleep(_LET_GO_S)
        # Asking for the core lets go of the lock, too: so both are of the same time.
        had_no_core_s = core_wait_s(own) - before_s
        waits_s.append(perf_counter() - began - _LET_GO_S - had_no_core_s)
        if len(waits_s) >= _PASSED_OVER + _LOOKS:  # several threads may be looking
            self.is_held = median(waits_s[_PASSED_OVER:]) > sys.getswitchinterval() / 2

"""Whether threads wait for the interpreter lock rather than for anything else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from time import perf_counter
from typing import final

import numpy as np
import numpy.typing as npt

from penstock._types import WorkerId
from penstock.feeding._core_wait import computed_s, core_wait_s

_PASSED_OVER = 3  # batches; while the first ones are made, kernels are compiled or loaded
_LOOKS = 9
_LONG_LOOKS = 3  # as many: where two threads take turns, one of them may find the lock free at most of its looks
_MOST_LOOKS = 50  # with those that say nothing
_PAUSE = (
    20  # times as long as a look took; one takes 0.1 s where the lock is held, which each file that is read lets go
)
_LET_GO_S = 0.001  # a thread that waits for it needs 50 us to wake up, and on a busy machine a core, too


@final
class LockProbe:
    """Looks before some of the first batches, for a sixth of the time at most, and then no more.

    A look lets go of the lock and takes it back. Where the other threads compute in Python, that takes as long as one
    of them may keep it, the switch interval of 5 ms; where they compute outside of it, or wait, some microseconds.

    On a busy machine it may take as long for want of a core, be it of this thread or of the one that has the lock;
    that does not count. Nor does a look during which the rest of the program computed, as Keras does for seconds where
    it traces a model: it may be what kept the lock, and processes would be no cure.
    """

    def __init__(self) -> None:
        self._waits_s: list[float] = []
        self._looks = 0
        self._next_s = 0.0  # when to look again
        self._workers: set[int] = set()  # threads that have looked
        self._is_over = False
        self.is_held = False

    def look(self) -> None:
        """Called by each thread before a batch."""
        if self._is_over:
            return
        self._workers.add(threading.get_native_id())
        began = perf_counter()
        if began < self._next_s:
            return
        self._looks += 1
        if self._looks > _PASSED_OVER:
            self._next_s = float("inf")  # the other threads go on meanwhile
            wait_s = self._wait_s()
            if wait_s is not None:
                self._waits_s.append(wait_s)
            now = perf_counter()
            self._next_s = now + _PAUSE * (now - began)
        if len(self._waits_s) >= _LOOKS or self._looks >= _MOST_LOOKS:  # several threads may be looking
            self._is_over = True
            long = sum(wait_s > sys.getswitchinterval() / 2 for wait_s in self._waits_s)
            self.is_held = len(self._waits_s) >= _LOOKS and long >= _LONG_LOOKS

    def _wait_s(self) -> float | None:
        """How long the lock was waited for; None if it may have been for the rest of the program."""
        threads = _python_threads()
        others = [thread for thread in threads if thread.thread not in self._workers]
        without_core_s, others_s, began = _core_waits_s(threads), computed_s(others), perf_counter()
        time.sleep(_LET_GO_S)
        # Reading these files lets go of the lock, too: so all are of the same time.
        others_s, without_core_s = computed_s(others) - others_s, _core_waits_s(threads) - without_core_s
        took_s = perf_counter() - began
        is_others = others_s > min(took_s, sys.getswitchinterval()) / 2
        return None if is_others else took_s - _LET_GO_S - float(without_core_s.max())


def _core_waits_s(threads: Sequence[WorkerId]) -> npt.NDArray[np.float64]:
    return np.array([core_wait_s([thread]) for thread in threads])


def _python_threads() -> Sequence[WorkerId]:
    """Those that can hold the lock."""
    pid = os.getpid()
    return [WorkerId(pid, thread.native_id) for thread in threading.enumerate() if thread.native_id is not None]

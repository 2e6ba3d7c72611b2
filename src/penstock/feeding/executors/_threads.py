"""Batches made by threads of this process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import final

from penstock._types import Array, BatchMaker, FillReport, Step, Trace, WorkerId
from penstock.feeding._memory import private_memory
from penstock.feeding.executors._crew import Hand
from penstock.feeding.executors._crew_executor import CrewExecutor
from penstock.feeding.executors._lock_probe import LockProbe
from penstock.feeding.executors._make import make


@final
class ThreadExecutor(CrewExecutor):
    """A fixed number of threads that end with `close()`, at garbage collection, or before the interpreter does.

    Args:
        workers: threads, at least 1.
        probes: look whether they wait for the interpreter lock.
        trace: spans for a profiler, around the making of each batch.
    """

    is_elsewhere = False
    why_silent = "its worker is still at it, or stuck in a function of yours."

    def __init__(self, workers: int, *, probes: bool = False, trace: Trace = nullcontext) -> None:
        super().__init__(workers)
        self._trace = trace
        self._probe = LockProbe() if probes else None

    @property
    def waits_for_lock(self) -> bool:
        """See `Executor.waits_for_lock`."""
        return self._probe is not None and self._probe.is_held

    @property
    def worker_ids(self) -> list[WorkerId]:
        """See `Executor.worker_ids`."""
        return [WorkerId(os.getpid(), thread) for thread in self._crew.thread_ids]

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self._hand = _OwnHand(maker, self._probe, self._trace)
        self._crew.start(self._hired(self.workers))

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`."""
        self._hand.maker = maker

    def _hired(self, hands: int) -> list[Hand]:
        return [self._hand] * hands

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return private_memory(nbytes)


@final
class _OwnHand:
    """Makes batches in the thread that asks."""

    def __init__(self, maker: BatchMaker, probe: LockProbe | None, trace: Trace) -> None:
        self.maker = maker
        self.probe = probe
        self.trace = trace

    def make(self, step: Step, out: Sequence[Array]) -> FillReport:
        """See `Hand.make`."""
        if self.probe is not None:
            self.probe.look()
        with self.trace("penstock: make"):
            return make(self.maker, step, out)

    def stop(self) -> None:
        """Nothing stops a thread; what it waits for may be ended, where the maker knows how."""
        interrupt = getattr(self.maker, "interrupt", None)
        if interrupt is not None:
            interrupt()

    def close(self) -> None:
        """Nothing to free."""

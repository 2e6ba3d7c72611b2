"""Batches made by the threads of a pool that the user has opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from typing import final

from penstock._errors import FlowClosed
from penstock._types import Array, BatchMaker, FillReport, Step, Trace, WorkerId
from penstock.feeding._memory import private_memory
from penstock.feeding.executors._crew_executor import CrewExecutor
from penstock.feeding.executors._lock_probe import LockProbe
from penstock.feeding.executors._make import make
from penstock.feeding.executors._users_pool import WHY_SILENT, Question, UsersPool


@final
class PoolThreadExecutor(CrewExecutor):
    """Gives batches to the threads of a user's pool.

    Args:
        pool: whose workers are threads; it stays open.
        workers: batches under way at a time.
        trace: spans for a profiler, around the making of each batch.
    """

    is_elsewhere = False
    why_silent = WHY_SILENT

    def __init__(self, pool: UsersPool, workers: int, *, trace: Trace = nullcontext) -> None:
        super().__init__(workers)
        self._probe = LockProbe()
        self._hands = [_Hand(pool, self._probe if workers > 1 else None, trace) for _ in range(workers)]

    @property
    def waits_for_lock(self) -> bool:
        """See `Executor.waits_for_lock`."""
        return self._probe.is_held

    @property
    def worker_ids(self) -> list[WorkerId]:
        """See `Executor.worker_ids`."""
        threads = [thread for hand in self._hands if (thread := hand.thread) is not None]
        return [WorkerId(os.getpid(), thread.native_id) for thread in threads]

    def is_worker(self) -> bool:
        """See `Executor.is_worker`."""
        thread = threading.current_thread()
        return super().is_worker() or any(hand.thread is thread for hand in self._hands)

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self.renew(maker)
        self._crew.start(self._hands)

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`."""
        for hand in self._hands:
            hand.maker = maker

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return private_memory(nbytes)


@final
class _Hand:
    """Has batches made by one thread of the pool at a time."""

    maker: BatchMaker

    def __init__(self, pool: UsersPool, probe: LockProbe | None, trace: Trace) -> None:
        self._question = Question(pool)
        self._probe = probe
        self._trace = trace
        self.thread: threading.Thread | None = None  # of the pool, while it is at a batch

    def make(self, step: Step, out: Sequence[Array]) -> FillReport:
        """See `Hand.make`."""
        report: FillReport = self._question.ask(self._made, (step, out))
        return report

    def stop(self) -> None:
        """See `Hand.stop`."""
        self._question.drop()

    def close(self) -> None:
        """Nothing to free."""

    def _made(self, task: tuple[Step, Sequence[Array]]) -> FillReport:
        if self._question.is_dropped:  # while it waited for its turn in the pool
            raise FlowClosed("this flow was closed before a batch was made")
        self.thread = threading.current_thread()
        try:
            if self._probe is not None:
                self._probe.look()
            with self._trace("penstock: make"):
                return make(self.maker, *task)
        finally:
            self.thread = None

"""Batches made by worker processes, which write them into memory that this one reads."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from functools import partial
from typing import final

from penstock._pending import Pending
from penstock._types import Array, BatchMaker, FillReport, Step
from penstock.feeding._memory import Segment
from penstock.feeding.executors._companion import Companion
from penstock.feeding.executors._crew import Crew
from penstock.feeding.executors._shared_slots import SharedSlots, let_go
from penstock.feeding.executors._travel import Luggage, pack


@final
class ProcessExecutor:
    """A fixed number of worker processes, each attended by a thread.

        submit ──> queue ──> thread ──(who, where)──> process: fills the slot
                               └─────────(report)────────┘

    Pixels cross in shared memory, in the slots that the consumer gets; a socket carries some hundred bytes a batch.

    Args:
        workers: processes, at least 1.
        timeout_s: for one batch; None for no limit.
        beside: another one, already started, that ends together with this; they share large arrays.
    """

    is_elsewhere = True
    why_silent = "its worker is still at it, or stuck in a function of yours."
    waits_for_lock = False

    def __init__(self, workers: int, timeout_s: float | None = None, beside: ProcessExecutor | None = None) -> None:
        self.workers = workers
        self._luggage: Luggage
        self._beside = None if beside is None else beside._luggage
        self._timeout_s = timeout_s
        self._slots = SharedSlots()
        self._shared: list[Segment] = []
        self._crew = Crew(partial(let_go, self._slots, self._shared))
        weakref.finalize(self, self._crew.dismiss).atexit = False

    def is_worker(self) -> bool:
        """See `Executor.is_worker`; a worker process has no flow to ask."""
        return self._crew.has(threading.current_thread())

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self._luggage = pack(maker, self._beside)
        others = {} if self._beside is None else self._beside.segments
        self._shared.extend(segment for key, segment in self._luggage.segments.items() if key not in others)
        self._companions = [Companion(self._luggage, self._slots, self._timeout_s) for _ in range(self.workers)]
        self._crew.start(self._companions)

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`. Large arrays that are as they were stay where they are."""
        before, self._luggage = self._luggage, pack(maker, self._luggage)
        if self._luggage is before:
            return
        self._shared[:] = self._luggage.segments.values()
        for companion in self._companions:
            companion.luggage = self._luggage
        for key, segment in before.segments.items():
            if key not in self._luggage.segments:
                segment.close()

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return self._slots.allocate(nbytes)

    def submit(self, step: Step, out: Sequence[Array]) -> Pending[FillReport]:
        """See `Executor.submit`."""
        return self._crew.submit(step, out)

    def close(self) -> None:
        """See `Executor.close`."""
        self._crew.end()
        let_go(self._slots, self._shared)

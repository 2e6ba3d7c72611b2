"""Batches made by worker processes, which write them into memory that this one reads."""

from __future__ import annotations

from typing import final

from penstock._types import Array, BatchMaker, WorkerId
from penstock.feeding._memory import Segment
from penstock.feeding.executors._companion import Companion
from penstock.feeding.executors._crew_executor import CrewExecutor
from penstock.feeding.executors._shared_slots import SharedSlots
from penstock.feeding.executors._travel import Luggage, pack


@final
class ProcessExecutor(CrewExecutor):
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

    def __init__(self, workers: int, timeout_s: float | None = None, beside: ProcessExecutor | None = None) -> None:
        self._slots = SharedSlots()
        super().__init__(workers, self._slots.close)
        self._luggage: Luggage[Segment]
        self._beside = None if beside is None else beside._luggage
        self._timeout_s = timeout_s
        self._companions: list[Companion] = []

    @property
    def worker_ids(self) -> list[WorkerId]:
        """See `Executor.worker_ids`."""
        pids = [companion.pid for companion in self._companions]
        return [WorkerId(pid) for pid in pids if pid is not None]

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self._luggage = pack(maker, self._beside)
        others = {} if self._beside is None else self._beside.segments
        self._slots.keep(segment for key, segment in self._luggage.segments.items() if key not in others)
        self._crew.start(self._hired(self.workers))

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`. Large arrays that are as they were stay where they are."""
        before, self._luggage = self._luggage, pack(maker, self._luggage)
        if self._luggage is before:
            return
        self._slots.keep(self._luggage.added_to(before))
        for companion in self._companions:
            companion.luggage = self._luggage
        self._slots.let_go(before.added_to(self._luggage))

    def _hired(self, hands: int) -> list[Companion]:
        hired = [Companion(self._luggage, self._slots, self._timeout_s) for _ in range(hands)]
        self._companions = [companion for companion in self._companions if not companion.is_over] + hired
        return hired

    def is_outdated(self, maker: BatchMaker) -> bool:
        """See `Executor.is_outdated`."""
        luggage = pack(maker, self._luggage)
        if luggage is self._luggage:
            return False
        for segment in luggage.added_to(self._luggage):
            segment.close()
        return True

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return self._slots.allocate(nbytes)

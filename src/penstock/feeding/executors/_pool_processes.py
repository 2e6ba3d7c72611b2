"""Batches made by the processes of a pool that the user has opened."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import final

import numpy as np

from penstock._errors import PenstockError, WorkerError
from penstock._types import Array, BatchMaker, FillReport, Step, WorkerId
from penstock.feeding._memory import Segment
from penstock.feeding.executors._crew_executor import CrewExecutor
from penstock.feeding.executors._pool_worker import RemoteMaker, Task, Window, work
from penstock.feeding.executors._shared_slots import Desk, SharedSlots, Slot
from penstock.feeding.executors._travel import Luggage, pack
from penstock.feeding.executors._users_pool import WHY_SILENT, LostError, Question, UsersPool
from penstock.feeding.executors._worker import understood
from penstock.feeding.executors._worker_limits import DEATHS


@final
class PoolProcessExecutor(CrewExecutor):
    """Gives batches to the processes of a user's pool, one at a time to each.

        submit ──> queue ──> thread ──(task)──> the pool: some worker of it fills the slot
                               └────(report)──────┘

    The threads wait for answers, ask again for those that died with their worker, and end with the flow. The maker and
    the slots are in memory of this process, into which the workers look, so that a task is some hundred bytes.

    Args:
        pool: whose workers are processes on this machine; it stays open.
        workers: batches under way at a time.
    """

    is_elsewhere = True
    why_silent = WHY_SILENT

    def __init__(self, pool: UsersPool, workers: int) -> None:
        self._slots = SharedSlots()
        super().__init__(workers, self._slots.close)
        self._pool = pool
        self._hands: list[_Hand] = []

    @property
    def worker_ids(self) -> list[WorkerId]:
        """See `Executor.worker_ids`."""
        return [WorkerId(pid) for pid in sorted({hand.pid for hand in self._hands}) if pid]

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        try:
            self._luggage = pack(maker)
            self._slots.keep(self._luggage.segments.values())
            self._payload = self._packed(self._luggage)
            status = Segment(8 * self.workers)
            self._slots.keep([status])
        except BaseException:
            self._slots.close()
            raise
        remote = self._shown()
        self._hands = [
            _Hand(Question(self._pool), remote, self._slots, status, number) for number in range(self.workers)
        ]
        self._crew.start(self._hands)

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`. Large arrays that are as they were stay where they are."""
        luggage = pack(maker, self._luggage)
        if luggage is self._luggage:
            return
        before = self._luggage
        self._slots.keep(luggage.added_to(before))
        payload, self._payload = self._payload, self._packed(luggage)
        self._luggage = luggage
        remote = self._shown()
        for hand in self._hands:
            hand.remote = remote
        self._slots.let_go([payload, *before.added_to(luggage)])

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return self._slots.allocate(nbytes)

    def _packed(self, luggage: Luggage[Segment]) -> Segment:
        """What the maker is unpickled from, in memory that the workers can see."""
        payload = Segment(len(luggage.payload))
        self._slots.keep([payload])
        payload.memory[:] = np.frombuffer(luggage.payload, np.uint8)
        return payload

    def _shown(self) -> RemoteMaker:
        arrays = ((key, _window(segment)) for key, segment in self._luggage.segments.items())
        return RemoteMaker(_window(self._payload), tuple(arrays))


@final
class _Hand:
    """Has batches made by one process of the pool at a time.

    Args:
        status: where the process that takes a batch writes its number, at `desk`.
    """

    def __init__(self, question: Question, remote: RemoteMaker, slots: SharedSlots, status: Segment, desk: int) -> None:
        self.remote = remote
        self._question = question
        self._desk = Desk(slots)
        self._status = _window(status)
        self._pid = status.memory.view(np.int64)[desk : desk + 1]
        self._number = desk

    @property
    def pid(self) -> int:
        """Of the process that took the last batch; 0 while none has."""
        return int(self._pid[0])

    def make(self, step: Step, out: Sequence[Array]) -> FillReport:
        """See `Hand.make`.

        Raises:
            WorkerError: the pool is over or does not answer, or its processes die of this batch.
        """
        spread = self._desk.spread(out) if out else None
        slot, places = (None, ()) if spread is None else (_window(spread.segment), tuple(spread.places))
        task = Task(self.remote, step, places, slot, self._status, self._number)
        for _ in range(DEATHS):
            report = self._asked(task)
            if report is not None:
                if spread is not None:
                    spread.fetch(out)
                return report
        raise WorkerError(
            f"{DEATHS} processes of the pool in a row died while they made {step}. One that was killed has often run "
            "out of memory: use fewer of them or smaller batches."
        )

    def stop(self) -> None:
        """See `Hand.stop`."""
        self._question.drop()

    def close(self) -> None:
        """See `Hand.close`."""
        self._desk.close()

    def _asked(self, task: Task) -> FillReport | None:
        """The report on a batch; None if its process has died, or Ctrl-C has reached it."""
        self._pid[0] = 0
        try:
            answer = self._question.ask(work, task, self._is_lost)
        except LostError:
            return None
        except PenstockError:
            raise
        except Exception as error:
            raise WorkerError(
                f"The pool could not make {task.step}: {type(error).__name__}: {str(error).rstrip('.')}. Its processes "
                "should run on this machine, as this user, and have penstock installed."
            ) from error
        report = understood(answer, int(self._pid[0]))
        return report if isinstance(report, FillReport) else None

    def _is_lost(self) -> bool:
        """Whether the process that has begun is gone."""
        pid = int(self._pid[0])
        try:
            if pid:
                os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def _window(segment: Segment | Slot) -> Window:
    return Window(os.getpid(), segment.descriptor, os.fstat(segment.descriptor).st_ino, segment.nbytes)

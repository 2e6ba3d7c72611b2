"""Batches in order, made ahead.

    get(position) ──> is it at the head of the queue?  no: drop the queue, begin there
          │
          ▼
       refill: as long as fewer than `depth` batches are under way, lease a slot and submit the next position
          │
          ▼
       wait for the head ── error ──> keep the step, raise; the next get makes it again
          │
          ▼
       pop, refill, hand over: the arrays are the caller's now, and their slot comes back when nothing refers to them

No thread of its own. The queue holds batches that follow one another; everything in it can be made again, so dropping
it or being interrupted anywhere loses nothing.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NamedTuple, final

from penstock._errors import FlowClosed, WorkerError
from penstock._pending import Pending
from penstock._types import Array, BatchMaker, BatchSpec, Executor, FillReport, Step, Trace, WorkerId
from penstock.feeding._batch import Batch
from penstock.feeding._group import SLOW_S, group_size, joined, parted, reports_of
from penstock.feeding._plan import Steps
from penstock.feeding._room import check_room
from penstock.feeding._slots import Lease, SlotPool
from penstock.feeding._stats import FeedStats
from penstock.feeding._tally import Tally
from penstock.feeding.executors._make import make

_MUCH_LARGER = 1.5  # than those for which there was room
_KEPT_BY_CALLER = 2  # batches a loop holds while it asks for the next: the last one, and one on its way to the device


class _Making(NamedTuple):
    """Somebody is at it, or was: alone, or as one of some batches that are made as one."""

    future: Pending[FillReport]
    together: int = 1


@dataclass
class _Entry:
    position: int
    shuffled: bool
    step: Step
    arrays: list[Array]
    making: _Making | None
    report: FillReport | None = None  # of one of some batches that were made as one


@final
class Feeder:
    """Hands out batches by position, with the next ones made ahead.

    Args:
        plan: who is in each batch.
        maker: makes a batch.
        executor: runs the maker; started here.
        max_queue_size: batches to have ready ahead, at least 1.
        max_queue_bytes: bound on their memory, or None; one batch is always allowed.
        timeout_s: how long to wait for a batch; None for ever.
        stats: counts to go on from.
        trace: spans for a profiler, around the consumer's wait for a batch.
    """

    def __init__(
        self,
        plan: Steps,
        maker: BatchMaker,
        executor: Executor,
        *,
        max_queue_size: int,
        max_queue_bytes: int | None = None,
        timeout_s: float | None = None,
        stats: FeedStats | None = None,
        trace: Trace = nullcontext,
    ) -> None:
        self.plan = plan
        self._maker = maker
        self._timeout_s = timeout_s
        self._trace = trace
        self._lock = threading.RLock()
        self._queue: deque[_Entry] = deque()
        self._closing = False
        self._process = os.getpid()
        self._stats = FeedStats() if stats is None else stats
        self._tally = Tally.of(self._stats)
        # Seconds waited, and since when one waits now: together, so that their sum is never seen to fall.
        self._waited: tuple[float, float | None] = self._stats.wait_s, None
        self._overflows_before = self._stats.overflows
        self._spec = maker.spec or BatchSpec(())  # of a batch
        self._batch_bytes = self._spec.nbytes
        self._knows_size = maker.spec is not None  # else the first batch tells it, and until then comes alone
        self._least_s = float("inf")  # that making a batch has taken, since one has taken long
        self._together = 1  # batches in a slot
        self._bounds = max_queue_size, max_queue_bytes
        self._pool = SlotPool(self._spec, 0)
        self._executor = executor
        self._checked_bytes = self.batch_bytes
        check_room(self._wanted_depth(), self.batch_bytes)
        executor.start(maker)
        self._begin()

    @property
    def depth(self) -> int:
        """Batches under way or ready and not yet delivered, at most."""
        return self._depth

    @property
    def batch_bytes(self) -> int:
        """Memory that a full batch takes, as far as it is known; 0 before the first one of an unknown size."""
        return max(self._batch_bytes, self._pool.slot_bytes // self._together)

    @property
    def peak_bytes(self) -> int:
        """Memory that batches made and not yet delivered take at most."""
        return self._depth * self.batch_bytes

    @property
    def worker_ids(self) -> Sequence[WorkerId]:
        """See `Executor.worker_ids`."""
        return self._executor.worker_ids

    @property
    def waits_for_lock(self) -> bool:
        """See `Executor.waits_for_lock`."""
        return self._executor.waits_for_lock

    @property
    def stats(self) -> FeedStats:
        """A snapshot of the counts."""
        futures = [entry.making.future for entry in tuple(self._queue) if entry.making is not None]
        waited_s, since_s = self._waited
        return replace(
            self._stats,
            **self._tally._asdict(),
            wait_s=waited_s + (0.0 if since_s is None else perf_counter() - since_s),
            ready=sum(future.done() for future in futures),
            busy=len({id(future) for future in futures if future.running()}),
            depth=self._depth,
            overflows=self._overflows_before + self._pool.overflows,
            peak_bytes=self.peak_bytes,
        )

    def check_caller(self) -> None:
        """Refuse a worker, which would wait for itself for ever; to be called before any lock is taken.

        Raises:
            RuntimeError: the caller is one of the workers.
        """
        if self._executor.is_worker():
            raise RuntimeError(
                "a function that a flow calls to make its batches asks the same flow for a batch; "
                "give it a flow of its own"
            )

    def resize(
        self,
        executor: Executor,
        *,
        max_queue_size: int,
        max_queue_bytes: int | None = None,
        timeout_s: float | None = None,
        is_started: bool = False,
    ) -> None:
        """Go on with another executor or other bounds; the stream does not change. If that fails, all is as before."""
        with self._lock:
            self._check_open()
            bounds, self._bounds = self._bounds, (max_queue_size, max_queue_bytes)
            try:
                check_room(self._wanted_depth(executor), self.batch_bytes, self._held_bytes)
                if not is_started:
                    executor.start(self._maker)
            except BaseException:
                self._bounds = bounds
                raise
            self._drop()
            before = self._executor
            try:
                self._executor = executor
                self._timeout_s = timeout_s
                if self._maker.spec is None:
                    self._spec = BatchSpec(())
                self._begin()
            finally:  # last: an interrupt in here finds the new one at work
                before.close()

    def set_workers(self, workers: int) -> None:
        """Go on with another number of workers, from 1 on, with all that is under way.

        Raises:
            NotImplementedError: there are none, or they are those of a user's pool.
        """
        with self._lock:
            self._check_open()
            self._executor.resize(workers)
            self._depth = self._wanted_depth()
            if self._wanted_together() == self._together:
                self._pool.resize(self._slots)
            else:
                self._begin()

    def renew(self) -> None:
        """The maker has changed: what was made ahead is forgotten, and workers take it as it is now."""
        with self._lock:
            self._check_open()
            self._drop()
            self._executor.renew(self._maker)

    def is_outdated(self) -> bool:
        """See `Executor.is_outdated`."""
        return self._executor.is_outdated(self._maker)

    def get(self, position: int, end: int | None = None, *, shuffled: bool = False) -> Batch:
        """The batch at `position` of the stream; those that follow it are made ahead.

        Args:
            position: from 0.
            end: make none from this position on ahead; None for no end.
            shuffled: see `Plan.step`.

        Raises:
            BatchError: the batch could not be made; asked for again, it is tried again.
            FlowClosed: the feeder is closed, or was while the batch was waited for.
            ValueError: batches turn out so large that the queue would take more memory than is free.
            WorkerError: this is a fork of the process that made the feeder.
        """
        with self._lock:
            self._check_open()
            if not self.is_next(position, shuffled=shuffled):
                self._drop()
            # Those that are made together come together: the others of them are there, and have been learnt from.
            report = self._queue[0].report if self._queue else None
            if report is None:
                waited_s, began = self._waited[0], perf_counter()
                self._waited = waited_s, began
                try:
                    with self._trace("penstock: wait"):
                        self._refill(position, end, shuffled, must=True)
                        report = self._wait(self._queue[0])
                        self._learn(report)
                finally:  # also where it fails
                    self._waited = waited_s + perf_counter() - began, None
            # Only once it is there: an interrupt while waiting loses nothing.
            entry = self._queue.popleft()
            if self._executor.workers:
                self._refill(position + 1, end, shuffled, must=False)
            self._count(entry.step, report)
            return Batch.of(entry.step, entry.arrays, report)

    def is_next(self, position: int, *, shuffled: bool = False) -> bool:
        """Whether the batch at `position` is the next one in the queue."""
        with self._lock:
            return bool(self._queue) and (self._queue[0].position, self._queue[0].shuffled) == (position, shuffled)

    def look_ahead(self, position: int, end: int) -> None:
        """Begin to make the batches from `position` to before `end`."""
        with self._lock:
            self._check_open()
            if not self.is_next(position):
                self._drop()
            if self._executor.workers:
                self._refill(position, end, False, must=False)

    def make(self, position: int) -> Batch:
        """The batch at `position`, made here and now beside the queue."""
        return self.make_step(self.plan.step(position))

    def make_step(self, step: Step) -> Batch:
        """A batch of any samples, made here and now beside the queue."""
        with self._lock:
            self._check_open()
        rows = len(step.indices)
        pool = SlotPool(BatchSpec(()) if self._maker.spec is None else self._maker.spec.with_rows(rows), 0)
        arrays = pool.arrays(pool.fresh(), rows)
        began = perf_counter()
        with self._trace("penstock: wait"):
            report = make(self._maker, step, arrays)
        with self._lock:
            self._waited = self._waited[0] + perf_counter() - began, None
            self._count(step, report)
        return Batch.of(step, arrays, report)

    def dismiss(self) -> None:
        """Let workers finish what they are at, and nothing else: the first half of `close`, which waits for that."""
        self._closing = True
        for entry in tuple(self._queue):  # no lock: a thread that waits for one of them holds it, and is to be woken
            if entry.making is not None:
                entry.making.future.ring()
        with self._lock:
            self._drop()

    def close(self) -> None:
        """End the workers and free the slots; may be called twice, and while another thread waits for a batch."""
        self.dismiss()
        with self._lock:
            self._executor.close()
            self._overflows_before += self._pool.overflows
            self._pool = SlotPool(self._spec, 0)

    def _check_open(self) -> None:
        if self._closing:
            raise FlowClosed("this flow is closed; make a new one to go on")
        if os.getpid() != self._process:
            raise WorkerError("this flow belongs to the process that this one was forked from; make a new flow here")

    def _begin(self) -> None:
        self._depth = self._wanted_depth()
        self._together = self._wanted_together()
        self._overflows_before += self._pool.overflows
        spec = self._spec
        if self._together > 1:
            spec = spec.with_rows(self._together * spec.arrays[0].shape[0])
        self._pool = SlotPool(spec, self._slots, self._executor.allocate)

    @property
    def _slots(self) -> int:
        return -(-self._depth // self._together) + _KEPT_BY_CALLER

    def _wanted_together(self) -> int:
        """Batches to make as one, with the depth and the workers of now."""
        if not self._maker.is_joinable:
            return 1
        return group_size(self._spec, self._least_s, self._depth, self._executor.workers)

    def _wanted_depth(self, executor: Executor | None = None, batch_bytes: int | None = None) -> int:
        """Batches to have under way or ready: now, with another executor, or once batches are known to be so large."""
        max_queue_size, max_queue_bytes = self._bounds
        workers = (executor or self._executor).workers
        depth = max(max_queue_size, workers) if workers else 1
        # The first batch is handed over once all have been begun: not a billion of a small set's, epochs ahead.
        depth = min(depth, max(2 * self.plan.steps_per_epoch, workers, 1))
        if max_queue_bytes is not None:
            fits = max_queue_bytes // max(1, batch_bytes or self.batch_bytes)
            depth = max(1, min(depth, fits)) if self._knows_size or batch_bytes is not None else 1
        return depth

    @property
    def _held_bytes(self) -> int:
        """Memory that batches under way or ready take by now."""
        return max(self._pool.nbytes, len(self._queue) * self._batch_bytes)

    def _learn(self, report: FillReport) -> None:
        """Make slots for batches such as this one: which takes so little time, or which was in none.

        The first may be smaller than others.
        """
        if self._maker.is_joinable and report.samples == self._spec.arrays[0].shape[0]:
            taken_s = sum(report.seconds.values())
            if taken_s < self._least_s or taken_s > SLOW_S:
                self._least_s = taken_s
                if self._wanted_together() != self._together:
                    self._begin()
        if report.objects == []:  # the end of a generator
            return
        spec = None if report.objects is None else BatchSpec.of(report.objects)
        if spec is None or spec.nbytes <= self._batch_bytes:
            if not self._knows_size:
                self._knows_size = True
                self._begin()
            return
        if spec.nbytes > _MUCH_LARGER * self._checked_bytes:  # ragged batches grow bit by bit
            check_room(self._wanted_depth(batch_bytes=spec.nbytes), spec.nbytes, self._held_bytes)
            self._checked_bytes = spec.nbytes
        self._knows_size = True
        grows = bool(self._spec.arrays)
        self._batch_bytes = spec.nbytes
        if self._executor.is_elsewhere:
            # Batches that grow bit by bit should not have slots made anew each time.
            rows = max((array.shape[0] for array in spec.arrays), default=1)
            same = all(array.shape[0] == rows for array in spec.arrays)
            self._spec = spec.with_rows(rows + rows // 2) if grows and same else spec
        self._begin()

    def _refill(self, position: int, end: int | None, shuffled: bool, *, must: bool) -> None:
        following = self._queue[-1].position + 1 if self._queue else position
        while True:
            count = self._together if end is None else min(self._together, end - following)
            if count < 1 or len(self._queue) + count > self._depth:
                break
            lease = self._pool.lease_at_last() if must and not self._queue else self._pool.lease_ahead()
            if lease is None:
                break
            steps = [self.plan.step(following + k, shuffled=shuffled) for k in range(count)]
            self._queue.extend(self._submitted(following, shuffled, steps, lease))
            following = self._queue[-1].position + 1
            if not self._executor.workers:
                break

    def _submitted(self, position: int, shuffled: bool, steps: Sequence[Step], lease: Lease) -> list[_Entry]:
        """The first of some batches under way: as many as can be made as one."""
        step, count = joined(steps)
        arrays = self._pool.arrays(lease, None if self._maker.spec is None else len(step.indices))
        future = self._executor.submit(step, arrays)
        if count == 1:
            return [_Entry(position, shuffled, step, arrays, _Making(future))]
        steps, making = steps[:count], _Making(future, count)
        return [
            _Entry(position + number, shuffled, step, own, making)
            for number, (step, own) in enumerate(zip(steps, parted(arrays, steps), strict=True))
        ]

    def _wait(self, entry: _Entry) -> FillReport:
        while entry.report is None:
            if entry.making is None:
                entry.making = _Making(self._executor.submit(entry.step, entry.arrays))
            future, together = entry.making
            patience_s = None if self._timeout_s is None else together * self._timeout_s
            while not self._closing and not future.done():
                if not future.wait(patience_s):
                    raise WorkerError(
                        f"{entry.step} has not come for {patience_s:g} s: {self._executor.why_silent} "
                        "The next call waits for it again; if it needs longer, raise `timeout`."
                    )
            if self._closing or future.cancelled():
                raise FlowClosed("this flow was closed while a batch was waited for")
            try:
                report = future.result()
            except BaseException as error:
                # An interrupt leaves the worker at it; only what has failed is made again.
                if future.done():
                    entry.making = None
                if together == 1 or not isinstance(error, Exception):
                    raise
            else:
                if together == 1:
                    return report
                entries = [each for each in self._queue if each.making is entry.making]
                reports = reports_of(report, [each.step for each in entries])
                if reports is None:
                    entry.making = None  # alone, it tells what is wrong with which batch
                    continue
                # The next one last: after an interrupt in here it divides the report among all of them again.
                for each, its in zip(reversed(entries), reversed(reports), strict=True):
                    each.report = its
        return entry.report

    def _drop(self) -> None:
        """Forget batches; one that a worker is at keeps its slot until the worker is done."""
        dropped = len(self._queue)
        while self._queue:
            making = self._queue.pop().making
            if making is not None:
                making.future.cancel()
        if dropped and not self._closing:
            self._stats = replace(self._stats, dropped=self._stats.dropped + dropped)

    def _count(self, step: Step, report: FillReport) -> None:
        self._tally = self._tally.plus(step, report)
        if report.bad:
            stats = self._stats
            known = {sample.index for sample in stats.bad}
            self._stats = replace(
                stats,
                bad_samples=stats.bad_samples + len(report.bad),
                bad=stats.bad + tuple(sample for sample in report.bad if sample.index not in known),
            )

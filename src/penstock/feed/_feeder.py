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

import threading
from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from time import perf_counter
from typing import final

from penstock._errors import FlowClosed
from penstock._types import Array, BatchMaker, Executor, FillReport, Step
from penstock.feed._plan import Plan
from penstock.feed._slots import Lease, SlotPool
from penstock.feed._stats import FeedStats
from penstock.feed.executors._make import make

_KEPT_BY_CALLER = 2  # batches a loop holds while it asks for the next: the last one, and one on its way to the device


@dataclass
class _Entry:
    position: int
    step: Step
    arrays: list[Array]
    future: Future[FillReport] | None


@final
class Feeder:
    """Hands out batches by position, with the next ones made ahead.

    Args:
        plan: who is in each batch.
        maker: makes a batch.
        executor: runs the maker; started here.
        max_queue_size: batches to have ready ahead, at least 1.
        max_queue_bytes: bound on their memory, or None; one batch is always allowed.
    """

    def __init__(
        self,
        plan: Plan,
        maker: BatchMaker,
        executor: Executor,
        *,
        max_queue_size: int,
        max_queue_bytes: int | None = None,
    ) -> None:
        self.plan = plan
        self._maker = maker
        self._lock = threading.RLock()
        self._queue: deque[_Entry] = deque()
        self._closed = False
        self._stats = FeedStats()
        self._overflows_before = 0
        self._pool = SlotPool(maker.spec, 0)
        self._executor = executor
        self._begin(max_queue_size, max_queue_bytes)

    @property
    def depth(self) -> int:
        """Batches under way or ready and not yet delivered, at most."""
        return self._depth

    @property
    def peak_bytes(self) -> int:
        """Memory that batches made and not yet delivered take at most."""
        return self._depth * self._pool.slot_bytes

    @property
    def stats(self) -> FeedStats:
        """A snapshot of the counts."""
        return replace(
            self._stats,
            ready=sum(entry.future is not None and entry.future.done() for entry in tuple(self._queue)),
            overflows=self._overflows_before + self._pool.overflows,
            peak_bytes=self.peak_bytes,
        )

    def resize(self, executor: Executor, *, max_queue_size: int, max_queue_bytes: int | None = None) -> None:
        """Go on with another executor or another bound; the stream does not change."""
        with self._lock:
            self._drop()
            self._executor.close()
            self._executor = executor
            self._begin(max_queue_size, max_queue_bytes)

    def get(self, position: int, end: int | None = None) -> tuple[Step, list[Array]]:
        """The batch at `position` of the stream; those that follow it are made ahead.

        Args:
            position: from 0.
            end: make none from this position on ahead; None for no end.

        Raises:
            BatchError: the batch could not be made; asked for again, it is tried again.
            FlowClosed: the feeder is closed.
        """
        with self._lock:
            if self._closed:
                raise FlowClosed("this flow is closed; make a new one to go on")
            if self._queue and self._queue[0].position != position:
                self._drop()
            self._refill(position, end, must=True)
            entry = self._queue[0]  # popped only once it is there: an interrupt while waiting loses nothing
            began = perf_counter()
            report = self._wait(entry)
            waited_s = perf_counter() - began
            self._queue.popleft()
            if self._executor.workers:
                self._refill(position + 1, end, must=False)
            self._count(report, waited_s)
            return entry.step, entry.arrays

    def is_next(self, position: int) -> bool:
        """Whether the batch at `position` is the next one in the queue."""
        with self._lock:
            return bool(self._queue) and self._queue[0].position == position

    def look_ahead(self, position: int, end: int) -> None:
        """Begin to make the batches from `position` to before `end`."""
        with self._lock:
            if self._queue and self._queue[0].position != position:
                self._drop()
            if self._executor.workers and not self._closed:
                self._refill(position, end, must=False)

    def make(self, position: int) -> tuple[Step, list[Array]]:
        """The batch at `position`, made here and now beside the queue."""
        with self._lock:
            if self._closed:
                raise FlowClosed("this flow is closed; make a new one to go on")
            step = self.plan.step(position)
            arrays = self._pool.arrays(self._pool.fresh(), len(step.indices))
        make(self._maker, step, arrays)
        return step, arrays

    def close(self) -> None:
        """End the workers and free the slots; may be called twice."""
        with self._lock:
            self._closed = True
            self._drop()
            self._executor.close()

    def _begin(self, max_queue_size: int, max_queue_bytes: int | None) -> None:
        depth = max(max_queue_size, self._executor.workers) if self._executor.workers else 1
        if max_queue_bytes is not None:
            depth = max(1, min(depth, max_queue_bytes // max(1, self._pool.slot_bytes)))
        self._depth = depth
        self._overflows_before += self._pool.overflows
        self._pool = SlotPool(self._maker.spec, depth + _KEPT_BY_CALLER)
        self._executor.start(self._maker)

    def _refill(self, position: int, end: int | None, *, must: bool) -> None:
        following = self._queue[-1].position + 1 if self._queue else position
        while len(self._queue) < self._depth and (end is None or following < end):
            lease = self._pool.lease_at_last() if must and not self._queue else self._pool.lease()
            if lease is None:
                break
            self._queue.append(self._submitted(following, lease))
            following += 1
            if not self._executor.workers:
                break

    def _submitted(self, position: int, lease: Lease) -> _Entry:
        step = self.plan.step(position)
        arrays = self._pool.arrays(lease, len(step.indices))
        return _Entry(position, step, arrays, self._executor.submit(step, arrays))

    def _wait(self, entry: _Entry) -> FillReport:
        if entry.future is None:
            entry.future = self._executor.submit(entry.step, entry.arrays)
        try:
            return entry.future.result()
        except CancelledError:
            raise FlowClosed("this flow was closed while a batch was waited for") from None
        except BaseException:
            # An interrupt leaves the worker at it; only what has failed is made again.
            if entry.future.done():
                entry.future = None
            raise

    def _drop(self) -> None:
        """Forget batches; one that a worker is at keeps its slot until the worker is done."""
        dropped = len(self._queue)
        while self._queue:
            future = self._queue.pop().future
            if future is not None:
                future.cancel()
        if dropped and not self._closed:
            self._stats = replace(self._stats, dropped=self._stats.dropped + dropped)

    def _count(self, report: FillReport, waited_s: float) -> None:
        stats = self._stats
        make_s = dict(stats.make_s)
        for stage, seconds in report.seconds.items():
            make_s[stage] = make_s.get(stage, 0.0) + seconds
        self._stats = replace(
            stats,
            batches=stats.batches + 1,
            samples=stats.samples + report.samples,
            wait_s=stats.wait_s + waited_s,
            make_s=make_s,
        )

"""What executors with a crew have in common."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence

from penstock._pending import Pending
from penstock._types import Array, BatchMaker, FillReport, Step
from penstock.feeding.executors._crew import Crew, Hand


class CrewExecutor:
    """Threads that end with `close()`, at garbage collection, or before the interpreter does.

    Args:
        workers: batches made at a time.
        at_end: frees what the threads have needed; perhaps called more than once, and by several threads.
    """

    def __init__(self, workers: int, at_end: Callable[[], None] | None = None) -> None:
        self.workers = workers
        self._crew = Crew(at_end)
        self._at_end = at_end
        # A collection may run anywhere, in a worker or under a lock that a worker waits for: signal, do not join.
        weakref.finalize(self, self._crew.dismiss).atexit = False

    def is_worker(self) -> bool:
        """See `Executor.is_worker`; a worker process has no flow to ask."""
        return self._crew.has(threading.current_thread())

    @property
    def waits_for_lock(self) -> bool:
        """See `Executor.waits_for_lock`."""
        return False

    def submit(self, step: Step, out: Sequence[Array]) -> Pending[FillReport]:
        """See `Executor.submit`."""
        return self._crew.submit(step, out)

    def resize(self, workers: int) -> None:
        """See `Executor.resize`."""
        if workers > self.workers:
            self._crew.start(self._hired(workers - self.workers))
            self.workers = workers
        else:
            # First: an interrupt leaves some too many at work, and never none.
            surplus, self.workers = self.workers - workers, workers
            self._crew.leave(surplus)

    def is_outdated(self, maker: BatchMaker) -> bool:
        """See `Executor.is_outdated`."""
        del maker
        return False

    def _hired(self, hands: int) -> Sequence[Hand]:
        """So many more hands."""
        raise NotImplementedError

    def close(self) -> None:
        """See `Executor.close`; what is not waited for any longer is freed all the same."""
        self._crew.end()
        if self._at_end is not None:
            self._at_end()

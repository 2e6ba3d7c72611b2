"""Batches made by threads of this process."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import NamedTuple, final

from penstock._types import Array, BatchMaker, FillReport, Step
from penstock.feed.executors._make import make

_JOIN_S = 5.0  # a user's function that never returns must not keep the interpreter from ending


class _Task(NamedTuple):
    maker: BatchMaker
    step: Step
    out: Sequence[Array]
    future: Future[FillReport]


@final
class ThreadExecutor:
    """A fixed number of threads that end with `close()`, at garbage collection, or before the interpreter does.

    `concurrent.futures.ThreadPoolExecutor` would make every batch still in its queue before the interpreter may end.

    Args:
        workers: threads, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._maker: BatchMaker | None = None
        self._crew = _Crew()
        # A collection may run anywhere, in a worker or under a lock that a worker waits for: signal, do not join.
        weakref.finalize(self, self._crew.dismiss).atexit = False

    def is_worker(self) -> bool:
        """See `Executor.is_worker`."""
        return self._crew.has(threading.current_thread())

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self._maker = maker
        self._crew.start(self.workers)

    def submit(self, step: Step, out: Sequence[Array]) -> Future[FillReport]:
        """See `Executor.submit`."""
        assert self._maker is not None, "start() comes first"
        future: Future[FillReport] = Future()
        if self._crew.dismissed:
            future.cancel()
            return future
        self._crew.tasks.put(_Task(self._maker, step, out, future))
        return future

    def close(self) -> None:
        """See `Executor.close`."""
        self._crew.end()


@final
class _Crew:
    """The threads and what they share. It does not know the executor, which can so be collected."""

    def __init__(self) -> None:
        self.tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self.dismissed = False
        self._threads: list[threading.Thread] = []
        self._present = 0
        self._lock = threading.Lock()

    def start(self, count: int) -> None:
        # Daemon threads, since the interpreter joins others before it lets anyone tell them to stop. Told to stop and
        # joined at its end, so that none comes back from a kernel to an interpreter that is gone.
        atexit.register(self.end)
        self._present = count
        for number in range(count):
            thread = threading.Thread(target=self._work, name=f"penstock-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def has(self, thread: threading.Thread) -> bool:
        return thread in self._threads

    def dismiss(self) -> None:
        """Let each thread finish the batch it is at, and cancel the rest; takes no lock."""
        self.dismissed = True
        for _ in self._threads:
            self.tasks.put(None)

    def end(self) -> None:
        """Dismiss the threads and wait for them."""
        self.dismiss()
        deadline = time.monotonic() + _JOIN_S
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while True:
            task = self.tasks.get()
            if task is None:
                break
            if self.dismissed:
                task.future.cancel()
            elif task.future.set_running_or_notify_cancel():
                try:
                    task.future.set_result(make(task.maker, task.step, task.out))
                except BaseException as error:
                    task.future.set_exception(error)
            # Waiting for the next task must not keep this one's slot.
            del task
        with self._lock:
            self._present -= 1
            last = self._present == 0
        if last:
            atexit.unregister(self.end)

"""A pool that the user has opened, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import Any, final

from penstock._errors import FlowClosed, WorkerError
from penstock._pending import Pending

_LOOK_S = 1.0  # between two looks at a pool that does not answer
WHY_SILENT = (
    "the pool's workers are busy with other work, or stuck, or one was killed at a moment after which "
    "multiprocessing.Pool never answers again: open another pool then."
)
_CLOSED = "this flow was closed while a batch was made"


@final
class UsersPool:
    """A `multiprocessing.Pool` or a `concurrent.futures.Executor`, or what has the methods of one of these.

    It is never closed here.

    Args:
        pool: an open one.

    Raises:
        TypeError: it is none.
    """

    def __init__(self, pool: Any) -> None:
        if not callable(getattr(pool, "apply_async", None)) and not callable(getattr(pool, "submit", None)):
            raise TypeError(
                "`pool` should be an open multiprocessing.Pool or concurrent.futures.Executor. "
                f"Received: {type(pool).__name__}"
            )
        self._pool = pool
        self.has_threads = isinstance(pool, ThreadPool | ThreadPoolExecutor)

    @property
    def workers(self) -> int | None:
        """How many it has; None if it does not say."""
        # Both keep it under a name that has not changed since Python 3.2, and neither has a public one.
        for name in ("_processes", "_max_workers"):
            if isinstance(count := getattr(self._pool, name, None), int) and count > 0:
                return count
        return None

    def submit(self, function: Callable[[Any], Any], argument: Any, answer: Pending[Any]) -> None:
        """Have a function called by a worker.

        Args:
            answer: gets what it returns, or how it failed.

        Raises:
            WorkerError: the pool takes nothing any more.
        """
        try:
            if callable(getattr(self._pool, "apply_async", None)):
                done, failed = partial(_settle, answer.set_result), partial(_settle, answer.set_exception)
                self._pool.apply_async(function, (argument,), callback=done, error_callback=failed)
            else:
                self._pool.submit(function, argument).add_done_callback(partial(_pass_on, answer))
        except (ValueError, RuntimeError, AttributeError) as error:  # by kind of pool, and by how it ended
            raise _over(str(error)) from error

    def check(self) -> None:
        """Say whether answers can still come.

        Raises:
            WorkerError: it was terminated, and those who wait for it would do so for ever.
        """
        # `terminate` lets tasks under way unanswered, and no public name says that it was called.
        if getattr(self._pool, "_state", None) == "TERMINATE":
            raise _over("it was terminated")


@final
class Question:
    """One task of a pool at a time, waited for as long as an answer may still come.

    There is no limit of time: a task that is given up and asked for again would leave two that write to the same place.
    """

    def __init__(self, pool: UsersPool) -> None:
        self._pool = pool
        self._answer: Pending[Any] | None = None
        self.is_dropped = False

    def ask(self, function: Callable[[Any], Any], argument: Any, is_lost: Callable[[], bool] = bool) -> Any:
        """What a function returns in the pool.

        Args:
            is_lost: whether the worker that took the task is gone; it has to be so at two looks, since an answer may be
                on its way.

        Raises:
            LostError: it is, and there was no answer.
            WorkerError: the pool is over.
            FlowClosed: `drop` was called.
        """
        answer: Pending[Any] = Pending()
        self._answer = answer
        if self.is_dropped:
            raise FlowClosed(_CLOSED)
        self._pool.submit(function, argument, answer)
        was_lost = False
        while not answer.done():
            if answer.wait(_LOOK_S):
                continue
            if self.is_dropped:  # before there was anything to cancel
                raise FlowClosed(_CLOSED)
            self._pool.check()
            now_lost = is_lost()
            if now_lost and was_lost:
                raise LostError
            was_lost = now_lost
        try:
            return answer.result()
        except CancelledError:
            raise FlowClosed(_CLOSED) from None

    def drop(self) -> None:
        """Let `ask` end, now and from now on; any thread may call it, but no finalizer: it takes the answer's lock."""
        self.is_dropped = True
        answer = self._answer
        if answer is not None:
            answer.cancel()  # an error would keep the frames that it went through, for as long as the pool has the task


class LostError(Exception):
    """The worker that took a task is gone, and will not answer."""


def _settle(setter: Callable[[Any], None], value: Any) -> None:
    with suppress(InvalidStateError):  # given up meanwhile
        setter(value)


def _pass_on(answer: Pending[Any], source: Future[Any]) -> None:
    if source.cancelled():
        _settle(answer.set_exception, _over("it has cancelled what was under way"))
    elif (error := source.exception()) is not None:
        _settle(answer.set_exception, error)
    else:
        _settle(answer.set_result, source.result())


def _over(why: str) -> WorkerError:
    return WorkerError(f"The pool that makes this flow's batches is over: {why}. Make a flow with a pool that is open.")

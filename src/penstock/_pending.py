"""What another thread will have made."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, InvalidStateError
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar, final

T = TypeVar("T")


@final
class Pending(Generic[T]):
    """A `concurrent.futures.Future` that bears Ctrl-C wherever it comes.

    Python's own takes its lock in Python: an interrupt after that and before the `with` block leaves it locked, and
    whoever makes the result waits for ever. Here all that waits or locks is one call into C.

    One thread at a time may wait.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()  # a ring for each change; one too many does no harm
        self._is_begun = self._is_cancelled = self._is_done = False
        self._result: T
        self._error: BaseException | None = None

    def done(self) -> bool:
        """Whether there is a result, an error, or neither to come."""
        return self._is_done

    def running(self) -> bool:
        """Whether it has been begun, and is not done."""
        return self._is_begun and not self._is_done

    def cancelled(self) -> bool:
        """Whether it was given up before it was begun."""
        return self._is_cancelled

    def wait(self, timeout_s: float | None = None) -> bool:
        """Until it is done, somebody rings, or the time is over; returns whether it was one of the first two."""
        if not self._is_done:
            try:
                self._bell.get(timeout=timeout_s)
            except Empty:
                return self._is_done
        return True

    def ring(self) -> None:
        """Wake who waits, as there is something to look at elsewhere."""
        self._bell.put(None)

    def result(self, timeout_s: float | None = None) -> T:
        """What was made, once it is.

        Raises:
            TimeoutError: it has not come.
            CancelledError: it was given up.
        """
        while not self._is_done:
            if not self.wait(timeout_s):
                raise TimeoutError
        if self._is_cancelled:
            raise CancelledError
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> bool:
        """Give it up, if it has not been begun; returns whether it is given up."""
        with self._lock:
            if not self._is_begun and not self._is_done:
                self._is_cancelled = self._is_done = True
        self._bell.put(None)
        return self._is_cancelled

    def set_running_or_notify_cancel(self) -> bool:
        """Begin it; returns False if it was given up."""
        with self._lock:
            self._is_begun = not self._is_done
        return self._is_begun

    def set_result(self, result: T) -> None:
        """It is made.

        Raises:
            InvalidStateError: it was given up.
        """
        self._settle(None, result)

    def set_exception(self, error: BaseException) -> None:
        """It has failed.

        Raises:
            InvalidStateError: it was given up.
        """
        self._settle(error)

    def _settle(self, error: BaseException | None, *result: T) -> None:
        with self._lock:
            if self._is_done:
                raise InvalidStateError
            if error is None:
                (self._result,) = result
            self._error = error
            self._is_done = True  # last: it is read without the lock
        self._bell.put(None)

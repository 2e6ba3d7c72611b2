"""Threads that take one batch after the other from a queue, each by a hand of its own."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from queue import SimpleQueue
from typing import NamedTuple, Protocol, final

from penstock._pending import Pending
from penstock._types import Array, FillReport, Step

_STOP_AGAIN_S = 0.2
_JOIN_S = 5.0  # a user's function that never returns must not keep the interpreter from ending


class Hand(Protocol):
    """What one thread of a crew makes batches with."""

    def make(self, step: Step, out: Sequence[Array]) -> FillReport:
        """Make one batch into `out`."""
        ...

    def stop(self) -> None:
        """Let a `make` that is under way end soon, if that can be; called by any thread, and often, takes no lock."""
        ...

    def close(self) -> None:
        """Free everything; the last call, by the thread that called `make`."""
        ...


class _Task(NamedTuple):
    step: Step
    out: Sequence[Array]
    future: Pending[FillReport]


class _Word(Enum):
    """What is said in the place of a task."""

    LEAVE = "one of you may go"
    END = "all of you, when you come to this"


@final
class Crew:
    """Some threads that end when told to, or before the interpreter does.

    It does not know the executor that it belongs to, which can so be collected. `concurrent.futures` would make every
    batch still in its queue before the interpreter may end.

    Args:
        at_end: called when the last thread has left; perhaps more than once.
    """

    def __init__(self, at_end: Callable[[], None] | None = None) -> None:
        self._at_end = at_end
        self.dismissed = False
        self._tasks: SimpleQueue[_Task | _Word] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._hands: list[Hand] = []
        self._present = 0
        self._lock = threading.Lock()

    def start(self, hands: Sequence[Hand]) -> None:
        """Begin to work, with a thread for each hand; later, with more of them.

        Raises:
            RuntimeError: the system allows no more threads; those that had begun have ended, if there were none before.
        """
        # Daemon threads, since the interpreter joins others before it lets anyone tell them to stop. Told to stop and
        # joined at its end, so that none comes back from a kernel to an interpreter that is gone.
        is_first, begun = not self._threads, 0
        self._hands.extend(hands)
        try:
            if is_first:
                atexit.register(self.end)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            for number, hand in enumerate(hands, len(self._threads)):
                thread = threading.Thread(target=self._work, args=(hand,), name=f"penstock-{number}", daemon=True)
                # First: an interrupt does not say whether it has begun.
                self._threads.append(thread)
                thread.start()
                begun += 1
        except BaseException:  # RuntimeError where a container has a limit of them
            if is_first:
                self.end()
            else:  # as many as before go on
                self.leave(begun)
                with self._lock:
                    for hand in hands[begun:]:
                        self._hands.remove(hand)
            raise

    def submit(self, step: Step, out: Sequence[Array]) -> Pending[FillReport]:
        """Have a batch made into `out`."""
        future: Pending[FillReport] = Pending()
        if self.dismissed:
            future.cancel()
        else:
            self._tasks.put(_Task(step, out, future))
        return future

    def leave(self, hands: int) -> None:
        """Let so many of the threads go, each as soon as it comes to this among what is to be made."""
        for _ in range(hands):
            self._tasks.put(_Word.LEAVE)

    def has(self, thread: threading.Thread) -> bool:
        """Whether a thread belongs to this crew."""
        return thread in self._threads

    @property
    def thread_ids(self) -> list[int]:
        """The system's numbers of the threads that are at work."""
        return [number for thread in self._threads if thread.is_alive() and (number := thread.native_id) is not None]

    def dismiss(self) -> None:
        """Let each thread finish the batch it is at, and cancel the rest; takes no lock."""
        self.dismissed = True
        self._tasks.put(_Word.END)  # which each passes on to the next

    def end(self) -> None:
        """Dismiss the threads and wait for them."""
        self.dismiss()
        deadline = time.monotonic() + _JOIN_S
        others = [thread for thread in self._threads if thread is not threading.current_thread()]
        while True:
            # Again and again: one that has just taken a batch may not have begun what can be stopped.
            for hand in tuple(self._hands):
                hand.stop()
            again = min(deadline, time.monotonic() + _STOP_AGAIN_S)
            for thread in others:
                if thread.ident is not None:
                    thread.join(max(0.0, again - time.monotonic()))
            if again == deadline or not any(thread.is_alive() for thread in others):
                break
        self._end_if_over()

    def _work(self, hand: Hand) -> None:
        with self._lock:
            self._present += 1
        try:
            while True:
                task = self._tasks.get()
                if task is _Word.LEAVE:
                    break
                if isinstance(task, _Word):
                    self._tasks.put(task)  # for the next
                    break
                if self.dismissed:
                    task.future.cancel()
                elif task.future.set_running_or_notify_cancel():
                    try:
                        task.future.set_result(hand.make(task.step, task.out))
                    except BaseException as error:
                        task.future.set_exception(error)
                # Waiting for the next task must not keep this one's slot.
                del task
        finally:
            hand.close()
            with self._lock:
                self._present -= 1
                self._hands.remove(hand)
            self._end_if_over()

    def _end_if_over(self) -> None:
        """With its last thread the crew is over. One that comes later, since it was slow to begin, leaves at once."""
        if self.dismissed and self._present == 0:
            atexit.unregister(self.end)
            if self._at_end is not None:
                self._at_end()

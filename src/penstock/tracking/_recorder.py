"""The program's end of the pipe: tells what happens, and waits for nobody."""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import IO, final

from penstock.tracking._messages import Answer, Began, Begin, End, Message, Trouble

PATIENCE_S = 30.0  # for what is still to be written when the run is over
_JOIN_S = 5.0
_PROGRAM = "import sys; sys.path[:] = eval(sys.argv[1]); from penstock.tracking._scribe import main; main()"

Later = Callable[[], Message]  # what takes a while to find out, and is found out in the thread that sends


@final
class Recorder:
    """Starts a process that writes into a store, and sends it messages, by a thread.

    Whatever goes wrong there ends in `troubles`, and nowhere else. When nothing refers to this any more before the run
    has ended, it ends as `at_loss` says; so it does when the interpreter ends, which waits for the process for a while.

    Args:
        begin: the first message, or a function that makes it.
        at_loss: what becomes of a run that nobody has ended.
        patience_s: how long to wait for the process at the end.
        command: that starts it, for tests.
    """

    def __init__(
        self,
        begin: Begin | Callable[[], Begin],
        at_loss: Callable[[], End],
        patience_s: float = PATIENCE_S,
        command: Sequence[str] | None = None,
    ) -> None:
        self._patience_s = patience_s
        self._line = _Line(_command() if command is None else list(command), begin, at_loss, patience_s)
        self._lost = weakref.finalize(self, self._line.lose)
        self._lost.atexit = False  # the line sees to that itself, and waits

    def send(self, message: Message | Later) -> None:
        """Returns at once."""
        self._line.put(message)

    def end(self, end: End) -> None:
        """The run is over: wait until all is written, for as long as there is patience."""
        if self._lost.detach() is not None:
            self._line.put(end)
            self._line.close(self._patience_s)

    @property
    def has_ended(self) -> bool:
        """Whether the run is over."""
        return not self._lost.alive

    def lose(self) -> None:
        """End it now, and do not wait: from a finalizer, which may run anywhere."""
        self._lost()

    def run_id(self, timeout_s: float) -> str | None:
        """The store's word for the run, once it has one."""
        self._line.has_begun.wait(timeout_s)
        began = self._line.began
        return None if began is None else began.run

    @property
    def store(self) -> str | None:
        """The store's address, once it is open."""
        began = self._line.began
        return None if began is None else began.store

    @property
    def troubles(self) -> Sequence[str]:
        """What could not be recorded, in the order in which it was found out."""
        return tuple(self._line.troubles)


@final
class _Line:
    """The process and the threads that talk with it, which do not know the recorder that they belong to."""

    def __init__(
        self, command: list[str], begin: Begin | Callable[[], Begin], at_loss: Callable[[], End], patience_s: float
    ) -> None:
        self.began: Began | None = None
        self.has_begun = threading.Event()  # or never will
        self.troubles: list[str] = []
        self._at_loss, self._patience_s = at_loss, patience_s
        self._queue: queue.SimpleQueue[Message | Later | None] = queue.SimpleQueue()
        # In a session of its own, where Ctrl-C does not reach it: it is told what happens.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._sender = self._started(self._send, self._process.stdin)
        self._reader = self._started(self._read, self._process.stdout)
        self._queue.put(begin)
        atexit.register(self._at_exit)

    def put(self, message: Message | Later | None) -> None:
        """A queue that may be put to from a finalizer, which may run in the midst of another put."""
        self._queue.put(message)

    def lose(self) -> None:
        """Nobody is left to end the run."""
        self._queue.put(self._at_loss())
        self._queue.put(None)

    def close(self, patience_s: float) -> None:
        """Wait for the process, and end it if that takes too long; may be called twice."""
        self._queue.put(None)
        until_s = perf_counter() + patience_s
        self._sender.join(patience_s)  # it may be at something that takes long to find out
        try:
            self._process.wait(max(0.0, until_s - perf_counter()))
        except subprocess.TimeoutExpired:
            self.troubles.append(f"the store has not answered for {patience_s:g} s, so the record is not complete")
        finally:  # also after Ctrl-C
            if self._process.poll() is None:
                self._process.kill()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_JOIN_S)
            self._reader.join(_JOIN_S)
            atexit.unregister(self._at_exit)

    def _at_exit(self) -> None:
        self.lose()  # after an end, nobody reads it
        self.close(self._patience_s)

    def _started(self, work: Callable[[IO[bytes]], None], pipe: IO[bytes]) -> threading.Thread:
        thread = threading.Thread(target=work, args=(pipe,), name="penstock-tracker", daemon=True)
        thread.start()
        return thread

    def _send(self, pipe: IO[bytes]) -> None:
        with suppress(OSError), pipe:  # that it has gone, the other thread sees
            while (message := self._queue.get()) is not None:
                try:
                    ready = message() if callable(message) else message
                    content = pickle.dumps(ready)
                except Exception as error:
                    self.troubles.append(f"{type(error).__name__}: {error}")
                    continue
                pipe.write(content)
                pipe.flush()
                if isinstance(ready, End):
                    return

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            try:
                while True:
                    answer: Answer = pickle.load(pipe)
                    if isinstance(answer, Trouble):
                        self.troubles.append(answer.what)
                    else:
                        self.began = answer
                        self.has_begun.set()
            except (EOFError, OSError, pickle.UnpicklingError):
                pass
        self._process.wait()
        if self._process.returncode and not self.troubles:
            self.troubles.append(f"the process that writes has ended with {self._process.returncode}")
        self.has_begun.set()


def _command() -> list[str]:
    paths = [path for path in sys.path if isinstance(path, str)]
    # As the program finds its modules, "" for its working folder included.
    return [sys.executable, "-P", "-c", _PROGRAM, repr([path or os.getcwd() for path in paths])]

"""A worker process, seen from the thread that it works for."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing import spawn
from typing import Any, final

from penstock._errors import BatchError, FlowClosed, WorkerError
from penstock._types import Array, FillReport, Step
from penstock.feeding._memory import Segment
from penstock.feeding.executors._channel import Channel
from penstock.feeding.executors._shared_slots import Desk, SharedSlots, Slot
from penstock.feeding.executors._travel import Luggage
from penstock.feeding.executors._worker import understood
from penstock.feeding.executors._worker_limits import DEATHS, ENVIRONMENT

_LOOK_S = 1.0  # between two looks at a silent worker: its channel ends with it, unless a child of its own has that, too
_ANSWER_S = 60.0  # to start in, and to take its maker, however slow the disk that Python is imported from
_PROGRAM = (
    "import sys; sys.path[:] = eval(sys.argv[1]); "
    "from penstock.feeding.executors._worker import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)


class _DiedError(Exception):
    """The process is gone; the message says how."""


@final
class Companion:
    """Has batches made by a process of its own; a `Hand` of a crew.

    The process is started by running Python anew, which imports neither the user's main module nor anything of the
    training process, so that no main guard is needed and no lock is inherited.

    Args:
        luggage: the maker; set anew, it is sent before the next batch.
        slots: what batches are written to.
        timeout_s: for one batch; None for no limit.
    """

    def __init__(self, luggage: Luggage[Segment], slots: SharedSlots, timeout_s: float | None) -> None:
        self.luggage = luggage
        self._sent: Luggage[Segment] | None = None
        self._slots = slots
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._known: set[int] = set()  # keys of slots that the worker has
        self._desk = Desk(slots)
        self._used_bytes = 0  # memory of the worker when it was last looked at
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        process = self._process
        return None if process is None else process.pid

    @property
    def is_over(self) -> bool:
        """Whether it makes nothing any more."""
        return self._stopped

    def make(self, step: Step, out: Sequence[Array]) -> FillReport:
        """Have a batch made. A worker that dies is replaced, and its batch is made again.

        Raises:
            BatchError: the maker failed, with the worker's traceback as a note.
            WorkerError: workers died of this batch again and again, or took too long.
            FlowClosed: `stop` was called meanwhile.
        """
        deaths: list[str] = []
        while len(deaths) < DEATHS:
            try:
                return self._made(step, out)
            except _DiedError as death:
                self._forget()
                if self._stopped:
                    raise FlowClosed("this flow was closed while a batch was made") from None
                deaths.append(str(death))
        when = "while they made" if self._sent is self.luggage else "before they could make"
        raise WorkerError(
            f"{DEATHS} worker processes in a row died {when} {step} "
            f"(samples {_named(step)}): {'; '.join(deaths)}. A worker that was killed has often run out of memory: use "
            "fewer workers or smaller batches. One that crashed, did so in the code of a sample, or in a library that "
            "it calls."
        )

    def stop(self) -> None:
        """Kill the process; `make` notices."""
        self._stopped = True
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def close(self) -> None:
        """Let the process end: its channel does."""
        self._stopped = True
        self._forget()
        self._desk.close()

    def _made(self, step: Step, out: Sequence[Array]) -> FillReport:
        if self._process is None:
            self._start()
        if self._sent is not self.luggage:
            self._pass_luggage()
        spread = self._desk.spread(out) if out else None
        if spread is not None:
            self._introduce(spread.key, spread.segment)
        self._send("make", step, [] if spread is None else spread.places)
        report: FillReport = self._answer(
            self._timeout_s,
            str(step),
            " If it needs longer, raise `timeout`.",
        )
        if spread is not None:
            spread.fetch(out)
        return report

    def _introduce(self, key: int, segment: Slot | Segment) -> None:
        """Tell the worker of memory on its first use, and of what is gone since."""
        if key in self._known:
            return
        gone = self._known.difference(self._slots.keys())
        if gone:
            self._send("forget", tuple(gone))
            self._known -= gone
        self._hand_over(key, segment)
        self._known.add(key)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        paths = [path for path in sys.path if isinstance(path, str)]  # Python passes over others, too
        arguments = [repr(paths), str(theirs.fileno()), str(os.getpid())]
        command = [os.fsdecode(spawn.get_executable()), *subprocess._args_from_interpreter_flags(), "-c", _PROGRAM]  # type: ignore[attr-defined]
        # Inherited, so that Ctrl-C spares the worker also while it starts; this thread has no use for the signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self._process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **ENVIRONMENT},
        )
        theirs.close()
        self._channel, self._known, self._sent, self._used_bytes = Channel(ours, _LOOK_S, _ANSWER_S), set(), None, 0
        if self._stopped:
            self._process.kill()

    def _pass_luggage(self) -> None:
        luggage, sent = self.luggage, self._sent
        for key, segment in luggage.segments.items():
            if sent is None or key not in sent.segments:
                self._hand_over(key, segment)
        self._send("maker", luggage.payload, tuple(luggage.segments))
        try:
            self._answer(_ANSWER_S, "getting ready")
        except BatchError as error:
            self._forget()
            raise WorkerError(f"A worker process could not take what makes the batches: {error}") from error
        self._sent = luggage

    def _hand_over(self, key: int, segment: Slot | Segment) -> None:
        self._send("segment", key, segment.nbytes, descriptor=segment.descriptor)

    def _send(self, *message: Any, descriptor: int | None = None) -> None:
        assert self._channel is not None
        assert self._process is not None
        try:
            self._channel.send(pickle.dumps(message), descriptor)
        except BlockingIOError:  # it stands still, and takes nothing
            self._process.kill()
            self._ending()
            self._forget()
            raise WorkerError(
                f"A worker process has not taken what makes the batches for {_ANSWER_S:g} s, and was ended."
            ) from None
        except OSError:
            raise _DiedError(self._ending()) from None

    def _answer(self, limit_s: float | None, what: str, hint: str = "") -> Any:
        assert self._channel is not None
        assert self._process is not None
        deadline = None if limit_s is None else time.monotonic() + limit_s
        if not self._used_bytes:  # once, in case that it dies before the first look
            self._used_bytes = _used_bytes(self._process.pid)
        while (answer := self._received()) is None:
            if self._process.poll() is not None:
                raise _DiedError(self._ending())
            self._used_bytes = _used_bytes(self._process.pid) or self._used_bytes  # it may have died just now
            if deadline is not None and time.monotonic() > deadline:
                self._process.kill()
                self._ending()
                self._forget()
                raise WorkerError(f"{what}: a worker process has not answered for {limit_s:g} s, and was ended.{hint}")
        return understood(answer, self._process.pid)

    def _received(self) -> bytes | None:
        assert self._channel is not None
        try:
            return self._channel.receive()
        except (EOFError, OSError):
            raise _DiedError(self._ending()) from None

    def _ending(self) -> str:
        """Wait for the process, and say how it ended; one that has not by then is killed."""
        process = self._process
        assert process is not None
        peak = f", last seen with {self._used_bytes / 1e6:,.0f} MB of memory" if self._used_bytes else ""
        deadline = time.monotonic() + _LOOK_S
        while process.returncode is None:
            with contextlib.suppress(ChildProcessError):
                ended, status, usage = os.wait4(process.pid, os.WNOHANG)
                if ended:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    peak = _peak(usage) or peak
                    break
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.002)  # nothing tells the end of a process together with what it used
        code = process.returncode
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"process {process.pid} ended {how}{peak}"

    def _forget(self) -> None:
        """Close the channel, which ends the process, and wait for that."""
        process, channel = self._process, self._channel
        self._process = self._channel = None
        if channel is not None:
            channel.close()
        if process is not None and process.returncode is None:
            try:
                process.wait(_LOOK_S)
            except subprocess.TimeoutExpired:  # busy in a user's function
                process.kill()
                process.wait()


def _peak(usage: resource.struct_rusage) -> str:
    """The most memory that a process has used; where that is less than ours, it is ours, from before it began."""
    if usage.ru_maxrss <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        return ""
    unit = 1 if sys.platform == "darwin" else 1024
    return f", having used up to {usage.ru_maxrss * unit / 1e6:,.0f} MB"


def _used_bytes(pid: int) -> int:
    """Memory that a process uses now; 0 if that cannot be told."""
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _named(step: Step) -> str:
    numbers = step.indices.tolist()
    return ", ".join(map(str, numbers if len(numbers) <= 8 else [*numbers[:8], "..."]))

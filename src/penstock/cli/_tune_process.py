"""The process that measures, seen from the one that prints."""

from __future__ import annotations

import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import perf_counter
from typing import IO, Self, final

from penstock.bench._measure import Clock
from penstock.cli._endings import CommandError
from penstock.cli._tune_findings import Done, Finding, Ready, TuneJob

_LOADING_S = 180.0  # of Keras, from a slow disk, and the first compilation of all kernels on a slow machine
_GRACE_S = 2.0  # a reading that was begun in time may end a little later than foreseen
_DYING_S = 1.0
_PROGRAM = "import sys; sys.path[:] = eval(sys.argv[1]); from penstock.cli._tune_measure import main; main(sys.argv[2])"


@final
class MeasuringProcess:
    """Measures a folder in a process of its own, which is killed when its time is up, and at the end of the block.

    Args:
        job: what to measure.
        grace_s: how much longer than `job.seconds` it may take.
        clock: seconds, for tests.
    """

    def __init__(self, job: TuneJob, grace_s: float = _GRACE_S, clock: Clock = perf_counter) -> None:
        self._limit_s, self._clock = job.seconds + grace_s, clock
        paths = [path for path in sys.path if isinstance(path, str)]  # Python passes over others, too
        command = [sys.executable, "-P", "-c", _PROGRAM, repr(paths), job.to_json()]
        # In a session of its own, where Ctrl-C does not reach it: it is ended from here.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        self._findings: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=_receive, args=(self._process.stdout, self._findings), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a network drive dies when that answers
            self._process.wait(_DYING_S)
        self._reader.join(_DYING_S)

    def findings(self) -> Iterator[Finding]:
        """What it tells, as it comes; ends with `Done`, or without where the time was up before.

        Raises:
            CommandError: it did not get ready, or was killed by somebody else.
            SystemExit: it has ended in an error, and said so.
        """
        end_s = self._clock() + _LOADING_S
        is_ready = False
        while True:
            try:
                finding = self._findings.get(timeout=max(0.0, end_s - self._clock()))
            except queue.Empty:
                if not is_ready:
                    raise CommandError(f"Keras should load within {_LOADING_S:g} s, and did not. Try again.") from None
                return
            if finding is None:
                raise self._ending()
            if isinstance(finding, Ready):
                is_ready, end_s = True, self._clock() + self._limit_s
            yield finding
            if isinstance(finding, Done):
                return

    def _ending(self) -> BaseException:
        code = self._process.wait()
        if code >= 0:
            return SystemExit(code)
        why = "it may have run out of memory: try smaller batches" if code == -signal.SIGKILL else "that is a bug"
        return CommandError(f"the process that measures was ended by {signal.Signals(-code).name}; {why}")


def _receive(pipe: IO[bytes], findings: queue.SimpleQueue[Finding | None]) -> None:
    """Until the pipe's other end is closed."""
    with pipe:
        try:
            while True:
                findings.put(pickle.load(pipe))
        except (EOFError, pickle.UnpicklingError):  # the latter where it was killed while it wrote
            findings.put(None)

"""A peer's reading in a process of its own: nothing else is imported there, and nothing of it is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from penstock.bench._errors import BenchError
from penstock.bench._measure import Side
from penstock.bench.peers._catalogue import PEERS
from penstock.bench.peers._job import MISSING, Answer, Data, Job

_LIMIT_S = 300.0  # the slowest, tf.data from files at 100 images/s, takes 30 s on two cores
_TAIL_CHARACTERS = 2000


def peer_side(peer: str, data: Data, name: str | None = None) -> Side:
    """Images per second of a peer, each reading in a fresh process; by the peer's name, unless there is another."""
    return Side(name or peer, "images/s", lambda seconds: in_process(Job(peer, data, seconds)).reading)


def in_process(job: Job, limit_s: float = _LIMIT_S) -> Answer:
    """Do a job in a fresh process.

    Args:
        job: what to do.
        limit_s: seconds until it is given up.

    Raises:
        BenchError: it failed, a library is missing, or it took too long.
    """
    environment = {**os.environ, **PEERS[job.peer].environment}
    return Answer.from_json(run_module("penstock.bench.peers", job.to_json(), environment, limit_s, who=job.peer))


def run_module(module: str, job: str, environment: Mapping[str, str], limit_s: float, *, who: str) -> str:
    """Run `python -m MODULE JOB ANSWER` in a fresh process, and read what it has written to ANSWER.

    Args:
        module: to run.
        job: what it is asked for.
        environment: of the process.
        limit_s: seconds until it is given up.
        who: is named in errors.

    Raises:
        BenchError: it failed, a library is missing, or it took too long.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-peer-") as temporary:
        answer, log = Path(temporary, "answer.json"), Path(temporary, "log")
        status = _run([module, job, str(answer)], environment, log, limit_s)
        said = log.read_text("utf-8", "replace").strip()[-_TAIL_CHARACTERS:]
        if status == MISSING:
            library = said.splitlines()[-1]
            raise BenchError(f"{who} needs {library}, which is not installed: pip install 'penstock[peers]'")
        if status is None:
            raise BenchError(f"{who} should be done within {limit_s:g} s. It was stopped; it had said:\n{said}")
        if status != 0 or not answer.is_file():
            raise BenchError(f"{who} failed in its process, exit status {status}. Its last words:\n{said}")
        return answer.read_text("utf-8")


def _run(arguments: list[str], environment: Mapping[str, str], log: Path, limit_s: float) -> int | None:
    """The exit status; None if it had to be stopped."""
    # What it says goes to a file: a pipe would stay open for as long as any of its workers lives.
    command = [sys.executable, "-m", *arguments]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,  # closes when this process ends, however it does; see `_leash`
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it and the workers that it started, which are in its session."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        pass  # the usual case: all of them have ended
    process.wait()
    if process.stdin is not None:
        process.stdin.close()

"""One peer, one reading: `python -m penstock.bench.peers JOB ANSWER`, where JOB is JSON and ANSWER a file to write."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from penstock.bench._measure import Pace, Reading, drain
from penstock.bench._workloads import QUEUE_BATCHES, WORKERS
from penstock.bench.peers._catalogue import PEERS
from penstock.bench.peers._job import MISSING, Answer, Job
from penstock.bench.peers._leash import end_with_who_asked

_WARM_UP_S = 1.0  # AUTOTUNE has settled, worker processes have imported what they need
_FRAMEWORKS = ("jax", "keras", "tensorflow", "torch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job.

    Returns:
        The exit status.
    """
    text, answer = sys.argv[1:] if arguments is None else arguments
    job = Job.from_json(text)
    try:
        peer = import_module(f"penstock.bench.peers.{PEERS[job.peer].module}")
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name}\n")
        return MISSING
    with getattr(peer, job.workload)(job.data) as batches:
        if job.sample_batches:
            _save(batches, job)
        reading = _reading((len(batch[0]) for batch in batches), job.seconds)
    loaded = tuple(name for name in _FRAMEWORKS if name in sys.modules)
    Path(answer).write_text(Answer(reading, loaded).to_json(), "utf-8")
    return 0


def _reading(images: Iterator[int], seconds: float) -> Reading:
    """The same pace for all: two batches at a time, and at most as many made ahead as our own queue holds."""
    drain(images, Pace(WORKERS, QUEUE_BATCHES), min(seconds, _WARM_UP_S))
    return drain(images, Pace(WORKERS), seconds)


def _save(batches: Iterator[Any], job: Job) -> None:
    arrays: dict[str, Any] = {}
    for number in range(job.sample_batches):
        x, y = next(batches)[:2]
        arrays[f"x{number}"], arrays[f"y{number}"] = np.array(x), np.array(y)
    np.savez(job.sample, **arrays)


if __name__ == "__main__":
    end_with_who_asked()
    sys.exit(main())

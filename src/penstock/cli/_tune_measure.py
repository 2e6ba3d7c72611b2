"""The process that measures for `penstock tune`: one folder, one flow, more and more workers.

A process of its own can be ended at any time: while it reads a file of a network drive that does not answer, or decodes
an image that takes a minute.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, final

import numpy as np
from PIL import Image

from penstock.bench._measure import Pace, Reading, drain, with_load
from penstock.cli._endings import CommandError, plain_endings
from penstock.cli._file_reads import FileReads, reads_since
from penstock.cli._load_keras import load_keras
from penstock.cli._quiet import quiet_decoders
from penstock.cli._tune_choice import most_workers
from penstock.cli._tune_findings import (
    QUEUE_BATCHES,
    Done,
    Finding,
    FirstPass,
    FoundImages,
    Ready,
    TuneJob,
    WorkersReading,
)
from penstock.cli._tune_rounds import Rounds
from penstock.feeding._cpus import usable_cpus
from penstock.sources._files import EXTENSIONS

if TYPE_CHECKING:
    from penstock.keras._directory_flow import DirectoryIterator

Tell = Callable[[Finding], object]

_PROBED_IMAGES = 16
_PROBE_SHARE = 0.03  # of the time, for images one by one
_FIRST_PASS_SHARE = 0.15
_READING_SHARE = 1 / 60  # so that five numbers of workers get five rounds, those that warm up included
_BATCHES_IN_READING = 4  # at least: of those that take longer, fewer images are put together


def main(job: str) -> None:
    """Measure, write pickled findings to standard output, and end as every command does.

    Args:
        job: JSON of a `TuneJob`.
    """
    # Where nobody listens any more, there is nothing to measure for.
    with plain_endings(), suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever else prints must not get among them

        def tell(finding: Finding) -> None:
            pickle.dump(finding, out)
            out.flush()

        measure_folder(TuneJob.from_json(job), tell)


def measure_folder(job: TuneJob, tell: Tell) -> None:
    """Measure a folder.

    Raises:
        CommandError: it holds no images.
        ImageError, BatchError: one of them cannot be read; it names the file.
    """
    load_keras()
    _warm_up(job)
    tell(Ready())
    end_s = perf_counter() + job.seconds
    with quiet_decoders():
        flow, found = _opened(job)
        with flow:
            tell(found)
            bench = _Bench(flow, job)
            tell(bench.first_pass())
            rounds = Rounds(lambda workers: bench.measure(workers, tell), most_workers(bench.cpus), end_s, perf_counter)
            for _ in rounds.run():
                pass
            tell(Done())


@final
class _Bench:
    """Measures a flow.

    Args:
        flow: of the user's images.
        job: what to measure.
    """

    def __init__(self, flow: DirectoryIterator, job: TuneJob) -> None:
        self.cpus = usable_cpus()
        self._flow, self._job = flow, job
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else self.cpus
        self._has_quota = self.cpus < affinity  # what others do on the machine's other CPUs takes nothing away then

    def first_pass(self) -> FirstPass:
        """Read files that nobody has read yet, and choose the size of batches."""
        flow, job = self._flow, self._job
        self._set_workers(0)
        flow.batch_size = 1
        batch_bytes = min(job.batch_size, flow.n) * flow.peak_bytes
        reads = FileReads.now()
        workers, (images, rate) = 0, self._read(min(_PROBED_IMAGES, flow.n), _PROBE_SHARE)
        batch_s = _READING_SHARE * job.seconds / _BATCHES_IN_READING
        flow.batch_size = max(1, min(job.batch_size, int(batch_s * rate)))
        if images < flow.n:  # what was read one by one is not all there is
            reads, workers = FileReads.now(), self.cpus
            self._set_workers(workers)
            images, rate = self._read(flow.n, _FIRST_PASS_SHARE)
        return FirstPass(images, rate, workers, reads_since(reads), flow.batch_size, batch_bytes)

    def measure(self, workers: int, tell: Tell) -> float:
        """One reading."""
        reads = FileReads.now()
        reading = with_load(lambda: self._drained(workers))
        if self._has_quota:
            reading = replace(reading, others_cores=0.0)
        tell(WorkersReading(workers, reading, reads_since(reads)))
        return reading.value

    def _read(self, most: int, share: float) -> tuple[int, float]:
        """Take up to so many images, or for a share of the time; returns how many they were, and how many a second."""
        images, began = 0, perf_counter()
        while images < most and (not images or perf_counter() - began < share * self._job.seconds):
            images += len(next(self._flow)[0])
        return images, images / (perf_counter() - began)

    def _drained(self, workers: int) -> Reading:
        self._set_workers(workers)
        pace = Pace(max(1, workers), self._flow.max_queue_size if workers else 0)
        return drain((len(batch[0]) for batch in self._flow), pace, _READING_SHARE * self._job.seconds)

    def _set_workers(self, workers: int) -> None:
        # A batch for each to be at and one more: all that are made ahead have to be taken before a reading begins, and
        # of a longer queue none would come faster.
        self._flow.max_queue_size = max(1, workers, min(QUEUE_BATCHES, 2 * workers))
        self._flow.workers = workers


def _opened(job: TuneJob) -> tuple[DirectoryIterator, FoundImages]:
    """A flow of class folders, or of images that lie in none."""
    with suppress(ValueError):
        flow = _flow(job, job.directory)
        return flow, FoundImages(flow.n, flow.num_classes)
    with suppress(ValueError):
        flow = _flow(job, job.directory, classes=["."])
        return flow, FoundImages(flow.n, 0)
    raise CommandError(
        f"DIR should hold images, in class folders or flat, in files whose names end in {', '.join(EXTENSIONS)}. "
        f"{job.directory!r} holds none (hidden folders do not count)."
    )


def _flow(job: TuneJob, directory: str, **keywords: Any) -> DirectoryIterator:
    from penstock.cli._feeds import AUGMENTATION
    from penstock.keras._image_data_generator import ImageDataGenerator

    return ImageDataGenerator(**AUGMENTATION).flow_from_directory(
        directory,
        target_size=job.size,
        batch_size=job.batch_size,
        interpolation=job.interpolation,
        seed=0,
        workers=0,
        **keywords,
    )


def _warm_up(job: TuneJob) -> None:
    """Compile the kernels, or load them from Numba's cache: what a program does once is in no rate."""
    with tempfile.TemporaryDirectory(prefix="penstock-tune-") as folder:
        for number, suffix in enumerate((".jpg", ".png")):
            path = Path(folder, "class", f"{number}{suffix}")
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
        with _flow(replace(job, batch_size=2), folder) as flow:
            next(flow)

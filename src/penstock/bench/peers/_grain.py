"""Grain with Albumentations.

What Albumentations does in Python to small images holds the interpreter lock, so worker processes are faster for them:
15,200 images/s where a thread gives 8,100. Decoding and warping large ones do not: 2 threads give 875, processes 822.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grain
import numpy as np
from absl import flags

from penstock._types import Array
from penstock.bench._workloads import WORKERS, InFiles, InMemory
from penstock.bench.peers._albumentations import Augment, read_rgb, transforms


@contextmanager
def memory(data: InMemory, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From an array; bytes become floats in -1 to 1 as the last step."""
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["penstock"])  # Grain's worker processes take over absl's flags, and will not start without
    augment = Augment(partial(transforms, data.ranges))
    samples = _dataset(len(data.x), partial(_from_array, data.x, data.y, augment), data.batch_size)
    # No threads in the workers, as Grain recommends for what is in memory already.
    options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
    batches = samples.to_iter_dataset(options).mp_prefetch(
        grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
    )
    with _closing(batches.map(_to_unit_range)) as iterator:
        yield iterator


@contextmanager
def files(data: InFiles, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From JPEG files."""
    paths, labels = data.listed()
    augment = Augment(partial(transforms, data.ranges, data.target_px))
    samples = _dataset(len(paths), partial(_from_file, paths, labels, augment), data.batch_size)
    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * workers)
    with _closing(samples.to_iter_dataset(options).map(_to_floats)) as iterator:
        yield iterator


def _dataset(length: int, sample: Callable[[int], tuple[Any, Any]], batch_size: int) -> Any:
    return grain.MapDataset.range(length).seed(0).shuffle().map(sample).batch(batch_size).repeat()


def _from_array(x: Array, y: Array, augment: Augment, index: int) -> tuple[Any, Any]:
    return augment(x[index]), y[index]


def _from_file(paths: list[str], labels: Array, augment: Augment, index: int) -> tuple[Any, Any]:
    return augment(read_rgb(paths[index])), labels[index]


def _to_unit_range(batch: tuple[Array, Array]) -> tuple[Array, Array]:
    images = batch[0].astype(np.float32)
    images /= 127.5
    images -= 1
    return images, batch[1]


def _to_floats(batch: tuple[Array, Array]) -> tuple[Array, Array]:
    return batch[0].astype(np.float32), batch[1]


@contextmanager
def _closing(dataset: Any) -> Iterator[Iterator[Any]]:
    iterator = iter(dataset)
    try:
        yield iterator
    finally:
        iterator.close()

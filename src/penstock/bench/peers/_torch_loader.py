"""torch's DataLoader with Albumentations.

Images stay bytes until they are batched, and the main process makes floats of whole batches: 119 us of processor time
an image of 32x32, where Normalize in the workers takes 169. That holds with one thread: with two, torch waits in loops
for the second one while the workers want both cores, which takes 163.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import torch
from albumentations.pytorch import ToTensorV2
from torch.utils.data import DataLoader, RandomSampler

from penstock._types import Array
from penstock.bench._sequences import Stored
from penstock.bench._workloads import WORKERS, InFiles, InMemory, Ranges
from penstock.bench.peers._albumentations import Augment, read_rgb, transforms

_EPOCHS = 1000  # as one


class Images:
    """A map-style dataset of an array."""

    def __init__(self, data: InMemory) -> None:
        self._x, self._y = data.x, data.y
        self._augment = Augment(partial(_transforms, data.ranges))

    def __len__(self) -> int:
        return len(self._x)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._augment(self._x[index]), self._y[index]


class Photographs:
    """A map-style dataset of files."""

    def __init__(self, data: InFiles) -> None:
        self._paths: list[str]
        self._labels: Array
        self._paths, self._labels = data.listed()
        self._augment = Augment(partial(_transforms, data.ranges, data.target_px))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._augment(read_rgb(self._paths[index])), self._labels[index]


@contextmanager
def memory(data: InMemory, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From an array; bytes become floats in -1 to 1 as the last step."""
    with closing(_batches(Images(data), data.batch_size, workers)) as batches:
        yield ((x.float().div_(127.5).sub_(1), y) for x, y in batches)


@contextmanager
def files(data: InFiles, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From JPEG files."""
    with closing(_batches(Photographs(data), data.batch_size, workers)) as batches:
        yield ((x.float(), y) for x, y in batches)


@contextmanager
def stored(data: Any, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From a user's own object, whose batches are taken as they are."""
    if isinstance(data, Stored):
        len(data.x)  # made here, so that workers share it
    torch.set_num_threads(1)
    loader = DataLoader(data, batch_size=None, num_workers=workers, persistent_workers=True)
    with closing(_without_end(loader)) as batches:
        yield batches


def _transforms(ranges: Ranges, target_px: int | None = None) -> list[Any]:
    return [*transforms(ranges, target_px), ToTensorV2()]


def _batches(dataset: Any, batch_size: int, workers: int) -> Generator[Any]:
    """Batches without end; the workers end with the loader, whose only owner is this generator."""
    torch.set_num_threads(1)
    # One order after another without a break: 512 files are 8 batches, and each epoch's end would leave workers idle.
    sampler = RandomSampler(dataset, num_samples=_EPOCHS * len(dataset))
    loader = DataLoader(dataset, batch_size, sampler=sampler, num_workers=workers, persistent_workers=True)
    yield from _without_end(loader)


def _without_end(loader: Any) -> Generator[Any]:
    while True:
        yield from loader

"""What is fed by `feed`: sequences as users write them, one for each thing that a batch can take its time with.

Batches are numbered without a break, so that no epoch's end is in a rate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from penstock._types import Array

_BATCHES = 1_000_000  # an epoch that no reading sees the end of


class Endless:
    """As many batches as anybody asks for."""

    def __len__(self) -> int:
        return _BATCHES


@dataclass(frozen=True)
class Waiting(Endless):
    """Batches that wait for something else: a network, a disk, a service.

    Attributes:
        wait_s: for each.
    """

    wait_s: float

    def __getitem__(self, number: int) -> Array:
        time.sleep(self.wait_s)
        return np.full(1, number, np.float32)


@dataclass(frozen=True)
class PurePython(Endless):
    """Batches that Python itself computes, with the interpreter lock held throughout.

    Attributes:
        turns: of a loop; 400,000 take about 25 ms.
    """

    turns: int

    def __getitem__(self, number: int) -> Array:
        total = number
        for turn in range(self.turns):
            total = (total * 31 + turn) % 1_000_003
        return np.full(1, total, np.float32)


@dataclass(frozen=True)
class Prepared(Endless):
    """Batches that take no time: what is left is the hand-over."""

    @cached_property
    def batch(self) -> Array:
        """The same for every number."""
        return np.zeros(1, np.float32)

    def __getitem__(self, number: int) -> Array:
        return self.batch


@dataclass(frozen=True)
class Stored(Endless):
    """Batches of bytes in memory that NumPy makes floats of, some of them mirrored.

    Attributes:
        images, side_px, batch_size: how many, how large, how many at a time.
    """

    images: int = 256
    side_px: int = 299
    batch_size: int = 64

    @cached_property
    def x(self) -> Array:
        """Bytes, `(images, side, side, 3)`; noise."""
        return np.random.default_rng(0).integers(0, 256, (self.images, self.side_px, self.side_px, 3), dtype=np.uint8)

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        random = np.random.default_rng(number)
        chosen = random.integers(self.images, size=self.batch_size)
        batch = self.x[chosen].astype(np.float32) / 255
        mirrored = random.random(self.batch_size) < 0.5
        batch[mirrored] = batch[mirrored, :, ::-1]
        return batch, chosen % 10

    @property
    def shape(self) -> str:
        """Of a batch, in words."""
        return f"{self.batch_size}x{self.side_px}x{self.side_px}x3"

"""Who is in each batch: arithmetic on seed and epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, final

import numpy as np

from penstock._types import Indices, Step


@dataclass(frozen=True)
class Shard:
    """A rank's part of every epoch.

    Attributes:
        rank: from 0.
        world: how many ranks there are.
    """

    rank: int = 0
    world: int = 1


ALL = Shard()


class Steps(Protocol):
    """A stream of batches, addressed by position."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        ...

    def step(self, position: int, *, shuffled: bool = False) -> Step:
        """The batch at a position of the stream, from 0."""
        ...


@final
class Plan:
    """The endless stream of batches, addressed by position.

    Each step takes the next `world * batch_size` samples of an epoch's order, and each rank its run of `batch_size` of
    them. What is left for the last step is dealt one by one, so that all ranks have as many steps; a rank that gets
    none is given the first of them, which is another rank's.

    Args:
        samples: in an epoch, of all ranks.
        batch_size: samples in a batch; an epoch's last batch may hold fewer.
        order: the samples of an epoch in order; a pure function of the epoch.
        batch_order: a shuffled order of an epoch's batches, by number.
        resumed_at: a position and how many of its step's samples were delivered before, with another batch size.
        shard: whose batches these are.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        order: Callable[[int], Indices],
        batch_order: Callable[[int], Indices],
        resumed_at: tuple[int, int] = (0, 0),
        shard: Shard = ALL,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self._resumed_at = resumed_at
        self._shard = shard
        # An epoch's order is needed by each of its steps, and the next one's while this one ends.
        self._order = lru_cache(maxsize=2)(order)
        self._batch_order = lru_cache(maxsize=2)(batch_order)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.samples // (self.batch_size * self._shard.world))

    def order(self, epoch: int) -> Indices:
        """The samples of an epoch in order, int64, `(samples,)`; do not write to it."""
        return self._order(epoch)

    def step(self, position: int, *, shuffled: bool = False) -> Step:
        """The batch at a position of the stream, from 0.

        Args:
            shuffled: take the epoch's batches in shuffled order; samples stay in the batches that they are in.
        """
        epoch, number = divmod(position, self.steps_per_epoch)
        if shuffled:
            number = int(self._batch_order(epoch)[number])
        rank, world = self._shard.rank, self._shard.world
        start = number * self.batch_size * world
        stop = start + self.batch_size * world
        if position == self._resumed_at[0]:
            start += self._resumed_at[1]
        chunk = self._order(epoch)[start:stop]
        is_full = len(chunk) == self.batch_size * world
        own = chunk[rank * self.batch_size : (rank + 1) * self.batch_size] if is_full else chunk[rank::world]
        fills_up = not len(own)
        return Step(epoch, number, self.steps_per_epoch, np.ascontiguousarray(chunk[:1] if fills_up else own), fills_up)


@final
class EndlessPlan:
    """Batches that are counted up, without epochs: one sample a batch, each its own number."""

    steps_per_epoch = 1 << 62  # an epoch that nobody sees the end of

    def step(self, position: int, *, shuffled: bool = False) -> Step:
        """The batch at a position, from 0."""
        del shuffled
        return Step(0, position, self.steps_per_epoch, np.array([position], np.int64))

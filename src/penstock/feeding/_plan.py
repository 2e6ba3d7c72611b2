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
        partners: processes that train on the same part together, since one model lies across them.
        partner: which of them this one is, from 0.
        rows_multiple: what the rows of each batch are a multiple of, as many on every rank: those that a device has no
            other for have weight 0; 0 where ranks may differ by a row.
    """

    rank: int = 0
    world: int = 1
    partners: int = 1
    partner: int = 0
    rows_multiple: int = 0

    def rows(self, samples: int) -> int:
        """In this rank's batch, of a step for which no more than so many samples are left."""
        own = len(range(self.rank, samples, self.world))
        if not self.rows_multiple:
            return max(1, own)
        most = -(-samples // self.world)
        return -(-most // self.rows_multiple) * self.rows_multiple

    def fills_up(self, samples: int) -> bool:
        """Whether any rank's batch holds rows of weight 0 where so many samples are left for a step."""
        if not samples:
            return False
        return bool(samples % (self.world * self.rows_multiple)) if self.rows_multiple else samples < self.world


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
    none, or too few for `Shard.rows_multiple`, is given the first of them, which is another rank's.

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
        self._step_samples = batch_size * shard.world
        self._steps_per_epoch = -(-samples // self._step_samples)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self._steps_per_epoch

    def order(self, epoch: int) -> Indices:
        """The samples of an epoch in order, int64, `(samples,)`; do not write to it."""
        return self._order(epoch)

    def step(self, position: int, *, shuffled: bool = False) -> Step:
        """The batch at a position of the stream, from 0.

        Args:
            shuffled: take the epoch's batches in shuffled order; samples stay in the batches that they are in.
        """
        epoch, number = divmod(position, self._steps_per_epoch)
        if shuffled:
            number = int(self._batch_order(epoch)[number])
        rank, world = self._shard.rank, self._shard.world
        start = number * self._step_samples
        stop = start + self._step_samples
        if position == self._resumed_at[0]:
            start += self._resumed_at[1]
        chunk = self._order(epoch)[start:stop]
        is_full = len(chunk) == self._step_samples
        if is_full:
            own, fillers = chunk[rank * self.batch_size : (rank + 1) * self.batch_size], 0
        else:
            own = chunk[rank::world]
            fillers = self._shard.rows(len(chunk)) - len(own)
            own = np.concatenate([own, np.repeat(chunk[:1], fillers)]) if fillers else own
        return Step(epoch, number, self._steps_per_epoch, np.ascontiguousarray(own), fillers)


@final
class EndlessPlan:
    """Batches that are counted up, without epochs: one sample a batch, each its own number."""

    steps_per_epoch = 1 << 62  # an epoch that nobody sees the end of

    def step(self, position: int, *, shuffled: bool = False) -> Step:
        """The batch at a position, from 0."""
        del shuffled
        return Step(0, position, self.steps_per_epoch, np.array([position], np.int64))

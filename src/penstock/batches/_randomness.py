"""What is random about an epoch: its order, and what happens to each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from penstock._types import Indices, Step
from penstock.image._augment import Augmentation
from penstock.image._draw import Transforms, draw, draw_as_keras, permutation


class Randomness(Protocol):
    """A function of seed and step; no state."""

    @property
    def seed(self) -> int:
        """The seed in use."""
        ...

    @property
    def follows_batches(self) -> bool:
        """Whether what is drawn depends on the batch, not on the sample alone."""
        ...

    def order(self, epoch: int) -> Indices:
        """The samples in the order in which an epoch shows them, int64, `(samples,)`."""
        ...

    def transforms(self, step: Step, height: int, width: int) -> Transforms:
        """One row of parameters for each sample of a batch."""
        ...


@dataclass(frozen=True)
class CounterRandomness:
    """Draws keyed on (seed, epoch, sample): the same at any batch size, worker count, order or world size."""

    augmentation: Augmentation
    seed: int
    samples: int
    shuffle: bool
    follows_batches: ClassVar[bool] = False

    def order(self, epoch: int) -> Indices:
        """See `Randomness.order`."""
        return permutation(self.samples, self.seed, epoch) if self.shuffle else np.arange(self.samples)

    def transforms(self, step: Step, height: int, width: int) -> Transforms:
        """See `Randomness.transforms`."""
        return draw(self.augmentation, self.seed, step.epoch, step.indices, height, width)


@dataclass(frozen=True)
class KerasRandomness:
    """Keras's draws: a generator seeded with `seed + batches seen` for each batch.

    The generator of an epoch's first batch makes the permutation before it draws for the images.
    """

    augmentation: Augmentation
    seed: int
    samples: int
    shuffle: bool
    steps_per_epoch: int
    follows_batches: ClassVar[bool] = True

    def order(self, epoch: int) -> Indices:
        """See `Randomness.order`."""
        if not self.shuffle:
            return np.arange(self.samples)
        order: Indices = self._random(epoch * self.steps_per_epoch).permutation(self.samples)
        return order.astype(np.int64, copy=False)

    def transforms(self, step: Step, height: int, width: int) -> Transforms:
        """See `Randomness.transforms`."""
        random = self._random(step.position)
        if step.number == 0 and self.shuffle:
            random.permutation(self.samples)
        return np.array([draw_as_keras(self.augmentation, random, height, width) for _ in step.indices], np.float64)

    def _random(self, batches_seen: int) -> Any:
        return np.random.RandomState((self.seed + batches_seen) % 2**32)  # where Keras would end with an error

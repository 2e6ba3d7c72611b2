"""Images per second, penstock's beside Keras's, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from penstock.cli._feeds import keras_iterator, training_flow
from penstock.cli._training_images import TrainingImages

ROUNDS = 5
_BATCHES = 10
_KERAS_BUDGET_S = 20.0  # on large photographs Keras makes a few images a second, and nobody waits minutes to learn that


@dataclass(frozen=True)
class FeedRate:
    """How fast a feed is.

    Attributes:
        workers: threads that make batches; 0 for the caller's own.
        images_per_s: of each round.
    """

    workers: int
    images_per_s: tuple[float, ...]

    @property
    def median_images_per_s(self) -> float:
        """The middle round's rate, which a hiccup of the machine does not move."""
        return median(self.images_per_s)


@dataclass(frozen=True)
class FeedRates:
    """Two feeds of the same images with the same settings.

    Attributes:
        penstock: this one.
        keras: Keras's private class; None where this Keras has none.
        batches: in a round, of each feed.
    """

    penstock: FeedRate
    keras: FeedRate | None
    batches: int

    @property
    def times_as_fast(self) -> float | None:
        """The medians' ratio."""
        if self.keras is None:
            return None
        return self.penstock.median_images_per_s / self.keras.median_images_per_s


def measure_feeds(
    images: TrainingImages,
    side_px: int,
    *,
    batch_size: int,
    workers: int | str,
    seed: int,
    on_round: Callable[[], object] = lambda: None,
) -> FeedRates:
    """Measure both feeds in turns, after a batch of each that warms up kernels, imports and the disk's cache.

    Each of penstock's rounds is a flow of its own, timed from the first request to the last batch: nothing that was
    made ahead while Keras was measured, or before the clock started, is counted.

    Args:
        images: the training set is fed.
        side_px: of the finished images.
        batch_size: images in a batch.
        workers: penstock's; "auto" is the usable CPUs.
        seed: of both feeds.
        on_round: called after each round of both.
    """
    with training_flow(images, side_px, batch_size=batch_size, workers=workers, seed=seed) as flow:
        next(flow)
        threads = flow.workers
    try:
        twin = keras_iterator(images, side_px, batch_size=batch_size, seed=seed)
    except ImportError:
        twin = None
    batches = _whole_turns(_BATCHES, threads)
    if twin is not None:
        began = perf_counter()
        next(twin)
        affordable = int(_KERAS_BUDGET_S / ROUNDS / (perf_counter() - began))
        batches = max(1, min(batches, affordable))
    ours, theirs = [], []
    for number in range(ROUNDS):
        with training_flow(images, side_px, batch_size=batch_size, workers=workers, seed=seed + number) as flow:
            ours.append(_images_per_s(flow, batches))
        if twin is not None:
            theirs.append(_images_per_s(twin, batches))
        on_round()
    return FeedRates(FeedRate(threads, tuple(ours)), FeedRate(0, tuple(theirs)) if theirs else None, batches)


def _whole_turns(at_least: int, threads: int) -> int:
    """Batches that leave no thread without one in the last turn."""
    turn = max(1, threads)
    return -(-at_least // turn) * turn


def _images_per_s(feed: Iterator[Any], batches: int) -> float:
    began = perf_counter()
    images = sum(len(next(feed)[0]) for _ in range(batches))
    return images / (perf_counter() - began)

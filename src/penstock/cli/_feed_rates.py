"""Images per second, penstock's beside Keras's, measured in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from PIL import UnidentifiedImageError

from penstock.cli._endings import CommandError
from penstock.cli._feeds import keras_iterator, training_flow
from penstock.cli._training_images import TrainingImages
from penstock.keras._directory_flow import DirectoryIterator

_BATCHES = 20
_BUDGET_S = 15.0  # of each feed, about: of large photographs Keras makes a few a second, and nobody waits for hundreds


@dataclass(frozen=True)
class FeedRate:
    """How fast a feed is.

    Attributes:
        threads: that make batches.
        batches: in a round.
        images_per_s: of each round.
    """

    threads: int
    batches: int
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
    """

    penstock: FeedRate
    keras: FeedRate | None

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
    rounds: int,
    seed: int,
    on_round: Callable[[], object] = lambda: None,
) -> FeedRates:
    """Measure both feeds in turns, after a batch of each that warms up kernels, imports and the disk's cache.

    Args:
        images: the training set is fed.
        side_px: of the finished images.
        batch_size: images in a batch.
        workers: penstock's; "auto" is the usable CPUs.
        rounds: at least 1.
        seed: of both feeds.
        on_round: called after each round of both.

    Raises:
        ImageError, CommandError: an image cannot be read.
    """

    def open_flow(number: int) -> DirectoryIterator:
        return training_flow(images, side_px, batch_size=batch_size, workers=workers, seed=seed + number)

    round_s = _BUDGET_S / rounds
    with open_flow(0) as flow:
        next(flow)
        threads = max(1, flow.workers)
        # Every thread makes as many batches as the others: with one left over, the rest would be idle meanwhile.
        batches = threads * _between(1, round_s / _seconds(lambda: flow[0]), -(-_BATCHES // threads))
    ours, theirs = [], []
    keras_batches, twin = batches, _keras_iterator_if_any(images, side_px, batch_size=batch_size, seed=seed)
    try:
        if twin is not None:
            keras_batches = _between(1, round_s / _seconds(lambda: next(twin)), batches)
        for number in range(rounds):
            with open_flow(number) as flow:
                _run_dry(flow)
                ours.append(_images_per_s(flow, batches))
            if twin is not None:
                theirs.append(_images_per_s(twin, keras_batches))
            on_round()
    except UnidentifiedImageError as error:  # from Keras, which does not say which image it is; penstock does
        with open_flow(0) as flow:
            for _ in range(len(flow)):
                next(flow)
        raise CommandError(f"Keras cannot read one of the images below {images.training}: {error}") from None
    return FeedRates(
        FeedRate(threads, batches, tuple(ours)), FeedRate(1, keras_batches, tuple(theirs)) if theirs else None
    )


def _run_dry(flow: DirectoryIterator) -> None:
    """Take batches until none is ready: what was made before the clock starts must not count."""
    for _ in range(max(flow.max_queue_size, flow.workers) + 1):
        next(flow)


def _images_per_s(feed: Iterator[Any], batches: int) -> float:
    began = perf_counter()
    images = sum(len(next(feed)[0]) for _ in range(batches))
    return images / (perf_counter() - began)


def _seconds(action: Callable[[], object]) -> float:
    began = perf_counter()
    action()
    return perf_counter() - began


def _between(least: int, wish: float, most: int) -> int:
    return max(least, min(int(wish), most))


def _keras_iterator_if_any(images: TrainingImages, side_px: int, *, batch_size: int, seed: int) -> Any:
    try:
        return keras_iterator(images, side_px, batch_size=batch_size, seed=seed)
    except ImportError:
        return None

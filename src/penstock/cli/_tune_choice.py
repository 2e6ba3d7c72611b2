"""Which number of workers to recommend, from what was measured. Nothing but arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import mean, median

_GAIN = 1.05  # what more workers have to give to be worth having
_SPARE = 1.1  # over what the model takes: batches that take longer now and then are to find the queue full
_SURE_RUNGS = (0, 1, 2)  # one worker makes no more than none does, so only two say whether workers help
_BUSY = 0.85  # of the CPUs: the rest goes to whoever waits for a batch, and to the operating system
_DISTURBED = 0.15  # of the CPUs, taken by others


class Limit(Enum):
    """What keeps the feed from being faster."""

    MODEL = "model"
    CPU = "cpu"
    OTHERS = "others"
    STORAGE = "storage"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Measured:
    """A number of workers, and what came of it.

    Attributes:
        workers: threads; 0 for the caller's.
        images_per_s: of each round, at least one.
        own_cores, others_cores: in use meanwhile, by this program and by others; of each round, too.
    """

    workers: int
    images_per_s: tuple[float, ...]
    own_cores: tuple[float, ...]
    others_cores: tuple[float, ...]

    @property
    def median_images_per_s(self) -> float:
        """The middle round's rate, which a hiccup of the machine does not move."""
        return median(self.images_per_s)


@dataclass(frozen=True)
class Choice:
    """What to recommend.

    Attributes:
        workers: from 1 on.
        images_per_s: that they feed.
        keeps_up: with the model; None where nobody knows how fast that is.
    """

    workers: int
    images_per_s: float
    keeps_up: bool | None


def choose(measured: Sequence[Measured], needed_images_per_s: float | None = None) -> Choice:
    """The smallest number of workers that keeps up with the model; without one, or if none does, of the fastest.

    0 workers are measured to compare with, and recommended only if nothing else was: each batch would be made while
    the model waits.

    Args:
        measured: at least one number of workers.
        needed_images_per_s: what the model takes; None for as many as there are.
    """
    rates = {each.workers: each.median_images_per_s for each in measured if each.workers}
    if not rates:
        rates = {1: measured[0].median_images_per_s}  # one worker makes what none does, and beside the model
    if needed_images_per_s is not None:
        enough = [workers for workers, rate in rates.items() if rate >= _SPARE * needed_images_per_s]
        if enough:
            return Choice(min(enough), rates[min(enough)], True)
    best = max(rates.values())
    workers = min(workers for workers, rate in rates.items() if rate * _GAIN >= best)
    return Choice(workers, rates[workers], None if needed_images_per_s is None else False)


def limit_of(best: Measured, cpus: int, *, from_disk: bool, keeps_up: bool | None) -> Limit:
    """What limits the fastest feed that was measured.

    Args:
        best: that one.
        cpus: that the process may use.
        from_disk: whether the files came from there while it was measured.
        keeps_up: whether the feed does, with the model.
    """
    if keeps_up:
        return Limit.MODEL
    own, others = mean(best.own_cores), mean(best.others_cores)
    if own + others >= _BUSY * cpus:
        return Limit.OTHERS if others >= _DISTURBED * cpus else Limit.CPU
    return Limit.STORAGE if from_disk else Limit.UNKNOWN


def fastest(measured: Sequence[Measured]) -> Measured:
    """By its median; without workers only if nothing else was measured, as that is not recommended."""
    return max([each for each in measured if each.workers] or measured, key=lambda each: each.median_images_per_s)


def most_workers(cpus: int) -> int:
    """Beyond which nothing is measured: threads that wait for slow storage are worth more than one for a CPU."""
    return max(_SURE_RUNGS[-1], 4 * cpus)


def next_workers(rates: Mapping[int, float], most: int) -> int | None:
    """How many workers to measure next: twice as many, as long as that was worth it.

    Args:
        rates: images per second by the number of workers.
        most: workers that there may be.

    Returns:
        None for no more.
    """
    for rung in _SURE_RUNGS:
        if rung not in rates:
            return rung
    top = max(rates)
    below = max(rate for workers, rate in rates.items() if workers < top)
    if top >= most or rates[top] < _GAIN * below:
        return None
    return min(2 * top, most)


def workers_between(rates: Mapping[int, float]) -> int | None:
    """A number of workers halfway between the two fastest; None if there is none, or it was measured."""
    if len(rates) < 2:
        return None
    low, high = sorted(sorted(rates, key=lambda workers: rates[workers])[-2:])
    middle = (low + high) // 2
    return None if middle in rates else middle

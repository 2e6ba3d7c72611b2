"""Rates and times that can be trusted, or that say they cannot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from penstock.bench._load import LoadMeter

Clock = Callable[[], float]

UNSTABLE_SHARE = 0.15  # of the median; five quiet rounds on two cores of a shared machine stay within 2 to 6 %
DISTURBED_CORES = 0.1  # taken by others; an idle Linux machine takes 0.00 to 0.03
_LEAST_READINGS = 3  # fewer have no spread to speak of


@dataclass(frozen=True)
class Reading:
    """One side in one round.

    Attributes:
        value: images per second, or milliseconds.
        wall_s: measured time, warm-up excluded.
        images: delivered in that time.
        parts: the single values behind `value`, where it is itself a median.
        own_cores, others_cores: in use meanwhile, warm-up included; see `Load`.
    """

    value: float
    wall_s: float
    images: int = 0
    parts: tuple[float, ...] = ()
    own_cores: float = 0.0
    others_cores: float = 0.0


@dataclass(frozen=True)
class Side:
    """One way of feeding.

    Attributes:
        name: within its row.
        unit: of its readings, "images/s" or "ms".
        measure: called with the least seconds to measure for; 0 means only as much as warms everything up. It makes
            its feed and closes it, so that what one side makes ahead costs no other side's time.
    """

    name: str
    unit: str
    measure: Callable[[float], Reading]


@dataclass(frozen=True)
class Pace:
    """How the batches of a feed are counted.

    Attributes:
        lanes: batches that are made at a time. They come in clusters of that many, so only whole clusters count.
        ahead: batches that may be made ahead; as many are taken before the clock starts, so none is counted that was
            made before.
    """

    lanes: int = 1
    ahead: int = 0

    @property
    def warm_up_batches(self) -> int:
        """Batches to take first: those made ahead and one more, in whole clusters."""
        return -(-(self.ahead + 1) // self.lanes) * self.lanes

    @property
    def least_batches(self) -> int:
        """Batches to count at least, however slow the feed."""
        return max(2, self.lanes)


@dataclass(frozen=True)
class Summary:
    """The readings of one side.

    Attributes:
        median, quartile_range: in the side's unit.
        unstable: the quartiles lie further apart than 15 % of the median, or there are fewer than three readings.
    """

    median: float
    quartile_range: float
    unstable: bool

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Median and quartiles, linear between neighbours; at least one value."""
        median = statistics.median(values)
        if len(values) < _LEAST_READINGS:
            return cls(median, max(values) - min(values), True)
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, high - low, high - low > UNSTABLE_SHARE * abs(median))


def drain(feed: Iterator[int], pace: Pace, seconds: float, clock: Clock = perf_counter) -> Reading:
    """Take batches as fast as they come.

    Args:
        feed: yields the images in each batch, without end.
        pace: how they are counted.
        seconds: measured time, at least; ends with a whole batch.
        clock: for tests.

    Returns:
        Images per second of whole batches.
    """
    for _ in range(pace.warm_up_batches):
        next(feed)
    images = batches = 0
    began = clock()
    while True:
        images += next(feed)
        batches += 1
        wall_s = clock() - began
        if batches >= pace.least_batches and batches % pace.lanes == 0 and wall_s >= seconds:
            return Reading(images / wall_s, wall_s, images)


def with_load(measure: Callable[[], Reading]) -> Reading:
    """A reading that knows who else used the processor."""
    meter = LoadMeter()
    reading = measure()
    load = meter.load()
    return replace(reading, own_cores=load.own_cores, others_cores=load.others_cores)


def run_rounds(
    sides: Sequence[Side], rounds: int, seconds: float, tell: Callable[[str], None]
) -> Mapping[str, tuple[Reading, ...]]:
    """Measure the sides in turn, round after round.

    Before the first round each side runs once, uncounted: compiled kernels are loaded, files are in the page cache.
    Every other round goes backwards, so that a machine that slows down during the run favours no side.

    Args:
        tell: called with a line about each reading.

    Returns:
        The readings by the side's name, one per round.
    """
    readings: dict[str, list[Reading]] = {side.name: [] for side in sides}
    for side in sides:
        side.measure(0)
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            reading = with_load(partial(side.measure, seconds))
            readings[side.name].append(reading)
            beside = f"  (others: {reading.others_cores:.2f} cores)" if reading.others_cores > DISTURBED_CORES else ""
            tell(f"round {number + 1}/{rounds}  {side.name}: {reading.value:,.1f} {side.unit}{beside}")
    return {name: tuple(values) for name, values in readings.items()}

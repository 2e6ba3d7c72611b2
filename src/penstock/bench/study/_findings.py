"""What the readings come to: medians, speed-ups, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from penstock.bench._measure import DISTURBED_CORES, Summary
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._setting import Setting

_RESAMPLINGS = 2000
_INTERVAL = (2.5, 97.5)  # percentiles
_LEAST_ROUNDS = 3  # of fewer, a resampling says nothing
_MOSTLY_CACHED = 0.1  # of files that had been dropped from the cache


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast as without workers.

    Attributes:
        value: ratio of the medians.
        low, high: 95 % interval, from rounds drawn again and again with their partners; of two rounds the extremes, of
            one nothing: all three are the same.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Example: "3.51x (3.40 to 3.62)"."""
        spread = f" ({self.low:.2f} to {self.high:.2f})" if self.low < self.high else ""
        return f"{self.value:.2f}x{spread}"


@dataclass(frozen=True)
class Measured:
    """A setting's readings, one a round.

    Attributes:
        setting: which.
        readings: at least one.
    """

    setting: Setting
    readings: tuple[PieceReading, ...]

    @property
    def images_per_s(self) -> tuple[float, ...]:
        """Of each round."""
        return tuple(reading.images_per_s for reading in self.readings)

    @property
    def summary(self) -> Summary:
        """Median and spread of the rate."""
        return Summary.of(self.images_per_s)

    def seconds_for(self, images: int) -> float:
        """That so many images take, by the median rate."""
        return images / self.summary.median

    def per_image(self, name: str) -> float:
        """Median of "wall_s", "user_s" or "system_s" of one image."""
        return median(float(getattr(reading, name)) / reading.images for reading in self.readings)

    @property
    def wait_share(self) -> float | None:
        """Of the time, that the model waited for data; None where no model did."""
        shares = [reading.wait_s / reading.wall_s for reading in self.readings if reading.wait_s is not None]
        return min(1.0, median(shares)) if shares else None

    def mean_of(self, name: str) -> float | None:
        """Mean of "cpu_percent" or "gpu_percent"; None where it was not measured."""
        values = [value for reading in self.readings if (value := getattr(reading, name)) is not None]
        return fmean(values) if values else None


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    Attributes:
        measured: settings that have a reading, in the order in which they are shown.
    """

    measured: tuple[Measured, ...]

    @classmethod
    def of(cls, settings: Sequence[Setting], readings: Mapping[Setting, Sequence[PieceReading]]) -> Findings:
        """Put them in order."""
        return cls(tuple(Measured(each, tuple(readings[each])) for each in settings if readings.get(each)))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """In order."""
        return tuple(dict.fromkeys(each.setting.batch_size for each in self.measured))

    def of_size(self, batch_size: int) -> Findings:
        """Those with batches of that size."""
        return Findings(tuple(each for each in self.measured if each.setting.batch_size == batch_size))

    def baseline(self, batch_size: int) -> Measured | None:
        """Without workers; None if it was not measured yet."""
        found = (each for each in self.measured if each.setting.is_baseline and each.setting.batch_size == batch_size)
        return next(found, None)

    def speed_up(self, each: Measured) -> SpeedUp | None:
        """Over the same batches without workers; None where there is nothing to compare with."""
        baseline = self.baseline(each.setting.batch_size)
        if baseline is None:
            return None
        rounds = min(len(each.readings), len(baseline.readings))
        rates = np.array([each.images_per_s[:rounds], baseline.images_per_s[:rounds]])
        value = each.summary.median / baseline.summary.median
        if rounds < _LEAST_ROUNDS:
            ratios = rates[0] / rates[1]
            return SpeedUp(value, min(value, float(ratios.min())), max(value, float(ratios.max())))
        drawn = np.random.default_rng(0).integers(rounds, size=(_RESAMPLINGS, rounds))
        medians = np.median(rates[:, drawn], axis=2)
        low, high = np.percentile(medians[0] / medians[1], _INTERVAL)
        return SpeedUp(value, min(value, float(low)), max(value, float(high)))

    def best(self, batch_size: int) -> Measured | None:
        """The fastest of penstock's; None where nothing is there to compare it with."""
        if self.baseline(batch_size) is None:
            return None
        ours = [each for each in self.measured if each.setting.is_ours and each.setting.batch_size == batch_size]
        return max(ours, key=lambda each: each.summary.median)

    def closing_lines(self) -> list[str]:
        """What the study ended with: the best speed-up, and at which count; one line for each batch size."""
        lines = []
        several = len(self.batch_sizes) > 1
        for batch_size in self.batch_sizes:
            best = self.best(batch_size)
            speed_up = None if best is None else self.speed_up(best)
            where = f" in batches of {batch_size}" if several else ""
            if best is None or speed_up is None:
                continue
            if best.setting.is_baseline:
                lines.append(f"Best speed-up{where}: none; no number of workers was faster than none.")
            else:
                doubt = ", which may be none at all" if speed_up.low <= 1 else ""
                lines.append(f"Best speed-up{where}: {speed_up} with {best.setting.label}{doubt}.")
        return lines

    def warnings(self) -> list[str]:
        """Why it should not be trusted, as far as that is known."""
        lines = []
        few = any(len(each.readings) < _LEAST_ROUNDS for each in self.measured)
        if few:
            lines.append("Fewer than three rounds: this shows that it runs, and no speed.")
        wide = [each for each in self.measured if each.summary.unstable]
        if wide and not few:
            names = "; ".join(each.setting.label for each in wide[:4]) + (" and others" if len(wide) > 4 else "")
            lines.append(f"Spread too wide to trust (quartiles more than 15 % of the median apart): {names}.")
        readings = [reading for each in self.measured for reading in each.readings]
        disturbed = [reading.others_cores for reading in readings if reading.others_cores > DISTURBED_CORES]
        if disturbed:
            lines.append(
                f"Other programs took up to {max(disturbed):.1f} cores during {len(disturbed)} of {len(readings)} "
                "readings: measure again without them."
            )
        cached = [reading.cached_share for reading in readings if reading.cached_share is not None]
        if cached and max(cached) > _MOSTLY_CACHED:
            lines.append(
                f"Up to {100 * max(cached):.0f} % of the files stayed in the system's cache: these are not cold files."
            )
        return lines

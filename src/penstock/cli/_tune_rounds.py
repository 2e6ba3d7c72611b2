"""In which order numbers of workers are measured, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from penstock.bench._measure import Clock
from penstock.cli._tune_choice import next_workers, workers_between

_ROUNDS_WORTH_A_NUMBER = 3  # one more number of workers is measured only if it gets as many readings

Measure = Callable[[int], float]
"""Measures a number of workers; returns images per second."""


class Rounds:
    """Measures more and more workers, then all of them in turns, so that a hiccup of the machine hits all alike.

    Args:
        measure: called with a number of workers.
        most: workers that there may be.
        end_s: on the clock. What would not be done by then, as far as can be foreseen, is not begun.
        clock: seconds.
    """

    def __init__(self, measure: Measure, most: int, end_s: float, clock: Clock) -> None:
        self._measure, self._most, self._end_s, self._clock = measure, most, end_s, clock
        self._rates: dict[int, list[float]] = {}
        self._cost_s: dict[int, float] = {}

    def run(self) -> Iterator[int]:
        """Yields the number of workers after each reading; at least one."""
        yield self._measured(0)
        yield from self._climbed()
        between = workers_between(self._medians)
        if between is not None and self._fits(_ROUNDS_WORTH_A_NUMBER * (self._round_s + self._dearest_s)):
            yield self._measured(between)
        number = 0
        while self._fits(self._round_s):
            number += 1
            # Every other round goes the other way: a machine that slows down meanwhile favours no number.
            for workers in sorted(self._rates, reverse=number % 2 == 1):
                yield self._measured(workers)
            yield from self._climbed()  # one reading may have been too low; medians know better

    def _climbed(self) -> Iterator[int]:
        while (workers := next_workers(self._medians, self._most)) is not None and self._fits(self._dearest_s):
            yield self._measured(workers)

    def _measured(self, workers: int) -> int:
        began = self._clock()
        self._rates.setdefault(workers, []).append(self._measure(workers))
        self._cost_s[workers] = self._clock() - began
        return workers

    @property
    def _medians(self) -> dict[int, float]:
        return {workers: median(rates) for workers, rates in self._rates.items()}

    @property
    def _round_s(self) -> float:
        return sum(self._cost_s.values())

    @property
    def _dearest_s(self) -> float:
        return max(self._cost_s.values())

    def _fits(self, seconds: float) -> bool:
        return self._clock() + seconds <= self._end_s

"""What `penstock plan` foretells, beside what is measured here: costs of sizes it was not fitted to, and waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from time import perf_counter
from typing import Any, final

from penstock import feed
from penstock.bench._claim import SHARE, Claim
from penstock.bench._measure import Pace, Reading, Side, drain
from penstock.bench._photographs import Contents
from penstock.bench._plan_rates import Size, measure_rates, measure_readings
from penstock.bench._row import Row, file_settings
from penstock.bench._scale import Scale
from penstock.bench._sequences import Waiting
from penstock.bench._workloads import QUEUE_BATCHES
from penstock.planning._pipeline import Pipeline
from penstock.planning._rates import Rates, foretold_s
from penstock.planning._simulate import simulate

MEASURED, FORETOLD, BY_RATES = "measured", "foretold", "foretold from rates"
_WORKERS = (1, 2)
_SLEEPERS = (1, 2, 8)
_UNSEEN = (Size(0.75, 80, 192, 32), Size(1.5, 95, 160, 16))  # none of them is among those that rates are fitted to
_STEP_OF_MAKING = 0.7  # of what one worker takes for a batch: one is too few, two would do on cores of their own
_SLEEP_SHARE = 0.25  # of a sleep that the accelerator takes: four workers would do
_STEPS = 1000
_IMAGES = 32


def plan_cost(scale: Scale) -> Row:
    """CPU time of an image, in sizes that no rate was fitted to."""
    trial = _Trial(scale)
    sides: list[Side] = []
    claims = []
    for size in _UNSEEN:
        name = f"{size.scale:g} times the size, quality {size.quality}, to {size.target_px}x{size.target_px}"
        sides += [
            Side(f"{name}, {MEASURED}", "ms", trial.measured_ms(size)),
            Side(f"{name}, {FORETOLD}", "ms", trial.foretold_ms(size)),
        ]
        claims.append(Claim(name, f"{name}, {FORETOLD}", f"{name}, {MEASURED}", SHARE))
    return Row(
        "plan-cost",
        "CPU time of an image",
        tuple(sides),
        tuple(claims),
        {**file_settings(trial.data), "rates": asdict(trial.rates)},
        "Sizes that no rate was fitted to; rates were measured just before. CPU time, so that other programs count "
        "only as far as they share caches.",
    )


def plan_waiting(scale: Scale) -> Row:
    """Images a second that an accelerator gets which sleeps for each batch."""
    trial = _Trial(scale)
    step_s = _STEP_OF_MAKING * trial.batch_s
    sides: list[Side] = []
    claims = []
    for workers in _WORKERS:
        name = f"{workers} worker{'s' if workers > 1 else ''}"
        sides += [
            Side(f"{name}, {MEASURED}", "images/s", trial.accelerated(workers, step_s)),
            Side(f"{name}, {FORETOLD}", "images/s", trial.calibrated(workers, step_s)),
            Side(f"{name}, {BY_RATES}", "images/s", trial.by_rates(workers, step_s)),
        ]
        claims += [
            Claim(f"{name}, {how}", f"{name}, {how}", f"{name}, {MEASURED}", SHARE) for how in (FORETOLD, BY_RATES)
        ]
    return Row(
        "plan-waiting",
        f"A step of {1000 * step_s:.0f} ms",
        tuple(sides),
        tuple(claims),
        {**file_settings(trial.data), "step_s": step_s, "rates": asdict(trial.rates)},
        "The accelerator is a sleep. Foretold: from how long workers took for a batch just before, without it, on this "
        "machine as busy as it was. From rates: from their CPU time alone, as if each had a core of its own.",
    )


def plan_latency(scale: Scale) -> Row:
    """The same of a sequence that sleeps, as one that waits for a network does."""
    wait_s = scale.feeds.wait_s / 10
    step_s = _SLEEP_SHARE * wait_s
    data = Waiting(wait_s)
    sides: list[Side] = []
    claims = []
    for workers in _SLEEPERS:
        name = f"{workers} worker{'s' if workers > 1 else ''}"

        pipeline = Pipeline(1, step_s, workers, workers, max(QUEUE_BATCHES, workers), compute_s=1e-5, read_s=wait_s)
        sides += [
            Side(f"{name}, {MEASURED}", "batches/s", accelerated(partial(_fed, data, workers), step_s, lambda _: 1)),
            Side(f"{name}, {FORETOLD}", "batches/s", _always(_foretold(pipeline, 1))),
        ]
        claims.append(Claim(name, f"{name}, {FORETOLD}", f"{name}, {MEASURED}", SHARE))
    return Row(
        "plan-latency",
        f"Requests of {1000 * wait_s:g} ms, a step of {1000 * step_s:g} ms",
        tuple(sides),
        tuple(claims),
        {"wait_s": wait_s, "step_s": step_s},
        "A Sequence sleeps as long as its requests would take. Foretold from these two figures alone.",
    )


def _fed(data: Waiting, workers: int) -> Any:
    return feed(data, workers=workers, max_queue_size=QUEUE_BATCHES)


def _always(reading: Reading) -> Callable[[float], Reading]:
    return lambda _: reading


PLAN_ROWS = {"plan-cost": plan_cost, "plan-waiting": plan_waiting, "plan-latency": plan_latency}


@final
class _Trial:
    """Files, and what they cost here.

    Args:
        scale: how much is fed.
    """

    def __init__(self, scale: Scale) -> None:
        self.data = replace(scale.files, target_px=min(224, scale.files.target_px), batch_size=16)
        self._paths = [Path(path) for path in self.data.listed()[0][:_IMAGES]]
        self._settings = self.data.ranges.keywords()
        self._seconds = scale.feeds.rates_s

    @cached_property
    def rates(self) -> Rates:
        """Measured here, now."""
        name = "the benchmark's photographs"
        return measure_rates(self._paths, self.data.target_px, self._seconds, self._settings, name)

    @cached_property
    def batch_s(self) -> float:
        """Of a core, for a batch of the photographs as they are."""
        contents = Contents.of(self.data.folder)
        cost, images = self.rates.cost, self.data.batch_size
        return cost.decode_s(images, contents.mean_px, contents.mean_bytes) + cost.transform_s(
            images, self.data.target_px**2
        )

    @cached_property
    def unseen(self) -> dict[Size, float]:
        """Milliseconds of an image, by rates."""
        readings = measure_readings(self._paths, _UNSEEN, 0.0, self._settings)  # for their pixels and bytes
        cost = self.rates.cost
        pairs = zip(_UNSEEN, readings, strict=True)
        return {size: 1000 * foretold_s(cost, reading) / size.batch_size for size, reading in pairs}

    def measured_ms(self, size: Size) -> Callable[[float], Reading]:
        """CPU milliseconds of an image."""

        def measure(seconds: float) -> Reading:
            began = perf_counter()
            (reading,) = measure_readings(self._paths, (size,), seconds, self._settings)
            images = reading.batches * reading.batch_size
            return Reading(1000 * reading.seconds / reading.batch_size, perf_counter() - began, images)

        return measure

    def foretold_ms(self, size: Size) -> Callable[[float], Reading]:
        """The same from rates."""
        return lambda _: Reading(self.unseen[size], 0.0)

    def accelerated(self, workers: int, step_s: float) -> Callable[[float], Reading]:
        """Images a second beside an accelerator that sleeps."""
        return accelerated(lambda: self.data.penstock_flow(workers), step_s, lambda batch: len(batch[0]))

    def calibrated(self, workers: int, step_s: float) -> Callable[[float], Reading]:
        """Foretold from how long workers take for a batch where nothing keeps them waiting."""

        def measure(seconds: float) -> Reading:
            with self.data.penstock_flow(workers) as flow:
                drain((len(batch[0]) for batch in flow), Pace(workers, QUEUE_BATCHES), seconds)
                stats = flow.stats
            batch_s = sum(stats.make_s.values()) / stats.batches
            return _foretold(self._pipeline(workers, step_s, batch_s), self.data.batch_size)

        return measure

    def by_rates(self, workers: int, step_s: float) -> Callable[[float], Reading]:
        """Foretold from rates."""
        return lambda _: _foretold(self._pipeline(workers, step_s, self.batch_s), self.data.batch_size)

    def _pipeline(self, workers: int, step_s: float, batch_s: float) -> Pipeline:
        depth = max(QUEUE_BATCHES, workers)
        return Pipeline(1, step_s, workers, workers, depth, compute_s=batch_s, spread=self.rates.spread)


def accelerated(make_flow: Callable[[], Any], step_s: float, count: Callable[[Any], int]) -> Callable[[float], Reading]:
    """What an accelerator gets that sleeps for each batch; a reading's part is the share of the time that it waits.

    Args:
        make_flow: closed at the end; batches come without end.
        step_s: to sleep, at least; a sleep is as long as the system makes it, and what it really took is what counts.
        count: what is in a batch.
    """

    def measure(seconds: float) -> Reading:
        with make_flow() as flow:
            for _ in range(2 * QUEUE_BATCHES if seconds else 1):  # what was made before the first was asked for
                next(flow)
                time.sleep(step_s)
            things, waited_s, began = 0, 0.0, perf_counter()
            while True:
                asked = perf_counter()
                things += count(next(flow))
                waited_s += perf_counter() - asked
                time.sleep(step_s)
                wall_s = perf_counter() - began
                if wall_s >= seconds:
                    return Reading(things / wall_s, wall_s, things, (waited_s / wall_s,))

    return measure


def _foretold(pipeline: Pipeline, batch_size: int) -> Reading:
    share = simulate(pipeline, _STEPS).waiting_share
    return Reading(batch_size * pipeline.wanted * (1 - share), 0.0, parts=(share,))

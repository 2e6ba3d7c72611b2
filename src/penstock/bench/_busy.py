"""Feeding beside Python code that keeps the interpreter busy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter

from penstock.bench._feeds import Feed
from penstock.bench._measure import Clock, Pace, Reading, Side, drain

_CALIBRATION_S = 0.4
_COUNT = 1000  # loop turns between two looks at whether to go on: about 30 us


def beside_spinning_main(name: str, feed: Feed, pace: Pace, switch_interval_s: float | None = None) -> Side:
    """The hard case: a thread drains the feed while the main thread counts.

    The counting loop never gives up the interpreter lock by itself; others get it by asking and waiting for the switch
    interval, 5 ms, each time. A training loop is kinder: it waits for the device.

    Args:
        switch_interval_s: for `sys.setswitchinterval` meanwhile; None for the interpreter's own 5 ms.
    """

    def measure(seconds: float) -> Reading:
        with _switching(switch_interval_s), feed() as batches, ThreadPoolExecutor(1, "consumer") as executor:
            reading = executor.submit(drain, batches, pace, seconds)
            turns = 0
            while not reading.done():
                for _ in range(_COUNT):
                    turns += 1
            return reading.result()

    return Side(name, "images/s", measure)


def working_half_the_time(name: str, feed: Feed, pace: Pace) -> Side:
    """The usual case: whoever takes the batches computes in Python between them, for half of the time."""

    def measure(seconds: float) -> Reading:
        with feed() as batches:
            return drain(_worked_on(batches), pace, seconds)

    return Side(name, "images/s", measure)


def working_steadily(name: str, feed: Feed, pace: Pace) -> Side:
    """A training step's way: the same work after each batch, half of the time that the batch takes undisturbed."""

    def measure(seconds: float) -> Reading:
        with feed() as batches:
            undisturbed = drain(batches, pace, min(seconds, _CALIBRATION_S))
            return drain(_steadily_worked_on(batches, 0.5 / undisturbed.value), pace, seconds)

    return Side(name, "images/s", measure)


@contextmanager
def _switching(interval_s: float | None) -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual if interval_s is None else interval_s)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _steadily_worked_on(batches: Iterator[int], per_image_s: float, clock: Clock = perf_counter) -> Iterator[int]:
    """After each batch, compute for `per_image_s` an image."""
    for images in batches:
        until = clock() + images * per_image_s
        while clock() < until:
            pass
        yield images


def _worked_on(batches: Iterator[int], clock: Clock = perf_counter) -> Iterator[int]:
    """After each batch, compute for as long as it was waited for."""
    while True:
        asked = clock()
        images = next(batches)
        came = clock()
        until = came + (came - asked)
        while clock() < until:
            pass
        yield images

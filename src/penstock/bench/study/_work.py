"""One piece of work: to take batches, or to train on them; and what it has cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol

from penstock.bench._measure import Pace
from penstock.bench.study._data import Photographs, StudyData
from penstock.bench.study._gauges import Gauges, PieceReading
from penstock.bench.study._opened import Opened
from penstock.bench.study._page_cache import cached_share, forget
from penstock.bench.study._setting import Setting

_LEAST_BATCHES = 2


class Work(Protocol):
    """Measures so many steps of a feed that has been warmed up."""

    def warm_up(self, opened: Opened, setting: Setting) -> None:
        """Do what is done once, and what a queue is full of."""
        ...

    def measured(self, opened: Opened, setting: Setting, steps: int) -> PieceReading:
        """Do it."""
        ...


def steps_for(images: int, setting: Setting) -> int:
    """Batches of a piece of work: so many images at least, in whole clusters of what workers make at a time."""
    lanes = max(1, setting.workers) if setting.is_ours else 1
    batches = max(_LEAST_BATCHES, -(-images // setting.batch_size))
    return -(-batches // lanes) * lanes


def measure_piece(
    data: StudyData,
    setting: Setting,
    images: int,
    work: Work,
    opened: Callable[[StudyData, Setting], AbstractContextManager[Opened]],
    *,
    cold: bool = False,
) -> PieceReading:
    """Open a feed, warm it up, measure it, and close it.

    Args:
        data: what is fed.
        setting: by whom.
        images: to measure, at least.
        work: what is done with them.
        opened: opens the feed.
        cold: drop the files' cached pages between the warm-up and the measurement.
    """
    began = perf_counter()
    share = None
    with opened(data, setting) as feed:
        work.warm_up(feed, setting)
        if cold:
            assert isinstance(data, Photographs)
            paths, _ = data.listed()
            forget(paths)
            share = cached_share(paths)
        reading = work.measured(feed, setting, steps_for(images, setting))
    return replace(reading, extra_s=perf_counter() - began - reading.wall_s, cached_share=share)


class Taking:
    """Batches are taken as fast as they come, and nothing is done with them.

    Args:
        check: called before each batch; what it raises ends the work.
    """

    def __init__(self, check: Callable[[], object] = lambda: None) -> None:
        self._check = check

    def warm_up(self, opened: Opened, setting: Setting) -> None:  # noqa: ARG002
        """Take those that were made ahead."""
        take(opened.batches, opened.pace, self._check)

    def measured(self, opened: Opened, setting: Setting, steps: int) -> PieceReading:  # noqa: ARG002
        """Take so many."""
        with Gauges() as gauges:
            images = 0
            for _ in range(steps):
                self._check()
                images += len(next(opened.batches)[0])
            return gauges.reading(images)


def take(batches: Iterator[Any], pace: Pace, check: Callable[[], object] = lambda: None) -> None:
    """Take the batches that a feed has made ahead, so that none is counted that was made before the clock started."""
    for _ in range(pace.warm_up_batches):
        check()
        next(batches)

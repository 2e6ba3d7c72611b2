"""What feeds do."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import final

from penstock.feeding._running import Feeding
from penstock.monitor._probes import Rate


@final
class FeedProbe:
    """Five numbers of each running feed, `feed_0_...` for the first one.

    - `feed_0_samples_per_s`: delivered.
    - `feed_0_wait_percent`: of the time, that the consumer waited for a batch.
    - `feed_0_ready_batches`: made and not yet delivered.
    - `feed_0_queue_percent`: those, of what the queue can hold.
    - `feed_0_busy_workers`: at a batch; the others wait for room in the queue.

    Args:
        feeds: those that run.
        clock: seconds.
    """

    def __init__(self, feeds: Callable[[], Sequence[Feeding]], clock: Callable[[], float] = perf_counter) -> None:
        self._feeds = feeds
        self._clock = clock
        self._known: weakref.WeakKeyDictionary[Feeding, tuple[str, Rate, Rate]] = weakref.WeakKeyDictionary()
        self._count = 0
        self._looked_s: float | None = None  # a feed that has begun since then, had counted nothing

    def __call__(self) -> Mapping[str, float]:
        measured: dict[str, float] = {}
        looked_s, self._looked_s = self._looked_s, self._clock()
        for feed in self._feeds():
            if feed not in self._known:
                rates = Rate(self._clock, looked_s), Rate(self._clock, looked_s)
                self._known[feed] = f"feed_{self._count}", *rates
                self._count += 1
            name, delivery, waiting = self._known[feed]
            stats = feed.stats
            measured[f"{name}_ready_batches"] = stats.ready
            measured[f"{name}_queue_percent"] = 100 * stats.ready / max(1, stats.depth)
            measured[f"{name}_busy_workers"] = stats.busy
            samples_per_s, wait_share = delivery(stats.samples), waiting(stats.wait_s)
            if samples_per_s is not None and wait_share is not None:
                measured[f"{name}_samples_per_s"] = samples_per_s
                measured[f"{name}_wait_percent"] = min(100.0, 100 * wait_share)
        return measured

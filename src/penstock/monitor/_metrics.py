"""The figures of running flows for Prometheus, and so for dashboards."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, final

from penstock.feeding._running import Feeding, running
from penstock.feeding._stats import FeedStats

_COUNTERS: dict[str, tuple[str, Callable[[FeedStats], float]]] = {
    "penstock_feed_batches": ("Batches delivered.", lambda stats: stats.batches),
    "penstock_feed_samples": ("Samples delivered.", lambda stats: stats.samples),
    "penstock_feed_wait_seconds": ("Time that the consumer waited for batches.", lambda stats: stats.wait_s),
    "penstock_feed_dropped_batches": ("Batches made ahead and thrown away.", lambda stats: stats.dropped),
    "penstock_feed_bad_samples": ("Samples left out or replaced.", lambda stats: stats.bad_samples),
    "penstock_feed_cache_hits": ("Samples delivered that were taken from the cache.", lambda stats: stats.cache_hits),
}
_GAUGES: dict[str, tuple[str, Callable[[FeedStats], float]]] = {
    "penstock_feed_ready_batches": ("Batches made and not yet delivered.", lambda stats: stats.ready),
    "penstock_feed_busy_workers": ("Workers at a batch.", lambda stats: stats.busy),
    "penstock_feed_queue_depth_batches": ("Batches that the queue can hold.", lambda stats: stats.depth),
    "penstock_feed_peak_bytes": ("Bound of the memory of batches in the queue.", lambda stats: stats.peak_bytes),
    "penstock_feed_cache_images": ("The flow's images that the cache holds.", lambda stats: stats.cache_images),
    "penstock_feed_cache_bytes": ("All images that are kept in the cache.", lambda stats: stats.cache_bytes),
}


@final
class MetricsServer:
    """An endpoint that is there until it is closed, or the interpreter ends; `serve_metrics` makes one.

    Attributes:
        address: at which it listens.
        port: at which it listens.

    Args:
        server: of prometheus-client.
        thread: which serves.
    """

    def __init__(self, server: Any, thread: threading.Thread) -> None:
        self.address: str = server.server_address[0]
        self.port: int = server.server_port
        self._server = server
        self._thread = thread

    def close(self) -> None:
        """Free the port; may be called twice."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<metrics at http://{self.address}:{self.port}/metrics>"


def serve_metrics(
    port: int = 9464, address: str = "127.0.0.1", *, feeds: Callable[[], Sequence[Feeding]] = running
) -> MetricsServer:
    """Let Prometheus read what the running flows do, at `http://127.0.0.1:9464/metrics`.

    Each flow has a number, from 0 on, as the label `feed`; figures of a flow that is closed disappear. A request reads
    what `flow.stats` holds, and takes nothing that training waits for. It works without a `Monitor`.

    - `penstock_feed_batches_total`, `penstock_feed_samples_total`: delivered.
    - `penstock_feed_wait_seconds_total`: that the consumer waited for batches.
    - `penstock_feed_make_seconds_total`: that workers spent on them, by the label `stage`.
    - `penstock_feed_dropped_batches_total`, `penstock_feed_bad_samples_total`.
    - `penstock_feed_ready_batches`, `penstock_feed_queue_depth_batches`: in the queue, and at most.
    - `penstock_feed_busy_workers`: at a batch.
    - `penstock_feed_peak_bytes`: the bound of the queue's memory.
    - `penstock_feed_cache_hits_total`: samples delivered that did not have to be read and decoded. Of a flow with a
      cache, the others are misses: `penstock_feed_samples_total - penstock_feed_cache_hits_total`.
    - `penstock_feed_cache_images`, `penstock_feed_cache_bytes`: the flow's images in its cache, and all in it.

    Args:
        port: 0 for a free one, which the result names.
        address: of this machine; that of the default is reached from this machine only. Whoever reaches it can read the
            figures: nobody is asked for a password.
        feeds: those that run; by default all of the program's.

    Returns:
        The endpoint, to be closed; without that it is there for as long as the program.

    Raises:
        ImportError: prometheus-client is not installed; `pip install penstock[prometheus]`.
        OSError: the port is taken.
        ValueError: it is no port.
    """
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ImportError as error:
        raise ImportError("`serve_metrics` needs prometheus-client: pip install penstock[prometheus]") from error
    if not isinstance(port, int) or not 0 <= port < 2**16:
        raise ValueError(f"`port` should be a number from 0 to {2**16 - 1}. Received: {port!r}")
    registry = CollectorRegistry(auto_describe=False)  # of its own: the global one is the program's
    registry.register(_FeedCollector(feeds))
    try:
        return MetricsServer(*start_http_server(port, address, registry))
    except OSError as error:
        raise OSError(
            error.errno,
            f"`port` should be a free one of {address}, or 0 for any. Received: {port!r} ({error.strerror})",
        ) from error


@final
class _FeedCollector:
    """Reads the counts of the feeds when Prometheus asks.

    Args:
        feeds: those that run.
    """

    def __init__(self, feeds: Callable[[], Sequence[Feeding]]) -> None:
        self._feeds = feeds
        self._numbers: weakref.WeakKeyDictionary[Feeding, str] = weakref.WeakKeyDictionary()
        self._count = itertools.count()
        self._lock = threading.Lock()  # two that ask at a time are answered by two threads

    def collect(self) -> Iterator[Any]:
        """All figures, by Prometheus's names, which end counters with "_total"."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        snapshots = self._snapshots()
        for families, kind in ((_COUNTERS, CounterMetricFamily), (_GAUGES, GaugeMetricFamily)):
            for name, (what, value) in families.items():
                family = kind(name, what, labels=["feed"])
                for number, stats in snapshots:
                    family.add_metric([number], value(stats))
                yield family
        made = CounterMetricFamily(
            "penstock_feed_make_seconds", "Time that workers spent on delivered batches.", labels=["feed", "stage"]
        )
        for number, stats in snapshots:
            for stage, seconds in stats.make_s.items():
                made.add_metric([number, stage], seconds)
        yield made

    def _snapshots(self) -> list[tuple[str, FeedStats]]:
        with self._lock:
            return [(self._number(feed), feed.stats) for feed in self._feeds()]

    def _number(self, feed: Feeding) -> str:
        if feed not in self._numbers:
            self._numbers[feed] = str(next(self._count))
        return self._numbers[feed]

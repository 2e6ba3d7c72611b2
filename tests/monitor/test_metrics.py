"""What dashboards read of the running flows."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest

import penstock.monitor
from penstock import ImageDataGenerator
from penstock._types import WorkerId
from penstock.feeding._stats import FeedStats
from penstock.monitor import MetricsServer, serve_metrics

prometheus_client = pytest.importorskip("prometheus_client")
text_string_to_metric_families = pytest.importorskip("prometheus_client.parser").text_string_to_metric_families

Samples = dict[tuple[str, ...], float]


class FakeFeed:
    """Runs, and has the counts that it is told."""

    is_running = True
    worker_ids: tuple[WorkerId, ...] = ()

    def __init__(self, stats: FeedStats) -> None:
        self.stats = stats


def scraped(server: MetricsServer) -> Samples:
    """Values by name and labels, of a real request."""
    with urlopen(f"http://{server.address}:{server.port}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_all_figures_of_each_flow_come_with_its_number() -> None:
    stats = FeedStats(
        batches=7,
        samples=220,
        wait_s=1.5,
        make_s={"read": 0.5, "transform": 2.0},
        ready=3,
        busy=2,
        depth=10,
        dropped=4,
        peak_bytes=123_456_789,
        bad_samples=1,
        cache_hits=180,
        cache_images=40,
        cache_bytes=6_000,
    )
    feeds = [FakeFeed(stats), FakeFeed(FeedStats(batches=1))]
    with serve_metrics(0, feeds=lambda: feeds) as server:
        samples = scraped(server)
    assert {key: value for key, value in samples.items() if key[1] == "0"} == {
        ("penstock_feed_batches_total", "0"): 7,
        ("penstock_feed_samples_total", "0"): 220,
        ("penstock_feed_wait_seconds_total", "0"): 1.5,
        ("penstock_feed_make_seconds_total", "0", "read"): 0.5,
        ("penstock_feed_make_seconds_total", "0", "transform"): 2.0,
        ("penstock_feed_dropped_batches_total", "0"): 4,
        ("penstock_feed_bad_samples_total", "0"): 1,
        ("penstock_feed_ready_batches", "0"): 3,
        ("penstock_feed_busy_workers", "0"): 2,
        ("penstock_feed_queue_depth_batches", "0"): 10,
        ("penstock_feed_peak_bytes", "0"): 123_456_789,
        ("penstock_feed_cache_hits_total", "0"): 180,
        ("penstock_feed_cache_images", "0"): 40,
        ("penstock_feed_cache_bytes", "0"): 6_000,
    }
    assert samples[("penstock_feed_batches_total", "1")] == 1


def flow_of(**options: Any) -> Any:
    x = np.zeros((64, 8, 8, 3), "uint8")
    return ImageDataGenerator().flow(x, batch_size=16, seed=0, **options)


def test_a_real_flow_is_there_while_it_runs_and_gone_when_it_is_closed() -> None:
    with serve_metrics(0) as server:
        assert scraped(server) == {}
        with flow_of(workers=2) as flow:
            assert scraped(server) == {}  # it has made nothing yet
            for _ in range(5):
                next(flow)
            samples, stats = scraped(server), flow.stats
            assert samples[("penstock_feed_batches_total", "0")] == stats.batches == 5
            assert samples[("penstock_feed_samples_total", "0")] == 80
            assert samples[("penstock_feed_wait_seconds_total", "0")] == pytest.approx(stats.wait_s)
            assert samples[("penstock_feed_make_seconds_total", "0", "transform")] > 0
            assert samples[("penstock_feed_peak_bytes", "0")] == flow.peak_bytes
        assert scraped(server) == {}
        with flow_of(workers=1) as flow:
            next(flow)
            assert set(scraped(server)) >= {("penstock_feed_batches_total", "1")}


def test_a_scrape_does_not_wait_for_training_nor_training_for_it() -> None:
    """A consumer that waits for a batch holds the flow's locks; the scrape is answered all the same."""
    begun, gate = threading.Event(), threading.Event()

    def held(image: Any) -> Any:
        begun.set()
        assert gate.wait(60)
        return image

    x = np.zeros((8, 4, 4, 1), "float32")
    generator = ImageDataGenerator(preprocessing_function=held)
    with serve_metrics(0) as server, generator.flow(x, batch_size=4, workers=1) as flow:
        consumer = threading.Thread(target=next, args=(flow,))
        consumer.start()
        assert begun.wait(60)
        before = scraped(server)
        after = scraped(server)
        assert consumer.is_alive()
        assert before[("penstock_feed_batches_total", "0")] == 0
        waits = [samples[("penstock_feed_wait_seconds_total", "0")] for samples in (before, after)]
        assert waits[0] < waits[1]  # it grows while the consumer waits, and not only when the batch has come
        gate.set()
        consumer.join(60)
        assert scraped(server)[("penstock_feed_batches_total", "0")] == 1


def test_batches_are_the_same_whether_or_not_anybody_scrapes() -> None:
    with flow_of(workers=2, shuffle=True) as flow:
        expected = [next(flow) for _ in range(40)]
    over = threading.Event()
    with serve_metrics(0) as server, flow_of(workers=2, shuffle=True) as flow:

        def scrape() -> None:
            while not over.is_set():
                scraped(server)

        scraper = threading.Thread(target=scrape)
        scraper.start()
        batches = [next(flow) for _ in range(40)]
        over.set()
        scraper.join(60)
        assert flow.stats.dropped == 0
    for batch, due in zip(batches, expected, strict=True):
        np.testing.assert_array_equal(batch, due)


def test_the_registry_of_the_program_is_left_alone() -> None:
    before = prometheus_client.generate_latest()
    with serve_metrics(0) as one, serve_metrics(0) as other:
        assert one.port != other.port
        assert prometheus_client.generate_latest().count(b"\n") == before.count(b"\n")
        assert not any(name.startswith(("python", "process")) for name, *_ in scraped(one))


@pytest.mark.parametrize("port", [-1, 65536, "9464", 1.5])
def test_what_is_no_port_is_refused(port: Any) -> None:
    with pytest.raises(ValueError, match="`port` should be a number from 0 to 65535"):
        serve_metrics(port)


def test_closing_frees_the_port_and_may_be_done_twice() -> None:
    server = serve_metrics(0)
    assert repr(server) == f"<metrics at http://127.0.0.1:{server.port}/metrics>"
    with pytest.raises(OSError, match=rf"`port` should be a free one of 127\.0\.0\.1, .* Received: {server.port}"):
        serve_metrics(server.port)
    server.close()
    server.close()
    assert not server._thread.is_alive()
    serve_metrics(server.port).close()


def test_a_program_ends_with_an_endpoint_open() -> None:
    code = "from penstock.monitor import serve_metrics\nprint(serve_metrics(0).port > 0)"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert time.monotonic() - began < 50


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"needs prometheus-client: pip install penstock\[prometheus\]"):
        serve_metrics(0)


def test_importing_the_monitor_costs_nothing() -> None:
    code = (
        "import sys, penstock.monitor\n"
        "heavy = {'penstock.monitor._metrics', 'prometheus_client', 'psutil', 'numpy', 'keras'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "penstock.monitor.serve_metrics\n"
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "False"]


def test_what_is_not_there_is_an_error() -> None:
    assert dir(penstock.monitor) == ["MetricsServer", "serve_metrics"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        penstock.monitor.nothing  # noqa: B018

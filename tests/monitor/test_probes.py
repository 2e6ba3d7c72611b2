"""What is measured, is so."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from fakes import FakeClock, fake_nvml
from penstock._types import WorkerId
from penstock.feeding._stats import FeedStats
from penstock.monitor._feed_probe import FeedProbe
from penstock.monitor._gpu_probe import gpu_probe
from penstock.monitor._probes import DiskProbe, MachineProbe, MemoryProbe, Rate, WorkerProbe

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell of threads")


class FakeFeed:
    """Runs, and has the counts that it is told."""

    is_running = True

    def __init__(self, *worker_ids: WorkerId) -> None:
        self.stats = FeedStats()
        self.worker_ids = worker_ids


@contextmanager
def busy_thread() -> Iterator[WorkerId]:
    """Computes until it is left."""
    begun, over = threading.Event(), threading.Event()

    def compute() -> None:
        begun.set()
        while not over.is_set():
            sum(range(1000))

    thread = threading.Thread(target=compute)
    thread.start()
    assert begun.wait(60)
    assert thread.native_id is not None
    yield WorkerId(os.getpid(), thread.native_id)
    over.set()
    thread.join(60)


@contextmanager
def child(code: str) -> Iterator[WorkerId]:
    """A process at it, once it has said that it has begun."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield WorkerId(process.pid)
        process.kill()


BUSY = "print('begun', flush=True)\nwhile True: pass"
IDLE = "print('begun', flush=True); input()"


def after(seconds: float, probe: Callable[[], Any]) -> Any:
    """What a probe says of so much time."""
    probe()
    threading.Event().wait(seconds)  # what is measured is what passes meanwhile
    return probe()


def test_a_rate_is_growth_by_time() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    assert rate(100) is None
    clock.now = 2.0
    assert rate(130) == 15.0
    clock.now = 2.5
    assert rate(130) == 0.0


def test_a_rate_knows_nothing_of_no_time_and_never_falls() -> None:
    clock = FakeClock()
    rate = Rate(clock)
    rate(5)
    assert rate(7) is None
    clock.now = 1.0
    assert rate(3) == 0.0  # it began anew


@linux
def test_a_busy_thread_takes_a_core_and_an_idle_one_none() -> None:
    with busy_thread() as busy:
        over = threading.Event()
        idle = threading.Thread(target=over.wait)
        idle.start()
        assert idle.native_id is not None
        workers = [busy, WorkerId(os.getpid(), idle.native_id)]
        for _ in range(5):  # on a busy machine it gets less, and not the same all the time
            began, used = time.perf_counter(), _thread_cpu_s(busy)
            measured = after(0.5, WorkerProbe(lambda: workers))
            share = (_thread_cpu_s(busy) - used) / (time.perf_counter() - began)
            if measured["worker_0_cpu_percent"] == pytest.approx(100 * share, abs=25):
                break
        over.set()
        idle.join(60)
    assert set(measured) == {"worker_0_cpu_percent", "worker_1_cpu_percent"}
    assert measured["worker_0_cpu_percent"] == pytest.approx(100 * share, abs=25)
    assert measured["worker_0_cpu_percent"] > 10
    assert measured["worker_1_cpu_percent"] < 5


def _thread_cpu_s(worker: WorkerId) -> float:
    (times,) = [thread for thread in psutil.Process().threads() if thread.id == worker.thread]
    return float(times.user_time + times.system_time)


def test_a_busy_process_takes_a_core_and_an_idle_one_none() -> None:
    with child(BUSY) as busy, child(IDLE) as idle:
        process = psutil.Process(busy.pid)
        began, used = time.perf_counter(), sum(process.cpu_times()[:2])
        measured = after(0.5, WorkerProbe(lambda: [busy, idle]))
        share = (sum(process.cpu_times()[:2]) - used) / (time.perf_counter() - began)
    assert measured["worker_0_cpu_percent"] == pytest.approx(100 * share, abs=25)
    assert measured["worker_0_cpu_percent"] > 10
    assert measured["worker_1_cpu_percent"] < 5


def test_a_worker_that_has_ended_is_left_out_and_its_number_taken_by_the_next() -> None:
    workers: list[WorkerId] = []
    probe = WorkerProbe(lambda: workers)
    with child(IDLE) as stays:
        with child(IDLE) as goes:
            workers[:] = [goes, stays]
            assert set(after(0.05, probe)) == {"worker_0_cpu_percent", "worker_1_cpu_percent"}
        assert set(probe()) == {"worker_1_cpu_percent"}
        with child(IDLE) as comes:
            workers[:] = [stays, comes]
            assert set(after(0.05, probe)) == {"worker_1_cpu_percent", "worker_0_cpu_percent"}


def test_a_worker_that_is_not_listed_for_a_while_keeps_its_number() -> None:
    workers: list[WorkerId] = []
    probe = WorkerProbe(lambda: workers)
    with child(IDLE) as first, child(IDLE) as second, child(IDLE) as third:
        workers[:] = [first, second]
        probe()
        workers[:] = [third]
        probe()
        workers[:] = [second]
        assert set(after(0.05, probe)) == {"worker_1_cpu_percent"}


def test_memory_is_that_of_this_process_and_of_worker_processes() -> None:
    alone = MemoryProbe(list)()["memory_mb"]
    assert alone == pytest.approx(psutil.Process().memory_info().rss / 1e6, rel=0.05)
    threads = [WorkerId(os.getpid(), 1), WorkerId(os.getpid(), 2)]
    assert MemoryProbe(lambda: threads)()["memory_mb"] == pytest.approx(alone, rel=0.05)
    with child("x = bytearray(300_000_000)\n" + IDLE) as large:
        assert MemoryProbe(lambda: [large, *threads])()["memory_mb"] - alone > 290
    assert MemoryProbe(lambda: [large])()["memory_mb"] == pytest.approx(alone, rel=0.05)  # it has ended


def test_the_machine_is_busy_for_what_is_not_idle_and_two_that_look_do_not_disturb_each_other() -> None:
    times = {"user": 10.0, "system": 5.0, "idle": 80.0, "iowait": 5.0, "guest": 9.0}
    one, other = MachineProbe(lambda: times), MachineProbe(lambda: times)
    assert one() == other() == {}
    times.update(user=11.0, idle=82.0, iowait=6.0, guest=10.0)
    assert one() == other() == {"cpu_percent": 25.0}
    assert one() == {}  # no time has passed
    times.update(user=12.0)
    assert one() == {"cpu_percent": 100.0}


def test_the_real_machine_is_measured() -> None:
    with busy_thread():
        measured = after(0.3, MachineProbe())
    assert 0 < measured["cpu_percent"] <= 100


@pytest.mark.parametrize("answer", [None, NotImplementedError("no /proc/diskstats"), RuntimeError("no disk")])
def test_disks_that_the_system_does_not_tell_of_are_absent(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def counters() -> None:
        if answer is not None:
            raise answer

    monkeypatch.setattr(psutil, "disk_io_counters", counters)
    clock = FakeClock()
    probe = DiskProbe(clock)
    assert probe() == {}
    clock.now = 1.0
    assert probe() == {}


def test_disks_are_looked_at_once_a_second_and_told_in_megabytes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, clock = SimpleNamespace(read_bytes=0), FakeClock()
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: counters)
    probe = DiskProbe(clock)
    assert probe() == {}
    counters.read_bytes, clock.now = 30_000_000, 0.5
    assert probe() == {}
    clock.now = 1.5
    assert probe() == {"disk_read_mb_per_s": 20.0}
    counters.read_bytes, clock.now = 90_000_000, 2.0
    assert probe() == {"disk_read_mb_per_s": 20.0}
    clock.now = 2.5
    assert probe() == {"disk_read_mb_per_s": 60.0}


def test_the_counts_of_feeds_become_rates() -> None:
    clock = FakeClock()
    first, second = FakeFeed(), FakeFeed()
    feeds = [first, second]
    probe = FeedProbe(lambda: feeds, clock)
    first.stats = FeedStats(samples=100, wait_s=1.0, ready=3, busy=2, depth=4)
    assert probe() == {
        "feed_0_ready_batches": 3,
        "feed_0_queue_percent": 75,
        "feed_0_busy_workers": 2,
        "feed_1_ready_batches": 0,
        "feed_1_queue_percent": 0,
        "feed_1_busy_workers": 0,
    }
    clock.now = 2.0
    first.stats = FeedStats(samples=160, wait_s=1.5)
    measured = probe()
    assert (measured["feed_0_samples_per_s"], measured["feed_0_wait_percent"]) == (30.0, 25.0)
    feeds.remove(first)
    assert {name.split("_")[1] for name in probe()} == {"1"}
    feeds.append(FakeFeed())
    assert {name.split("_")[1] for name in probe()} == {"1", "2"}


def test_a_feed_that_begins_later_has_counted_nothing_before() -> None:
    clock, feeds = FakeClock(), list[FakeFeed]()
    probe = FeedProbe(lambda: feeds, clock)
    assert probe() == {}
    clock.now = 2.0
    feeds.append(FakeFeed())
    feeds[0].stats = FeedStats(samples=10, wait_s=1.0)
    measured = probe()
    assert (measured["feed_0_samples_per_s"], measured["feed_0_wait_percent"]) == (5.0, 50.0)


def test_a_consumer_waits_no_more_than_all_of_the_time() -> None:
    """A wait that ends between two looks at the clock is counted a little late."""
    clock, feed = FakeClock(), FakeFeed()
    probe = FeedProbe(lambda: [feed], clock)
    probe()
    clock.now, feed.stats = 0.1, FeedStats(wait_s=0.11)
    assert probe()["feed_0_wait_percent"] == 100


def test_without_the_package_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_probe() is None


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(0))
    assert gpu_probe() is None


def test_each_gpu_has_its_use_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(2))
    probe = gpu_probe()
    assert probe is not None
    assert probe() == {
        "gpu_0_percent": 90,
        "gpu_0_memory_mb": 1000,
        "gpu_1_percent": 91,
        "gpu_1_memory_mb": 2000,
    }

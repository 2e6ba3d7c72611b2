"""A sampler asks regularly, costs little, and ends."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import fake_nvml
from penstock import FlowClosed, ImageDataGenerator, feed
from penstock.monitor._monitor import Monitor
from penstock.monitor._sampler import Sampler

SOON = 0.001  # seconds between two rounds, where a test waits for some


class CountedProbe:
    """Counts its calls, and can be waited for."""

    def __init__(self, fails_at: int = -1) -> None:
        self.calls = 0
        self.called = threading.Semaphore(0)
        self.threads: set[threading.Thread] = set()
        self._fails_at = fails_at

    def __call__(self) -> Mapping[str, float]:
        self.calls += 1
        self.threads.add(threading.current_thread())
        self.called.release()
        if self.calls == self._fails_at:
            raise OSError("the disk is gone")
        return {"calls": self.calls}

    def wait_for(self, calls: int) -> None:
        for _ in range(calls):
            assert self.called.acquire(timeout=60)


def monitor_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "penstock-monitor"]


def test_it_asks_at_once_then_at_regular_times_and_a_last_time() -> None:
    probe, times = CountedProbe(), list[float]()
    sampler = Sampler({"counts": probe}, 0.05, lambda time_s, measured: times.append(time_s))
    probe.wait_for(4)
    sampler.stop()
    assert times == sorted(times)
    assert all(number * 0.05 <= time_s for number, time_s in enumerate(times[:-1]))
    assert probe.calls == len(times)


class Collected:
    """Receives so many rounds.

    Args:
        count: how many.
        first_s: how long the first one takes.
    """

    def __init__(self, count: int, first_s: float = 0.0) -> None:
        self.times: list[float] = []
        self.enough = threading.Event()
        self._count = count
        self._first_s = first_s

    def __call__(self, time_s: float, measured: Mapping[str, float]) -> None:
        self.times.append(time_s)
        began = time.perf_counter()
        while len(self.times) == 1 and time.perf_counter() - began < self._first_s:
            pass
        if len(self.times) == self._count:
            self.enough.set()


def test_a_round_that_is_late_neither_shifts_the_next_ones_nor_crowds_them() -> None:
    """The first takes 2.7 intervals. The next comes after 4, and not after 3, which would be next to no time later."""
    collected = Collected(3, first_s=2.7 * 0.05)
    sampler = Sampler({}, 0.05, collected)
    assert collected.enough.wait(60)
    sampler.stop()
    assert collected.times[1] >= 4 * 0.05
    assert collected.times[2] >= 5 * 0.05


def test_a_stop_at_once_still_gives_two_rounds_for_rates() -> None:
    for _ in range(50):
        collected = Collected(2)
        Sampler({}, 3600.0, collected).stop()
        assert len(collected.times) == 2


def test_a_stop_right_after_a_round_adds_none() -> None:
    """A rate over next to no time is noise."""
    collected = Collected(2)
    sampler = Sampler({}, 1.0, collected)
    assert collected.enough.wait(60)
    sampler.stop()
    assert len(collected.times) == 2


def test_a_probe_that_fails_warns_once_and_the_others_go_on() -> None:
    good, bad = CountedProbe(), CountedProbe(fails_at=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sampler = Sampler({"disks": bad, "counts": good}, SOON, lambda *_: None)
        good.wait_for(10)
        sampler.stop()
    (warning,) = [warning for warning in caught if "monitor" in str(warning.message)]
    assert warning.category is RuntimeWarning
    assert str(warning.message) == "penstock: the monitor goes on without disks: OSError: the disk is gone"
    assert bad.calls == 2
    assert good.calls >= 10


def test_a_probe_that_fails_where_warnings_are_errors_ends_nothing() -> None:
    good, bad = CountedProbe(), CountedProbe(fails_at=1)
    sampler = Sampler({"disks": bad, "counts": good}, SOON, lambda *_: None)
    good.wait_for(5)
    sampler.stop()
    assert bad.calls == 1


def test_it_ends_with_stop_which_may_be_called_twice() -> None:
    probe = CountedProbe()
    sampler = Sampler({"counts": probe}, SOON, lambda *_: None)
    probe.wait_for(1)
    sampler.stop()
    sampler.stop()
    (thread,) = probe.threads
    assert not thread.is_alive()


def test_a_stop_wakes_it_from_the_longest_sleep() -> None:
    probe = CountedProbe()
    sampler = Sampler({"counts": probe}, 1e300, lambda *_: None)
    probe.wait_for(1)
    sampler.stop()
    assert monitor_threads() == []


def test_it_ends_when_nobody_refers_to_it() -> None:
    probe = CountedProbe()
    sampler = Sampler({"counts": probe}, SOON, lambda *_: None)
    probe.wait_for(1)
    (thread,) = probe.threads
    del sampler
    thread.join(60)
    assert not thread.is_alive()


def test_a_monitor_that_is_forgotten_ends_with_the_flows_that_it_watches() -> None:
    monitor = Monitor(SOON, feeds=list).start()
    (thread,) = monitor_threads()
    reference = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert reference() is None
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit(3)", "monitor = None", "1 / 0", "import threading; threading.main_thread()"]
)
def test_the_interpreter_ends_with_a_monitor_at_work(end: str) -> None:
    code = f"from penstock.monitor._monitor import Monitor\nmonitor = Monitor(0.001).start()\nprint('on')\n{end}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == {"raise SystemExit(3)": 3, "1 / 0": 1}.get(end, 0)
    assert done.stdout == "on\n"
    assert ("ZeroDivisionError" in done.stderr) if end == "1 / 0" else not done.stderr


def test_start_twice_is_an_error_and_stop_twice_or_without_a_start_none() -> None:
    monitor = Monitor(feeds=list)
    monitor.stop()
    assert not monitor.is_running
    assert monitor.duration == 0
    monitor.start()
    with pytest.raises(RuntimeError, match=r"has been started; `stop\(\)` it first"):
        monitor.start()
    assert monitor.is_running
    assert monitor.stop().stop() is monitor
    duration = monitor.duration
    assert duration > 0
    assert monitor.duration == duration
    assert len(monitor.records) > 0


def test_a_second_start_begins_from_nothing() -> None:
    monitor = Monitor(feeds=list)
    with monitor:
        monitor.mark("before")
    with monitor:
        assert monitor.records.marks == ()
        monitor.mark("after")
    monitor.mark("not running")
    assert [mark.name for mark in monitor.records.marks] == ["after"]


@pytest.mark.parametrize("interval", [0, -1, True, "1", None, float("nan"), float("inf"), 5e-324, 10**400])
def test_an_interval_is_a_positive_number_of_seconds(interval: Any) -> None:
    with pytest.raises(ValueError, match=r"`interval` should be a number of seconds from 0\.001 to 86400\. Received:"):
        Monitor(interval)


def test_a_monitor_cannot_be_pickled_and_says_what_can() -> None:
    import pickle

    with pytest.raises(TypeError, match="`records` can"):
        pickle.dumps(Monitor())
    with Monitor(feeds=list) as monitor:
        pass
    assert len(pickle.loads(pickle.dumps(monitor.records))) == len(monitor.records)


def test_two_monitors_measure_the_same_machine() -> None:
    with Monitor(0.02) as one, Monitor(0.02) as other, flow_of(2) as flow:
        consume(flow, until=lambda: has_delivered(one, "feed_0") and has_delivered(other, "feed_0"))
    for monitor in (one, other):
        assert "memory_mb" in set(monitor.records)
        assert np.nanmax(monitor.records["cpu_percent"]) > 0


@pytest.mark.parametrize("gpus", [None, 0, 2])
def test_gpus_have_columns_where_there_are_any(gpus: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None if gpus is None else fake_nvml(gpus))
    with Monitor(feeds=list) as monitor:
        pass
    found = [name for name in monitor.records if name.startswith("gpu")]
    assert found == [f"gpu_{k}_{what}" for k in range(gpus or 0) for what in ("percent", "memory_mb")]


def test_saving_goes_by_the_ending(tmp_path: Path) -> None:
    with Monitor(feeds=list) as monitor:
        pass
    for name in ("m.csv", "m.json", "m.PNG", "m.svg"):
        assert monitor.save(str(tmp_path / name)) == tmp_path / name
        assert (tmp_path / name).stat().st_size > 0
    assert "columns" in json.loads((tmp_path / "m.json").read_text())
    with pytest.raises(ValueError, match=r"should end with \.csv, \.json, \.png, \.svg or \.pdf\. Received: 'm\.xls'"):
        monitor.save("m.xls")


# --- with real flows ---


def flow_of(workers: int, **options: Any) -> Any:
    x = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), "uint8")
    return ImageDataGenerator(rotation_range=30).flow(x, batch_size=32, workers=workers, **options)


def consume(flow: Any, until: Any) -> None:
    while not until():
        next(flow)


def has_delivered(monitor: Monitor, feed: str) -> bool:
    records = monitor.records
    name = f"{feed}_samples_per_s"
    return name in set(records) and np.nanmax(np.nan_to_num(records[name])) > 0


def has_workers(monitor: Monitor, count: int) -> bool:
    """Whether so many have been measured; where the system does not tell of threads, they never are."""
    return sys.platform != "linux" or f"worker_{count - 1}_cpu_percent" in set(monitor.records)


def test_a_flow_that_is_made_and_closed_meanwhile_has_figures_while_it_runs() -> None:
    with Monitor(0.02) as monitor:
        before = monitor.duration
        with flow_of(2) as flow:
            consume(flow, until=lambda: has_delivered(monitor, "feed_0") and has_workers(monitor, 2))
        closed = monitor.duration
        with pytest.raises(FlowClosed):
            next(flow)
        with flow_of(1) as flow:
            consume(flow, until=lambda: has_delivered(monitor, "feed_1"))
    records = monitor.records
    first, second = (records["time_s"][np.isfinite(records[f"feed_{number}_samples_per_s"])] for number in (0, 1))
    assert before <= first.min()
    assert first.max() <= closed
    assert first.max() < second.min()
    if sys.platform == "linux":
        workers = [name for name in records if name.startswith("worker_")]
        assert workers == ["worker_0_cpu_percent", "worker_1_cpu_percent"]


def numbers() -> Any:
    while True:
        yield np.zeros((4, 3), "float32"), np.zeros(4, "float32")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no worker processes")
@pytest.mark.parametrize("kind", ["image flow", "generator"])
def test_processes_have_worker_columns(kind: str) -> None:
    made = (
        flow_of(2, use_multiprocessing=True)
        if kind == "image flow"
        else feed(numbers, workers=1, use_multiprocessing=True)
    )
    expected = {f"worker_{number}_cpu_percent" for number in range(2 if kind == "image flow" else 1)}
    with made as flow, Monitor(0.02) as monitor:
        consume(flow, until=lambda: expected <= set(monitor.records))
    assert {name for name in monitor.records if name.startswith("worker_")} == expected


class Spied:
    """Feeds, of which the thread that asks is known, and what it has cost."""

    def __init__(self) -> None:
        from penstock.feeding._running import running

        self._running = running
        self.cpu_s: list[float] = []

    def __call__(self) -> Any:
        self.cpu_s.append(time.thread_time())
        return self._running()


def test_it_costs_under_three_hundredths_of_a_core() -> None:
    """With 2 feeds of 4 workers it is 0.7 to 0.9 % of a core of an AMD EPYC, on 2 cores that the workers keep busy."""
    feeds = Spied()
    with flow_of(4) as one, flow_of(4) as other, Monitor(feeds=feeds) as monitor:
        while monitor.duration < 3:
            next(one)
            next(other)
    share = (feeds.cpu_s[-1] - feeds.cpu_s[0]) / monitor.duration
    print(f"{100 * share:.2f} % of a core")
    assert len(feeds.cpu_s) > 20
    assert share < 0.03

"""How many workers: a pure function, on measured figures and on a simulated feed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from penstock.autotune import Limits, Period, Setting, batches_to_measure, choose
from simulator import Simulator, best_rate, tuned

TRACES = json.loads((Path(__file__).parent / "traces.json").read_text())
BURST = 20


def burst(number: int) -> float:
    return 0.5 if number % BURST == BURST - 1 else 0.001


WORKLOADS: dict[str, tuple[Callable[[], Simulator], Limits]] = {
    "computes, 2 cores": (lambda: Simulator(0.01), Limits(2)),
    "computes, 8 cores": (lambda: Simulator(0.01, cores=8), Limits(8)),
    "waits for storage": (lambda: Simulator(0.001, 0.5), Limits(2)),
    "waits for storage, a model": (lambda: Simulator(0.001, 0.5, own_s=lambda _: 0.1), Limits(2)),
    "computes and waits": (lambda: Simulator(0.01, 0.03, cores=4, own_s=lambda _: 0.012), Limits(4)),
    "a slow model": (lambda: Simulator(0.01, own_s=lambda _: 0.1, cores=8), Limits(8)),
    "computes in Python": (lambda: Simulator(0.02, has_lock=True), Limits(2, may_use_processes=True)),
    "computes in Python, 8 cores": (lambda: Simulator(0.02, has_lock=True, cores=8), Limits(8, 32, True)),
    "computes in Python, threads": (lambda: Simulator(0.02, has_lock=True), Limits(2)),
    "tiny": (lambda: Simulator(0.00001), Limits(2)),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_it_settles_within_20_batches_near_the_best_fixed_setting(name: str) -> None:
    make, limits = WORKLOADS[name]
    periods, changes = tuned(make(), limits, 400, Setting(2))
    assert all(at <= 20 for at in changes), changes
    settled = [period for period in periods if period.setting == periods[-1].setting]
    rate = sum(period.batches for period in settled) / sum(period.seconds for period in settled)
    assert rate >= 0.95 * best_rate(make, limits)


@pytest.mark.parametrize(
    ("name", "workers", "processes"),
    [
        ("computes, 8 cores", 8, False),
        ("waits for storage", 32, False),
        ("waits for storage, a model", 7, False),
        ("a slow model", 1, False),
        ("computes in Python", 2, True),
        ("tiny", 0, False),
    ],
)
def test_it_takes_the_smallest_number_that_keeps_the_consumer_from_waiting(
    name: str, workers: int, processes: bool
) -> None:
    make, limits = WORKLOADS[name]
    periods, _ = tuned(make(), limits, 400, Setting(2))
    assert periods[-1].setting == Setting(workers, processes)


def test_a_consumer_in_bursts_does_not_make_it_go_to_and_fro() -> None:
    periods, changes = tuned(Simulator(0.01, own_s=burst, cores=8), Limits(8), 2000, Setting(2))
    assert len(changes) <= 4
    late = periods[len(periods) // 2 :]
    waited_s = sum(period.wait_s for period in late) / sum(period.seconds for period in late)
    assert waited_s < 0.03


def test_workers_that_idle_are_let_go_and_come_back_when_batches_get_dearer() -> None:
    simulator = Simulator(0.01, own_s=lambda _: 0.02, cores=8)
    periods, _ = tuned(simulator, Limits(8), 200, Setting(8))
    assert periods[-1].setting == Setting(1)
    simulator.cpu_s = 0.05
    periods, _ = tuned(simulator, Limits(8), simulator.delivered + 100, Setting(1))
    assert periods[-1].setting.workers in (3, 4)
    assert periods[-1].wait_share < 0.03


def test_more_workers_that_bring_nothing_are_given_back() -> None:
    """A disk that serves one at a time: each of n workers waits n times as long."""
    measured: list[Period] = []
    setting = Setting(2)
    tried = []
    for _ in range(20):
        measured.append(Period(setting, 8, 1.0, 1.0, float(setting.workers), 0.01))
        setting = choose(measured, Limits(4))
        tried.append(setting.workers)
    assert tried[:6] == [32, 2, 8, 2, 4, 2]
    assert set(tried[6:]) == {2}


def test_processes_that_are_no_faster_are_given_back_once() -> None:
    threads = Period(Setting(2), 8, 1.0, 1.0, 2.0, 1.0, waits_for_lock=True)
    limits = Limits(2, may_use_processes=True)
    assert choose([threads], limits) == Setting(2, processes=True)
    processes = Period(Setting(2, processes=True), 8, 1.2, 1.2, 2.0, 1.0)
    assert choose([threads, processes], limits) == Setting(2)
    assert choose([threads, processes, threads], limits) == Setting(2)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace["name"])
def test_what_was_measured_on_a_real_machine_leads_to_what_was_best_there(trace: dict[str, Any]) -> None:
    def setting(values: list[Any]) -> Setting:
        return Setting(*values)

    periods = [Period(**{**period, "setting": setting(period["setting"])}) for period in trace["periods"]]
    assert choose(periods, Limits(**trace["limits"])) == setting(trace["chosen"])


settings = st.builds(Setting, st.integers(0, 40), st.booleans()).filter(lambda s: s.workers or not s.processes)
seconds = st.floats(0, 100)
periods = st.builds(Period, settings, st.integers(1, 100), seconds, seconds, seconds, seconds, st.booleans())


@given(st.lists(periods, min_size=1, max_size=6), st.integers(1, 16), st.integers(1, 32), st.booleans())
def test_whatever_is_measured_the_choice_keeps_to_the_limits(
    measured: list[Period], cpus: int, most: int, may_use_processes: bool
) -> None:
    chosen = choose(measured, Limits(cpus, most, may_use_processes))
    tried = {period.setting for period in measured}
    assert chosen in tried or chosen.workers <= max(most, cpus, 1)
    assert chosen.workers >= 0
    if chosen.processes:
        assert may_use_processes or any(setting.processes for setting in tried)
    assert batches_to_measure(chosen) >= 4

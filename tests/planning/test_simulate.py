"""The simulation: against queueing theory, Little's law and common sense."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from penstock.planning._pipeline import Pipeline
from penstock.planning._simulate import simulate
from strategies import examples

PIPELINES = st.builds(
    Pipeline,
    ranks=st.integers(1, 6),
    step_s=st.floats(0.01, 1),
    cores=st.integers(1, 12),
    workers=st.integers(1, 5),
    depth=st.integers(1, 8),
    compute_s=st.floats(0.01, 1),
    spread=st.sampled_from((0.0, 0.1, 0.5, 1.0)),
    read_s=st.sampled_from((0.0, 0.05, 1.0)),
    receive_s=st.sampled_from((0.0, 0.01, 0.3)),
    send_s=st.sampled_from((0.0, 0.01, 0.3)),
)


def simulated(pipeline: Pipeline, steps: int = 60) -> float:
    """Seconds until the last step is done."""
    return simulate(pipeline, steps, warm_up=0).seconds


# --- against theory ---


def idle_share_of_m_d_1_k(load: float, places: int) -> float:
    """Share of the time that a server is idle, with Poisson arrivals, constant service and room for so many customers.

    From the chain of customers left behind at departures (Gross and Harris, section 5.1.8, for M/G/1/K).
    """
    arrive = [math.exp(-load) * load**k / math.factorial(k) for k in range(places)]
    chain = np.zeros((places, places))
    for left in range(places):
        after = max(left - 1, 0)
        for arrivals in range(places - after):
            chain[left, min(after + arrivals, places - 1)] += arrive[arrivals]
        chain[left, places - 1] += 1 - chain[left].sum()
    system = np.vstack([chain.T - np.eye(places), np.ones(places)])
    empty = np.linalg.lstsq(system, np.append(np.zeros(places), 1.0), rcond=None)[0][0]
    return float(empty / (empty + load))


@pytest.mark.parametrize("load", [0.7, 0.95, 1.0, 1.2, 1.6])
@pytest.mark.parametrize("depth", [1, 2, 5, 10])
def test_one_worker_with_exponential_times_is_the_queue_m_d_1_k(load: float, depth: int) -> None:
    """A worker that stops while the queue is full is a stream of arrivals that is cut off: neither remembers.

    The consumer serves one customer, and `depth` are ready for it.
    """
    pipeline = Pipeline(1, step_s=load, cores=1, workers=1, depth=depth, compute_s=1.0, spread=1.0)
    waits = simulate(pipeline, 60_000).waiting_share
    assert waits == pytest.approx(idle_share_of_m_d_1_k(load, depth + 1), abs=0.012)


@given(PIPELINES.map(lambda pipeline: replace(pipeline, spread=0.0)))
@examples(50)
def test_without_spread_littles_law_tells_the_waiting_share(pipeline: Pipeline) -> None:
    """Nothing is faster than its tightest bound; where nothing varies, and the queue has room, nothing is slower."""
    waits = simulate(pipeline, 400, warm_up=200).waiting_share
    assert waits >= pipeline.waiting_share - 0.01
    if pipeline.depth > 1 + 2 * pipeline.workers:
        assert waits <= pipeline.waiting_share + 0.02


@given(PIPELINES)
@examples(50)
def test_what_is_under_way_is_rate_times_time(pipeline: Pipeline) -> None:
    """Little's law, of the reading: batches that are read at a time are batches a second times how long each is."""
    outcome = simulate(pipeline, 100)
    rate = 100 * pipeline.ranks / outcome.seconds
    assert outcome.reading >= rate * (pipeline.read_s + pipeline.receive_s) * (1 - 1e-9)
    if pipeline.receive_s == 0:
        assert outcome.reading == pytest.approx(rate * pipeline.read_s)
    assert outcome.receive_use == pytest.approx(rate * pipeline.receive_s)
    assert outcome.send_use == pytest.approx(rate * pipeline.send_s)
    assert 0 < outcome.core_use <= 1 + 1e-9


# --- more is never worse ---


@given(PIPELINES, st.sampled_from(["cores", "workers", "depth"]), st.integers(1, 5))
@examples(50)
def test_more_of_anything_never_makes_anything_later(pipeline: Pipeline, name: str, more: int) -> None:
    larger = replace(pipeline, **{name: getattr(pipeline, name) + more})
    assert simulated(larger) <= simulated(pipeline) + 1e-9
    waits, waits_less = (simulate(each, 60, warm_up=0).waiting_share for each in (pipeline, larger))
    assert waits_less <= waits + 1e-9


@given(PIPELINES, st.sampled_from(["step_s", "compute_s", "read_s", "receive_s", "send_s"]), st.floats(0, 1))
@examples(50)
def test_what_takes_longer_never_makes_anything_sooner(pipeline: Pipeline, name: str, more_s: float) -> None:
    assert simulated(replace(pipeline, **{name: getattr(pipeline, name) + more_s})) >= simulated(pipeline) - 1e-9


@given(PIPELINES, st.integers(0, 2**32))
@examples(20)
def test_the_same_seed_gives_the_same(pipeline: Pipeline, seed: int) -> None:
    assert simulate(pipeline, 60, seed=seed) == simulate(pipeline, 60, seed=seed)


def test_another_seed_gives_something_else() -> None:
    pipeline = Pipeline(2, 1.0, 2, 1, 3, compute_s=1.0, spread=0.3)
    assert simulate(pipeline, seed=0) != simulate(pipeline, seed=1)


# --- by hand ---


def test_two_steps_by_hand() -> None:
    """Read 2 s, received in 1, made in 4 on one core, sent in 1, and taken; both ranks wait for the second's."""
    pipeline = Pipeline(
        2, step_s=3, cores=1, workers=1, depth=1, compute_s=4, read_s=2, receive_s=1, send_s=1
    )  # fmt: skip
    # Rank 0: received at 3, made at 7, sent at 8. Rank 1: received at 4, made at 11, sent at 12. Both step until 15.
    assert simulate(pipeline, 1, warm_up=0).seconds == 15
    # Their next batches are asked for at 12: received at 15 and 16, made at 19 and 23, sent at 24.
    assert simulate(pipeline, 2, warm_up=0).seconds == 27
    assert simulate(pipeline, 2, warm_up=1).waiting_share == pytest.approx(1 - 3 / 12)


def test_accelerators_that_step_together_wait_for_the_slowest() -> None:
    alone = Pipeline(1, 1.0, cores=1, workers=1, depth=2, compute_s=0.9, spread=0.4)
    together = replace(alone, ranks=16, cores=16)
    assert simulate(together).waiting_share > simulate(alone).waiting_share + 0.05

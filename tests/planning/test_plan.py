"""The answer: cores, nodes, memory, network and requests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from penstock.planning._plan import Job, PlanError, Site, pipeline_of, plan, waiting_by_cores
from penstock.planning._simulate import simulate
from rates import COST, rates
from strategies import examples

RATES = rates()
JOB = Job(
    images=14_000_000,
    epochs=90,
    gpus=64,
    step_s=0.12,
    batch_size=256,
    image_px=187_500,
    image_bytes=110_000,
    target_px=224 * 224,
)
SITE = Site(latency_s=0.02)
IMAGE_S = COST.decode_s(256, 187_500, 110_000) / 256 + COST.transform_s(256, 224**2) / 256


def test_figures_follow_from_the_question() -> None:
    """Each by arithmetic of its own."""
    answer = plan(JOB, SITE, RATES)
    images_per_s = 64 * 256 / 0.12 * (1 - answer.waiting_share)
    assert answer.waiting_share <= 0.01
    assert answer.image_core_s == pytest.approx(IMAGE_S, rel=1e-3)
    assert answer.cores == pytest.approx(images_per_s * IMAGE_S, rel=0.03)  # all of them are busy, and no more
    assert 0.97 < answer.core_use <= 1
    assert answer.nodes == -(-answer.cores // 32)
    assert answer.requests_per_s == pytest.approx(images_per_s)
    assert answer.requests_in_flight == pytest.approx(images_per_s * 0.02)
    assert answer.requests_per_day == pytest.approx(images_per_s * 86_400)
    assert answer.requests_total == 14_000_000 * 90
    assert answer.price(0.4) == pytest.approx(504)
    assert answer.receive_bytes_per_s == pytest.approx(images_per_s * 110e3)
    assert answer.send_bytes_per_s == pytest.approx(images_per_s * 224 * 224 * 3 * 4)
    assert answer.batch_bytes == 256 * 224 * 224 * 3 * 4
    assert answer.queue_bytes == answer.depth * answer.batch_bytes
    assert answer.making_bytes == 64 * answer.workers_per_gpu * answer.batch_bytes
    files_bytes = 64 * answer.workers_per_gpu * 256 * 110_000
    assert answer.memory_per_node_bytes == pytest.approx((answer.making_bytes + files_bytes) / answer.nodes)
    assert answer.epoch_s == pytest.approx(14e6 / images_per_s, rel=0.01)
    assert answer.total_s == pytest.approx(90 * answer.epoch_s)
    assert answer.limit == "cores"
    assert answer.cached.nbytes == 14e6 * 224 * 224 * 3
    assert answer.cached.cores == pytest.approx(64 / 0.12 * COST.transform_s(256, 224**2), rel=0.1)


def test_one_core_fewer_is_too_few() -> None:
    answer = plan(JOB, SITE, RATES)
    fewer = simulate(pipeline_of(JOB, SITE, RATES, answer.cores - 1))
    least = pipeline_of(JOB, SITE, RATES, answer.cores - 1).waiting_share
    assert max(fewer.waiting_share, least) > JOB.waiting >= answer.waiting_share
    assert answer.waiting_share == max(simulate(answer.pipeline).waiting_share, answer.pipeline.waiting_share)


@given(st.integers(8, 60), st.sampled_from((0.05, 0.12, 0.4)))
@examples(6)
def test_twice_the_accelerators_take_twice_the_cores(gpus: int, step_s: float) -> None:
    job = replace(JOB, gpus=gpus, step_s=step_s)
    one, two = plan(job, SITE, RATES), plan(replace(job, gpus=2 * gpus), SITE, RATES)
    assert two.cores == pytest.approx(2 * one.cores, rel=0.05, abs=2)  # more step together, so a few more
    assert two.requests_in_flight == pytest.approx(2 * one.requests_in_flight, rel=0.02)


def test_of_many_ranks_some_are_simulated_with_their_share() -> None:
    one, many = plan(JOB, SITE, RATES), plan(replace(JOB, gpus=64 * 16), SITE, RATES)
    assert many.pipeline.ranks == 64
    assert many.cores == pytest.approx(16 * one.cores, rel=0.03)


@given(st.lists(st.sampled_from((0.0, 0.005, 0.02, 0.1, 0.5, 2.0)), min_size=2, max_size=2).map(sorted))
@examples(6)
def test_more_latency_takes_more_in_flight(latencies: list[float]) -> None:
    near, far = (plan(JOB, replace(SITE, latency_s=each), RATES) for each in latencies)
    assert near.requests_in_flight <= far.requests_in_flight * 1.01
    assert near.workers_per_gpu <= far.workers_per_gpu
    assert near.depth <= far.depth
    assert far.cores == pytest.approx(near.cores, rel=0.03)  # who waits computes nothing


def test_requests_that_a_worker_sends_one_by_one_take_more_workers() -> None:
    together, alone = (plan(JOB, replace(SITE, requests_per_worker=each), RATES) for each in (256, 1))
    assert alone.workers_per_gpu > together.workers_per_gpu + 0.9 * 255 * 0.02 / 0.12
    assert alone.waiting_share <= 0.01


def test_nodes_are_added_until_their_network_carries_it() -> None:
    free = plan(JOB, SITE, RATES)
    narrow = plan(JOB, replace(SITE, nic_bytes_per_s=25e9 / 8), RATES)
    assert narrow.nodes > free.nodes
    assert narrow.send_bytes_per_s / narrow.nodes <= 25e9 / 8
    assert narrow.send_bytes_per_s / (narrow.nodes - 2) > 25e9 / 8 * 0.95
    assert narrow.cores <= 1.02 * free.cores
    assert narrow.waiting_share <= 0.01
    small = plan(JOB, replace(SITE, nic_bytes_per_s=25e9 / 8, send="uint8"), RATES)
    assert free.nodes <= small.nodes < narrow.nodes / 3
    none = plan(JOB, replace(SITE, send="nothing"), RATES)
    assert none.send_bytes_per_s == 0


def test_with_fewer_cores_they_wait_and_training_takes_longer() -> None:
    half = plan(JOB, replace(SITE, cores=plan(JOB, SITE, RATES).cores // 2), RATES)
    assert half.waiting_share == pytest.approx(0.5, abs=0.03)
    assert half.limit == "cores"
    assert half.epoch_s == pytest.approx(2 * 14e6 / JOB.images_per_s, rel=0.06)
    assert half.requests_per_s == pytest.approx(JOB.images_per_s / 2, rel=0.06)


def test_the_clients_own_work_takes_cores() -> None:
    answer = plan(JOB, replace(SITE, request_cpu_s=1e-3), RATES)
    assert answer.image_core_s == pytest.approx(IMAGE_S + 1e-3, rel=1e-3)
    assert answer.cached.cores < plan(JOB, SITE, RATES).cores / 2  # what is cached is not requested
    known = replace(RATES, request_s=2e-3)
    assert plan(JOB, SITE, known).image_core_s == pytest.approx(IMAGE_S + 2e-3, rel=1e-3)
    assert plan(JOB, replace(SITE, request_cpu_s=0.0), known).image_core_s == pytest.approx(IMAGE_S, rel=1e-3)
    assert plan(JOB, replace(SITE, latency_s=0.0), known).image_core_s == pytest.approx(IMAGE_S, rel=1e-3)


def test_the_curve_falls_through_the_plan() -> None:
    answer = plan(JOB, SITE, RATES)
    curve = list(waiting_by_cores(answer, RATES))
    assert (answer.cores, answer.waiting_share, answer.pipeline.waiting_share) in curve
    for (cores, waits, least), (more, waits_less, _) in pairwise(curve):
        assert cores < more
        assert waits_less <= waits + 0.005
        assert least <= waits + 0.005


def test_a_job_of_one_accelerator_that_one_core_feeds() -> None:
    answer = plan(replace(JOB, gpus=1, batch_size=1, step_s=1, images=10), SITE, RATES)
    assert (answer.cores, answer.nodes) == (1, 1)
    assert answer.epoch_s == pytest.approx(10, rel=0.01)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PlanError, match=r"any number of cores: the queue of 1 batches is too short"):
        plan(replace(JOB, gpus=4), Site(queue=1), rates(spread=3.0))
    with pytest.raises(PlanError, match=r"10,000,000 are the most"):
        plan(replace(JOB, gpus=100_000, step_s=1e-4), SITE, RATES)

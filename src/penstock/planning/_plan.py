"""How much a training run needs that its accelerators do not wait."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from penstock.planning._pipeline import Pipeline
from penstock.planning._rates import Rates
from penstock.planning._simulate import Outcome, simulate

CHANNELS = 3
QUEUE_BATCHES = 10  # `max_queue_size`
SENDS: Mapping[str, int] = {"float32": 4, "uint8": 1, "nothing": 0}
"""Bytes of a value that goes over the network from who makes a batch to who takes it."""
_LARGEST_SIMULATED = 64  # ranks; more of them take longer, and change little
_BATCHES_SIMULATED = 19_200  # 300 steps of so many ranks, which take a tenth of a second
_MOST_STEPS = 4000
_SPARE = 1.1
_MOST_CORES = _MOST_NODES = 10_000_000
_NETWORK_USE = 0.95  # of its bandwidth: a full network makes all wait for the last
_DAY_S = 86_400


class PlanError(ValueError):
    """What is asked for cannot be, or not with this; the text says why and what to do."""


@dataclass(frozen=True)
class Job:
    """What is trained on.

    Attributes:
        images: in an epoch.
        epochs: as many.
        gpus: accelerators that train in step, each with batches of its own.
        step_s: that each takes for a batch.
        batch_size: images of each accelerator's batch.
        image_px, image_bytes: pixels of an image as it is stored, and bytes of its file, on average.
        target_px: pixels of an image in the batch.
        waiting: share of the time that accelerators may wait.
    """

    images: int
    epochs: int
    gpus: int
    step_s: float
    batch_size: int
    image_px: float
    image_bytes: float
    target_px: float
    waiting: float = 0.01

    @property
    def images_per_s(self) -> float:
        """That all accelerators take if they never wait."""
        return self.gpus * self.batch_size / self.step_s

    @property
    def steps(self) -> int:
        """In an epoch; all accelerators have as many."""
        return math.ceil(self.images / (self.gpus * self.batch_size))


@dataclass(frozen=True)
class Site:
    """What there is to feed with.

    Attributes:
        cores_per_node: of a machine that makes batches.
        cores: in all; None for as many as it takes.
        nic_bytes_per_s: of such a machine, each way; None for no bound.
        latency_s: from a request to its answer's first byte; 0 for files on a disk.
        requests_per_worker: that a worker has in flight at a time.
        request_cpu_s: of a core, for each request; None for what rates say, if there is a latency.
        send: what of a batch goes over the network: a key of `SENDS`.
        queue: batches under way or ready ahead of each accelerator, at least; more where workers alone fill it.
    """

    cores_per_node: int = 32
    cores: int | None = None
    nic_bytes_per_s: float | None = None
    latency_s: float = 0.0
    requests_per_worker: int = 16
    request_cpu_s: float | None = None
    send: str = "float32"
    queue: int = QUEUE_BATCHES


@dataclass(frozen=True)
class Cached:
    """What keeping decoded images saves, from the second epoch on.

    Attributes:
        nbytes: that all images take, uint8, decoded and resized.
        cores: that make batches of them, instead of those of the plan.
    """

    nbytes: float
    cores: int


@dataclass(frozen=True)
class Plan:
    """The answer.

    Attributes:
        job, site: the question.
        pipeline, outcome: what was simulated, of up to 64 of the ranks with their share of everything.
        cores, nodes: that make batches.
        workers_per_gpu: batches that each accelerator's feed reads and makes at a time.
        depth: batches of each that are under way or ready.
        image_core_s: of a core, for an image.
        waiting_share: of the accelerators' time.
        core_use: share of the time.
        limit: what would be short first: a key of `Pipeline.bounds`.
        head_room: how many times what is taken it could give.
        epoch_s, total_s: that training takes.
        requests_per_s: to where the images are; one an image.
        requests_in_flight: at a time, by Little's law.
        requests_total: of all epochs.
        receive_bytes_per_s, send_bytes_per_s: of all nodes that make batches.
        batch_bytes: of a batch, float32.
        queue_bytes: of the batches of one accelerator's queue, at most; beside it.
        making_bytes, compressed_bytes: of all batches that are being made, and of their files, at most; on nodes that
            make them.
        cached: what a cache would save.
    """

    job: Job
    site: Site
    pipeline: Pipeline
    outcome: Outcome
    cores: int
    nodes: int
    workers_per_gpu: int
    depth: int
    image_core_s: float
    waiting_share: float
    core_use: float
    limit: str
    head_room: float
    epoch_s: float
    total_s: float
    requests_per_s: float
    requests_in_flight: float
    requests_total: int
    receive_bytes_per_s: float
    send_bytes_per_s: float
    batch_bytes: int
    queue_bytes: int
    making_bytes: int
    compressed_bytes: float
    cached: Cached

    @property
    def memory_per_node_bytes(self) -> float:
        """Of a node that makes batches, for them and their files; programs not counted."""
        return (self.making_bytes + self.compressed_bytes) / self.nodes

    @property
    def requests_per_day(self) -> float:
        """If training never ends."""
        return self.requests_per_s * _DAY_S

    def price(self, per_million: float) -> float:
        """Of all requests, at so much for a million."""
        return self.requests_total / 1e6 * per_million


def plan(job: Job, site: Site, rates: Rates, seed: int = 0) -> Plan:
    """Find the smallest number of cores with which accelerators wait no longer than they may, and all else from it.

    Raises:
        PlanError: no number of cores does.
    """
    cores = site.cores if site.cores is not None else _fewest_cores(job, site, rates, seed)
    nodes = _nodes(job, site, cores)
    pipeline = pipeline_of(job, site, rates, cores, nodes)
    outcome = _simulated(pipeline, seed)
    wait = outcome.waiting_share
    real_images_per_s = job.images_per_s * (1 - wait)
    step_s = job.step_s / (1 - wait)
    bounds = pipeline.bounds()
    limit = min(bounds, key=lambda name: bounds[name])
    from_cache = replace(site, latency_s=0.0, request_cpu_s=0.0, cores=None, nic_bytes_per_s=None)
    image_core_s = _core_s(job, site, rates) / job.batch_size
    batch_bytes = round(job.batch_size * job.target_px * CHANNELS * SENDS["float32"])
    under_way = job.gpus * pipeline.workers
    return Plan(
        job=job,
        site=site,
        pipeline=pipeline,
        outcome=outcome,
        cores=cores,
        nodes=nodes,
        workers_per_gpu=pipeline.workers,
        depth=pipeline.depth,
        image_core_s=image_core_s,
        waiting_share=wait,
        core_use=min(1.0, real_images_per_s * image_core_s / cores),
        limit=limit,
        head_room=bounds[limit] / pipeline.wanted,
        epoch_s=job.steps * step_s,
        total_s=job.epochs * job.steps * step_s,
        requests_per_s=real_images_per_s,
        requests_in_flight=real_images_per_s * site.latency_s,
        requests_total=job.images * job.epochs,
        receive_bytes_per_s=real_images_per_s * job.image_bytes,
        send_bytes_per_s=real_images_per_s * job.target_px * CHANNELS * SENDS[site.send],
        batch_bytes=batch_bytes,
        queue_bytes=pipeline.depth * batch_bytes,
        making_bytes=under_way * batch_bytes,
        compressed_bytes=under_way * job.batch_size * job.image_bytes,
        cached=Cached(
            job.images * job.target_px * CHANNELS, _fewest_cores(job, from_cache, rates, seed, is_cached=True)
        ),
    )


def waiting_by_cores(plan: Plan, rates: Rates, seed: int = 0) -> Iterator[tuple[int, float, float]]:
    """Around the plan: numbers of cores, the waiting share, and the least that it can be by the bounds alone."""
    for cores in sorted({max(1, round(plan.cores * percent / 100)) for percent in range(50, 151, 5)}):
        pipeline = pipeline_of(plan.job, plan.site, rates, cores, plan.nodes)
        yield cores, _simulated(pipeline, seed).waiting_share, pipeline.waiting_share


def pipeline_of(
    job: Job, site: Site, rates: Rates, cores: int, nodes: int | None = None, *, is_cached: bool = False
) -> Pipeline:
    """What is simulated; of many ranks, some with their share of cores and network.

    Args:
        nodes: that share out the network; None for one without bounds.
        is_cached: images are decoded already.
    """
    ranks = min(job.gpus, _LARGEST_SIMULATED)
    share = ranks / job.gpus
    read_s = 0.0 if is_cached else math.ceil(job.batch_size / site.requests_per_worker) * site.latency_s
    bytes_per_s = math.inf if site.nic_bytes_per_s is None or nodes is None else site.nic_bytes_per_s * nodes * share
    compute_s = _core_s(job, site, rates, is_cached=is_cached)
    receive_s = 0.0 if is_cached else job.batch_size * job.image_bytes / bytes_per_s
    send_s = job.batch_size * job.target_px * CHANNELS * SENDS[site.send] / bytes_per_s
    # All ranks ask at once, so the last of a step's batches waits until the network has carried the others.
    away_s = read_s + min(job.step_s, ranks * receive_s)
    # Little's law, and a tenth to spare: workers that wait for requests cost less than cores that wait for workers.
    workers = math.ceil(_SPARE * (cores / job.gpus + away_s / job.step_s)) + 1
    # While a batch takes four standard deviations longer, others are ready, beside those that workers are at.
    late_s = 4 * rates.spread * compute_s + min(job.step_s, ranks * send_s)
    spare = 2 + math.ceil(late_s / job.step_s)
    return Pipeline(
        ranks=ranks,
        step_s=job.step_s,
        cores=max(1, round(cores * share)),
        workers=workers,
        depth=max(site.queue, workers + spare),
        compute_s=compute_s,
        spread=rates.spread,
        read_s=read_s,
        receive_s=receive_s,
        send_s=send_s,
    )


def request_core_s(site: Site, rates: Rates) -> float:
    """Of a core, for a request; nothing for files on a disk, which decoding counts."""
    if site.request_cpu_s is not None:
        return site.request_cpu_s
    return rates.request_s if site.latency_s else 0.0


def _simulated(pipeline: Pipeline, seed: int) -> Outcome:
    """For so long that chance decides little; what was ready before the first step may hide for longer what is short.

    So ranks wait no less than bounds say.
    """
    outcome = simulate(pipeline, min(_MOST_STEPS, _BATCHES_SIMULATED // pipeline.ranks), seed=seed)
    return replace(outcome, waiting_share=max(outcome.waiting_share, pipeline.waiting_share))


def _core_s(job: Job, site: Site, rates: Rates, *, is_cached: bool = False) -> float:
    """Of a core, for a batch."""
    transform_s = rates.cost.transform_s(job.batch_size, job.target_px)
    if is_cached:
        return transform_s
    decode_s = rates.cost.decode_s(job.batch_size, job.image_px, job.image_bytes)
    return transform_s + decode_s + job.batch_size * request_core_s(site, rates)


def _fewest_cores(job: Job, site: Site, rates: Rates, seed: int, *, is_cached: bool = False) -> int:
    """By halving; more cores never make anything later."""

    def is_enough(cores: int) -> bool:
        pipeline = pipeline_of(job, site, rates, cores, _nodes(job, site, cores), is_cached=is_cached)
        return _simulated(pipeline, seed).waiting_share <= job.waiting

    least = math.ceil(job.gpus / job.step_s * _core_s(job, site, rates, is_cached=is_cached) * (1 - job.waiting))
    low, high = max(1, least) - 1, max(1, least)
    if high > _MOST_CORES:
        raise PlanError(
            f"this takes {high:,} cores, and {_MOST_CORES:,} are the most that is planned with. Plan with fewer "
            "accelerators, longer steps, or smaller images."
        )
    more = max(1, least // 16)
    while not is_enough(high):
        if high > 4 * least + 64:
            raise PlanError(
                f"accelerators wait longer than {job.waiting:.2%} with any number of cores: the queue of "
                f"{site.queue} batches is too short. Allow longer waiting, or a longer queue."
            )
        low, high, more = high, high + more, 2 * more
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _nodes(job: Job, site: Site, cores: int) -> int:
    """That hold the cores, and whose network carries what they read and send, and is not full."""
    by_cores = math.ceil(cores / site.cores_per_node)
    if site.nic_bytes_per_s is None:
        return by_cores
    image_bytes = max(job.image_bytes, job.target_px * CHANNELS * SENDS[site.send])
    wanted = job.images_per_s * (1 - job.waiting) * image_bytes
    nodes = max(by_cores, math.ceil(wanted / (_NETWORK_USE * site.nic_bytes_per_s)))
    if nodes > _MOST_NODES:
        raise PlanError(
            f"the network takes {nodes:,} nodes, and {_MOST_NODES:,} are the most that is planned with. Plan with a "
            "faster one for each, with smaller batches, or with accelerators that make their own (--send nothing)."
        )
    return nodes

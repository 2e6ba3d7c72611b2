"""Batch by batch, in the order in which they are asked for."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from penstock.planning._pipeline import Pipeline


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        waiting_share: of the ranks' time, after the warm-up.
        seconds: until the last step is done, from the first request on.
        steps: that were taken, warm-up included.
        core_use, receive_use, send_use: shares of the whole time.
        reading: batches of all ranks that are being read or received, on average.
    """

    waiting_share: float
    seconds: float
    steps: int
    core_use: float
    receive_use: float
    send_use: float
    reading: float


def simulate(pipeline: Pipeline, steps: int = 300, warm_up: int | None = None, seed: int = 0) -> Outcome:
    """Let time pass.

    Every part serves batches in the order in which they were asked for, step by step and rank by rank, as soon as it
    is free: an event's time is the latest of what it waits for, so no list of events is needed, and no part added
    can make anything later.

    Args:
        pipeline: what feeds.
        steps: of each rank.
        warm_up: steps that do not count for the waiting share; None for those in which the queue fills.
        seed: of the seconds that batches take, which follow a gamma distribution. Batch k of a rank takes the same with
            any number of cores.

    Returns:
        Shares and times.
    """
    random = np.random.default_rng(seed)
    skipped = min(steps - 1, 20 + 4 * pipeline.depth) if warm_up is None else warm_up
    ranks = range(pipeline.ranks)
    compute_s = _seconds(pipeline, steps, random)
    cores = [0.0] * pipeline.cores  # when each is free
    workers = [[0.0] * pipeline.workers for _ in ranks]
    taken_s: list[float] = []  # when each step's batches were
    receive_free_s = send_free_s = reading_s = 0.0
    counted_from_s = 0.0
    for step, row in enumerate(compute_s.tolist()):
        slot_s = taken_s[step - pipeline.depth] if step >= pipeline.depth else 0.0
        ready_s = 0.0
        for rank in ranks:
            began_s = max(slot_s, workers[rank][0])
            there_s = began_s + pipeline.read_s
            if pipeline.receive_s:
                receive_free_s = there_s = max(receive_free_s, there_s) + pipeline.receive_s
            made_s = max(cores[0], there_s) + row[rank]
            heapq.heapreplace(cores, made_s)
            heapq.heapreplace(workers[rank], made_s)
            if pipeline.send_s:
                send_free_s = made_s = max(send_free_s, made_s) + pipeline.send_s
            ready_s = max(ready_s, made_s)
            reading_s += there_s - began_s
        asked_s = taken_s[-1] + pipeline.step_s if taken_s else 0.0
        taken_s.append(max(asked_s, ready_s))
        if step == skipped - 1:
            counted_from_s = taken_s[-1] + pipeline.step_s
    end_s = taken_s[-1] + pipeline.step_s
    span_s = end_s - counted_from_s
    batches = steps * pipeline.ranks
    return Outcome(
        waiting_share=max(0.0, 1 - (steps - skipped) * pipeline.step_s / span_s),
        seconds=end_s,
        steps=steps,
        core_use=float(compute_s.sum()) / (pipeline.cores * end_s),
        receive_use=batches * pipeline.receive_s / end_s,
        send_use=batches * pipeline.send_s / end_s,
        reading=reading_s / end_s,
    )


def _seconds(pipeline: Pipeline, steps: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """What each batch takes of a core, `(steps, ranks)`."""
    size = (steps, pipeline.ranks)
    if pipeline.spread == 0:
        return np.full(size, pipeline.compute_s)
    shape = pipeline.spread**-2
    return random.gamma(shape, pipeline.compute_s / shape, size)

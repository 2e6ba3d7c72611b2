"""Batches of an epoch made beside the stream, for their digest."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from penstock._types import BatchMaker
from penstock.batches._structure import flatten
from penstock.feeding._batch import Batch
from penstock.feeding._digest import BatchDigest
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import Plan
from penstock.keras._feeding import Feeding


def digest_within(
    plan: Plan,
    maker: BatchMaker,
    feeding: Feeding,
    positions: range,
    delivered: Callable[[Batch], Any],
    seconds: float = math.inf,
) -> tuple[str, tuple[str, ...]]:
    """Make batches as a flow makes them, by workers of their own, and keep none of them.

    Args:
        plan: who is in each batch.
        maker: makes a batch.
        feeding: how many workers of which kind. As many batches are in memory as there are workers, and two.
        positions: of the batches.
        delivered: a batch as the user gets it.
        seconds: after which no further batch is waited for.

    Returns:
        The digest, and those of the first batch, the first two and so on.
    """
    taken, digests, until_s = BatchDigest(), list[str](), perf_counter() + seconds
    with _global_generators_kept():
        feeder = Feeder(
            plan,
            maker,
            feeding.executor(probes=False),
            max_queue_size=max(1, feeding.workers),
            timeout_s=feeding.patience_s,
        )
        try:
            for position in positions:
                taken.add(flatten(delivered(feeder.get(position, positions.stop)))[1])
                digests.append(taken.hex)
                if perf_counter() >= until_s:
                    break
        finally:
            feeder.close()
    return taken.hex, tuple(digests)


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Whatever a user's function draws from them here, it draws the same in the stream."""
    pythons, numpys = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)

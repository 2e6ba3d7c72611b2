"""Whether processes would make the batches that threads have made."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock._types import BatchMaker, BatchSpec, Executor
from penstock.feeding._batch import Batch
from penstock.feeding._slots import SlotPool

_PATIENCE_S = 30.0  # a process starts in less than one


def makes_the_same(executor: Executor, maker: BatchMaker, batch: Batch) -> bool:
    """Have a batch made once more, elsewhere, and compare.

    What counts in a user's object, or draws from global generators, is another one there, and what the program sets
    later does not reach it.

    Args:
        executor: not started yet; it has been then, and is left so.
        batch: made by threads; not changed since.

    Raises:
        Exception: what makes the batches cannot be sent, or is not understood over there.
    """
    executor.start(maker)
    rows = len(batch.step.indices)
    spec = BatchSpec(()) if maker.spec is None else maker.spec.with_rows(rows)
    pool = SlotPool(spec, 1, executor.allocate)
    arrays = pool.arrays(pool.lease_at_last(), None if maker.spec is None else rows)
    pending = executor.submit(batch.step, arrays)
    if not pending.wait(_PATIENCE_S):
        return False
    again = Batch.of(batch.step, arrays, pending.result())
    return (
        again.structure == batch.structure
        and len(again.arrays) == len(batch.arrays)
        and all(map(_are_same, again.arrays, batch.arrays))
    )


def _are_same(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype != other.dtype or one.shape != other.shape or one.dtype.hasobject:
        return False
    return bool(one.tobytes() == other.tobytes())

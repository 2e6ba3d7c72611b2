"""Memory for batches."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from fakes import FakeClock
from penstock._types import ArraySpec, BatchSpec
from penstock.feeding._slots import SlotPool

SPEC = BatchSpec((ArraySpec((4, 3), np.dtype("f4")), ArraySpec((4,), np.dtype("i8"))))


def test_a_slot_returns_with_the_last_view_of_any_of_its_arrays() -> None:
    pool = SlotPool(SPEC, 1)
    lease = pool.lease()
    assert lease is not None
    x, y = pool.arrays(lease, 4)
    del lease
    view = x[1:, 0][::2]
    del x
    assert pool.lease() is None, "y and a view of x are still there"
    del y
    assert pool.lease() is None, "a view of x is still there"
    del view
    assert pool.lease() is not None


def test_every_views_base_chain_ends_in_the_lease() -> None:
    pool = SlotPool(SPEC, 1)
    lease = pool.lease()
    assert lease is not None
    for array in pool.arrays(lease, 3):
        base = array[1:]
        while isinstance(base, np.ndarray):
            base = base.base
        assert base is lease


def test_slots_are_used_again_and_not_made_anew() -> None:
    pool = SlotPool(SPEC, 2)
    addresses = set()
    for _ in range(10):
        lease = pool.lease()
        assert lease is not None
        addresses.add(pool.arrays(lease, 4)[0].ctypes.data)
        del lease
    assert len(addresses) == 1


def test_a_short_batch_is_the_first_rows_of_its_slot() -> None:
    pool = SlotPool(SPEC, 1)
    x, y = pool.arrays(pool.fresh(), 2)
    assert x.shape == (2, 3)
    assert x.flags.c_contiguous
    assert y.shape == (2,)


def test_holding_all_slots_waits_50_ms_once_and_then_takes_fresh_memory() -> None:
    clock = FakeClock()
    pool = SlotPool(SPEC, 1, clock=clock, sleep=clock.sleep)
    held = [pool.lease()]
    held.append(pool.lease_at_last())
    assert clock.now == pytest.approx(0.05, abs=0.003)
    for _ in range(20):
        held.append(pool.lease_at_last())
    assert clock.now < 0.06, "whoever keeps all batches does not wait for each"
    assert pool.overflows == 21
    del held
    back = pool.lease()
    assert back is not None, "the slot is back"
    assert pool.lease() is None, "and the fresh memory is freed, not kept"


def test_a_waiting_pool_collects_garbage_that_holds_a_slot() -> None:
    """As JAX's own references, which only a garbage-collection hook drops; also with the collector switched off."""
    clock = FakeClock()
    pool = SlotPool(SPEC, 1, clock=clock, sleep=clock.sleep)
    lease = pool.lease()
    cycle: list[object] = [lease]
    cycle.append(cycle)
    gc.disable()
    try:
        del cycle, lease
        assert pool.lease() is None
        assert pool.lease_at_last() is not None
        assert pool.overflows == 0
    finally:
        gc.enable()


def test_a_collection_inside_the_pools_own_code_does_not_deadlock() -> None:
    """The finalizer only appends; it runs here in the middle of `lease` itself."""
    pool = SlotPool(SPEC, 64)
    gc.collect()
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            lease = pool.lease()
            cycle: list[object] = [lease]
            cycle.append(cycle)
            del cycle, lease
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert pool.lease() is not None

"""Who is in each batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings, strategies as st

from penstock.feeding._cpus import usable_cpus
from penstock.feeding._plan import Plan


@settings(deadline=None, derandomize=True, max_examples=50)
@given(samples=st.integers(1, 200), batch_size=st.integers(1, 64), epoch=st.integers(0, 3), seed=st.integers(0, 99))
def test_an_epoch_shows_each_sample_once_in_its_order(samples: int, batch_size: int, epoch: int, seed: int) -> None:
    def order(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, epoch)).permutation(samples)

    plan = Plan(samples, batch_size, order, order)
    steps = [plan.step(epoch * plan.steps_per_epoch + number) for number in range(plan.steps_per_epoch)]
    assert [(step.epoch, step.number) for step in steps] == [(epoch, n) for n in range(plan.steps_per_epoch)]
    assert all(len(step.indices) == batch_size for step in steps[:-1])
    np.testing.assert_array_equal(np.concatenate([step.indices for step in steps]), order(epoch))


def test_shuffled_batches_are_the_same_batches_in_another_order() -> None:
    plan = Plan(10, 3, lambda epoch: np.arange(10), lambda epoch: np.array([2, 0, 3, 1]))
    assert [plan.step(p, shuffled=True).number for p in range(4)] == [2, 0, 3, 1]
    for position in range(4):
        step = plan.step(position, shuffled=True)
        np.testing.assert_array_equal(step.indices, plan.step(step.number).indices)


def test_a_containers_quota_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) >= 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cpus(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    unlimited = usable_cpus(tmp_path)
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(tmp_path) == 1
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cpus(tmp_path) == unlimited

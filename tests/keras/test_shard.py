"""Ranks that share out an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from penstock import Flow, ImageDataGenerator, feed
from penstock.feeding._plan import Plan, Shard


def flow_of(samples: int, batch_size: int, shard: tuple[int, int] = (0, 1), **options: Any) -> Flow:
    x = np.random.default_rng(0).integers(0, 256, (samples, 6, 5, 3), "uint8")
    generator = ImageDataGenerator(rotation_range=45, channel_shift_range=9)
    return generator.flow(x, np.arange(samples), batch_size, **{"seed": 5, "shard": shard, **options})


def epoch(flow: Flow) -> list[Any]:
    return [next(flow) for _ in range(len(flow))]


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5), st.integers(0, 3))
def test_ranks_cover_every_sample_once_in_as_many_steps(samples: int, batch_size: int, world: int, seed: int) -> None:
    def order(number: int) -> Any:
        return np.random.default_rng([seed, number]).permutation(samples)

    plans = [Plan(samples, batch_size, order, np.arange, shard=Shard(rank, world)) for rank in range(world)]
    steps = -(-samples // (batch_size * world))
    assert {plan.steps_per_epoch for plan in plans} == {steps}
    for number in range(2):
        by_step = [[plan.step(number * steps + k) for plan in plans] for k in range(steps)]
        seen = [index for ranks in by_step for step in ranks if not step.fills_up for index in step.indices.tolist()]
        assert sorted(seen) == list(range(samples))
        # All samples of a step come before those of the next one, as in one rank's batches of world * batch_size.
        for k, ranks in enumerate(by_step):
            chunk = order(number)[k * batch_size * world : (k + 1) * batch_size * world]
            assert {i for step in ranks for i in step.indices.tolist()} == set(chunk.tolist())
            assert all(step.indices.tolist() == [chunk[0]] for step in ranks if step.fills_up)
            sizes = [len(step.indices) for step in ranks]
            assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("samples", "batch_size", "world"), [(24, 4, 2), (23, 4, 3), (26, 4, 4), (5, 1, 3)])
def test_ranks_get_the_pixels_that_one_rank_would_have_made(samples: int, batch_size: int, world: int) -> None:
    with flow_of(samples, batch_size) as flow:
        expected = [
            {int(y): image.tobytes() for x, labels in epoch(flow) for image, y in zip(x, labels, strict=True)}
            for _ in range(2)
        ]
    made: list[dict[int, bytes]] = [{}, {}]
    filled_up = 0
    for rank in range(world):
        with flow_of(samples, batch_size, (rank, world), workers=rank) as flow:
            for images in made:
                for x, labels, *weights in epoch(flow):
                    if not weights or weights[0].all():
                        assert not set(labels.tolist()) & set(images)
                    images |= {int(y): image.tobytes() for image, y in zip(x, labels, strict=True)}
            filled_up += flow.stats.filled_up
    assert made == expected
    assert filled_up == 2 * max(0, world - samples % (batch_size * world)) * bool(samples % (batch_size * world))


@given(st.integers(1, 60), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_ranks_of_as_many_rows_cover_every_sample_once(
    samples: int, per_device: int, world: int, multiple: int, skipped: int
) -> None:
    batch_size = per_device * multiple
    resumed = 0, min(skipped, samples - 1, batch_size * world - 1)
    shards = [Shard(rank, world, rows_multiple=multiple) for rank in range(world)]
    plans = [Plan(samples, batch_size, lambda _: np.arange(samples), np.arange, resumed, shard) for shard in shards]
    seen: list[int] = []
    for number in range(plans[0].steps_per_epoch):
        steps = [plan.step(number) for plan in plans]
        (rows,) = {len(step.indices) for step in steps}
        assert rows % multiple == 0
        assert rows <= batch_size
        seen += [i for step in steps for i in step.indices[: rows - step.fillers].tolist()]
        left = min((number + 1) * batch_size * world, samples) - max(number * batch_size * world, resumed[1])
        assert any(step.fillers for step in steps) == shards[0].fills_up(left)
        assert sum(step.fillers for step in steps) < multiple * world
    assert sorted(seen) == list(range(resumed[1], samples))


def test_a_rank_without_a_sample_repeats_one_with_weight_zero() -> None:
    # 13 samples in steps of 6: the last step holds one, of rank 0.
    flows = [flow_of(13, 2, (rank, 3), shuffle=False) for rank in range(3)]
    batches = [epoch(flow) for flow in flows]
    assert [[len(part) for part in batch] for batch in batches[2]] == [[2, 2, 2], [2, 2, 2], [1, 1, 1]]
    assert [batch[2][1].tolist() for batch in batches] == [[12], [12], [12]]
    assert [batch[2][2].tolist() for batch in batches] == [[1], [0], [0]]
    assert all(weight.all() for batch in batches for *_, weight in batch[:2])
    assert [flow.stats.filled_up for flow in flows] == [0, 1, 1]
    for flow in flows:
        flow.close()


def test_weights_of_the_users_become_zero_there() -> None:
    weights = np.arange(1, 8, dtype="float64")
    for rank in range(3):
        with flow_of(7, 1, (rank, 3), shuffle=False, sample_weight=weights) as flow:
            x, y, w = epoch(flow)[2]
            assert (len(x), y.tolist(), w.tolist(), w.dtype) == (1, [6], [7.0 if rank == 0 else 0.0], weights.dtype)


def test_batches_without_labels_need_no_weights() -> None:
    flow = ImageDataGenerator().flow(np.zeros((7, 2, 2, 3), "uint8"), batch_size=1, seed=1, shard=(2, 3))
    with flow:
        assert [batch.shape for batch in epoch(flow)] == [(1, 2, 2, 3)] * 3


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.data())
def test_a_state_goes_on_with_another_number_of_ranks(data: st.DataObject) -> None:
    samples = data.draw(st.integers(2, 25))
    before, after = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    sizes = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5))
    seen: list[int] = []
    states = []
    taken = data.draw(st.integers(0, -(-samples // (before * sizes[0])) - 1))
    for rank in range(before):
        with flow_of(samples, sizes[0], (rank, before), workers=0) as flow:
            for _ in range(taken):
                seen += next(flow)[1].tolist()
            states.append(flow.state_dict())
    assert all(state == states[0] for state in states)
    for rank in range(after):
        with flow_of(samples, sizes[1], (rank, after), workers=0) as flow:
            flow.load_state_dict(states[0])
            while flow.state_dict()["epoch"] == 0:
                _images, labels, *weights = next(flow)
                seen += labels[weights[0] > 0].tolist() if weights else labels.tolist()
    assert sorted(seen) == list(range(samples))


def test_a_feeds_batches_are_shared_out() -> None:
    batches = [np.full(2, k) for k in range(7)]
    seen = []
    for rank in range(2):
        with feed(batches, shard=(rank, 2)) as stream:
            seen.append([int(batch[0]) for batch in epoch(stream)])
    assert seen == [[0, 2, 4, 6], [1, 3, 5, 6]]


def test_what_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(ValueError, match="the same for all 2 ranks"):
        flow_of(8, 2, (0, 2), seed=None)
    with pytest.raises(ValueError, match=r'Use semantics="corrected"'):
        ImageDataGenerator(semantics="keras").flow(np.zeros((8, 2, 2, 3)), seed=1, shard=(0, 2))


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0), (0,), 3, "01", (0.5, 2), None])
def test_no_ranks_are_refused(shard: Any) -> None:
    with pytest.raises(ValueError, match="`shard` should be a rank"):
        flow_of(8, 2, shard)

"""Rates whose costs are known."""

from __future__ import annotations

from itertools import product

from penstock.planning._rates import Cost, Rates, Reading

COST = Cost(5e-5, 2e-9, 6e-9, 5e-9, 6e-4, 1e-4)


def reading(cost: Cost, batch_size: int, px: float, nbytes: float, target_px: float) -> Reading:
    return Reading(
        batch_size,
        px,
        nbytes,
        target_px,
        cost.decode_s(batch_size, px, nbytes),
        cost.transform_s(batch_size, target_px),
        spread=0.1,
        batches=10,
    )


def readings(cost: Cost = COST) -> tuple[Reading, ...]:
    grid = product((2, 32), (40_000.0, 160_000.0), (20_000.0, 70_000.0), (12_544.0, 50_176.0))
    return tuple(reading(cost, *each) for each in grid)


def rates(cost: Cost = COST, *, spread: float = 0.1) -> Rates:
    made = tuple(Reading(**{**vars(each), "spread": spread}) for each in readings(cost))
    return Rates("2026-01-02T03:04:05+00:00", "a CPU", 2, {"penstock": "1"}, {"rotation_range": 40}, "made up", made)

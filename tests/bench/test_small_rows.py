"""Rows about what there is besides pixels."""

from __future__ import annotations

import time
from pathlib import Path

from penstock.bench._scale import Scale
from penstock.bench._small_rows import small_batches, start, tiny_work
from penstock.bench.scripts.first_kernel import main


def test_every_side_is_measured_and_claimed(tmp_path: Path) -> None:
    scale = Scale.quick(tmp_path)
    for make, sides in ((small_batches, 4), (tiny_work, 2), (start, 1)):
        row = make(scale)
        names = [side.name for side in row.sides]
        assert len(set(names)) == len(names) == sides
        assert all({claim.side, claim.against} <= set(names) for claim in row.claims)
        assert all(side.measure(0).value > 0 for side in row.sides)


def test_the_first_images_are_timed_by_the_clock_of_whoever_starts_the_process() -> None:
    began = time.monotonic()
    computed_at_s = main()["computed_at_s"]
    assert began < computed_at_s <= time.monotonic()

"""What goes into a batch beside the images."""

from __future__ import annotations

import numpy as np
import pytest

from penstock._types import Step
from penstock.batches._columns import Values


def filled(*indices: int) -> list[int]:
    out = np.full(len(indices), 99)
    Values(np.arange(10, 18)).fill(Step(0, 0, 1, np.array(indices)), np.empty(0), out)
    return out.tolist()


def test_values_are_those_of_the_samples_and_no_others() -> None:
    assert filled(3, 0, 7, -1) == [13, 10, 17, 17]
    for index in (8, -9):
        with pytest.raises(IndexError):
            filled(0, index)

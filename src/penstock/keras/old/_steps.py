"""Numbers of steps, as old scripts give them."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from penstock.keras.old._data import PlainGenerator
from penstock.keras.old._names import Samples


def whole_steps(steps: Any, name: str, data: Any) -> int | None:
    """A number of steps as an integer; it may be `Samples`, or a fraction: old scripts divide samples by batch size.

    Raises:
        ValueError: it is no positive number, or missing where the data has no end.
        TypeError: samples, of data that does not tell the size of its batches.
    """
    if steps is None:
        endless = isinstance(data, keras.utils.PyDataset) and data.num_batches is None
        if endless or isinstance(data, PlainGenerator):
            raise ValueError(
                f"`{name}` should say after how many batches to stop: a generator or an endless view has no end of its "
                "own. Received: None"
            )
        return None
    count = steps.count if isinstance(steps, Samples) else steps
    is_number = isinstance(count, int | float | np.number) and not isinstance(count, bool)
    if not is_number or not 0 < count < math.inf:
        raise ValueError(f"`{name}` should be a positive number. Received: {count!r}")
    per_step = _batch_size(data) if isinstance(steps, Samples) else 1
    return math.ceil(float(count) / per_step)


def executed(model: Any, steps: int) -> int:
    """Batches that Keras takes for so many steps: it takes as many at a time as it executes at a time."""
    at_a_time = int(getattr(model, "steps_per_execution", 1) or 1)
    return math.ceil(steps / at_a_time) * at_a_time


def _batch_size(data: Any) -> int:
    size = getattr(data, "batch_size", None)
    if isinstance(size, int | np.integer) and size > 0:
        return int(size)
    if isinstance(data, PlainGenerator):
        return _rows(data.first())
    if isinstance(data, keras.utils.PyDataset):
        return _rows(data[0])
    raise TypeError(f"The batch size of a {type(data).__name__} is not known: give steps, not samples.")


def _rows(batch: Any) -> int:
    while isinstance(batch, tuple | list | dict):
        batch = next(iter(batch.values())) if isinstance(batch, dict) else batch[0]
    return len(batch)

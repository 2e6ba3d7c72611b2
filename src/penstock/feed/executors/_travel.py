"""What goes to workers: a maker as bytes, its large arrays in shared memory, once for all workers."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cloudpickle
import numpy as np

from penstock._types import Array, BatchMaker
from penstock.feed._memory import ALIGNMENT_BYTES, Segment
from penstock.feed.executors._worker import Place

_LARGE_BYTES = 1 << 20  # below, a copy in each worker costs less than a page of shared memory is worth


@dataclass(frozen=True)
class Luggage:
    """A maker, packed.

    Attributes:
        payload: for the worker's unpickler.
        segments: that it refers to, by key.
    """

    payload: bytes
    segments: dict[int, Segment]


def pack(maker: BatchMaker) -> Luggage:
    """Pickle a maker, functions and classes of `__main__` by value.

    Raises:
        TypeError: something in it cannot be pickled; it says what.
    """
    buffer = BytesIO()
    pickler = _Pickler(buffer)
    try:
        pickler.dump(maker)
    except Exception as error:
        raise TypeError(
            f"The batches cannot be made by other processes: {type(error).__name__}: {error}. Keep what cannot be "
            "pickled (locks, open files, generators, models) out of the object or the function, or use threads: "
            "`use_multiprocessing=False`."
        ) from error
    return Luggage(buffer.getvalue(), pickler.segments)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Puts large arrays into segments instead of the stream."""

    def __init__(self, buffer: BytesIO) -> None:
        super().__init__(buffer)
        self.segments: dict[int, Segment] = {}
        self._places: dict[int, tuple[Any, Place, tuple[int, ...]]] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, np.ndarray) or obj.nbytes < _LARGE_BYTES or obj.dtype.hasobject:
            return None
        if id(obj) not in self._places:
            self._places[id(obj)] = (obj, *self._placed(obj))  # with the array, so that its id is not used again
        return self._places[id(obj)][1:]

    def _placed(self, array: Array) -> tuple[Place, tuple[int, ...]]:
        """Copy an array into a segment, with the layout that it has: its place, and how its axes are turned there."""
        order = tuple(np.argsort([-abs(stride) for stride in array.strides], kind="stable").tolist())
        segment = Segment(-(-array.nbytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES)
        shape = tuple(array.shape[axis] for axis in order)
        place = Place(len(self.segments), 0, shape, array.dtype.str)
        self.segments[place.key] = segment
        copy = segment.memory[: array.nbytes].view(array.dtype).reshape(shape)
        copy[...] = array.transpose(order)
        return place, tuple(np.argsort(order).tolist())

"""What goes to workers: a maker as bytes, its large arrays in shared memory, once for all workers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO
from types import FunctionType
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
    """Pickle a maker. Functions and classes of `__main__`, and of modules that a new process cannot find, by value.

    Raises:
        TypeError: something in it cannot be pickled; it says what.
    """
    buffer = BytesIO()
    pickler = _Pickler(buffer)
    try:
        with pickler:
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
        self._can_be_found: dict[str, bool] = {}

    def __enter__(self) -> _Pickler:
        return self

    def __exit__(self, *exception: object) -> None:
        for name, found in self._can_be_found.items():
            if not found:
                cloudpickle.unregister_pickle_by_value(sys.modules[name])

    def reducer_override(self, obj: Any) -> Any:
        name = getattr(obj, "__module__", None) if isinstance(obj, FunctionType | type) else None
        if name is not None and name not in self._can_be_found and name in sys.modules:
            self._can_be_found[name] = name == "__main__" or _can_be_found(name)  # `__main__` goes by value anyway
            if not self._can_be_found[name]:
                cloudpickle.register_pickle_by_value(sys.modules[name])
        return super().reducer_override(obj)

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


def _can_be_found(name: str) -> bool:
    """Whether a new process finds a module by its name: not so one that was loaded from a file by its path."""
    path: Any = None
    for end in [k for k, letter in enumerate(name) if letter == "."] + [len(name)]:
        specs = (finder.find_spec(name[:end], path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return True

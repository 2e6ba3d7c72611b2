"""What goes to workers: a maker as bytes, its large arrays beside it, once for all workers."""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from types import FunctionType
from typing import Any, Generic, Protocol, TypeVar

import cloudpickle
import numpy as np

from penstock._errors import WorkerError
from penstock._types import Array, BatchMaker
from penstock.feeding._memory import Segment, padded
from penstock.feeding.executors._stand_in import is_keras_dataset_class, stand_in
from penstock.feeding.executors._worker import Place

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_LARGE_BYTES = 1 << 20  # below, a copy in each worker costs less than a page of shared memory is worth


class Stored(Protocol):
    """A large array where workers find it: shared memory on this machine, for one."""

    def holds(self, array: Array) -> bool:
        """Whether it has the bytes of another array of the same shape and dtype."""
        ...

    def close(self) -> None:
        """Let it go, as far as this process is concerned."""
        ...


S = TypeVar("S", bound=Stored)


@dataclass(frozen=True)
class Luggage(Generic[S]):
    """A maker, packed.

    Attributes:
        payload: for the worker's unpickler.
        segments: where its large arrays are, by key.
        places: of the arrays in them, with how their axes are turned.
        next_key: none from here on has been used; a worker may still have what an earlier luggage had by its key.
    """

    payload: bytes
    segments: dict[int, S]
    places: dict[Place, tuple[int, ...]]
    next_key: int

    def added_to(self, other: Luggage[S]) -> list[S]:
        """Segments that another one does not refer to."""
        return [segment for key, segment in self.segments.items() if key not in other.segments]


def pack(maker: BatchMaker, before: Luggage[Segment] | None = None) -> Luggage[Segment]:
    """Pickle a maker, its large arrays into shared memory; see `pack_into`."""
    return pack_into(_segment_of, maker, before)


def pack_into(store: Callable[[Array], S], maker: BatchMaker, before: Luggage[S] | None = None) -> Luggage[S]:
    """Pickle a maker. Functions and classes of `__main__`, and of modules that a new process cannot find, by value.

    Args:
        store: puts a large array where workers find it; its axes are turned so that it is as contiguous as can be.
        maker: what to pickle.
        before: of the same maker at an earlier time; large arrays with the same values stay where they are.

    Returns:
        `before` itself if nothing has changed.

    Raises:
        TypeError: something in it cannot be pickled; it says what.
    """
    try:
        return _packed(store, maker, before, keras_by_value=True)
    except WorkerError:
        raise
    except Exception:  # a class of the user's that drags something along which its module would bring by itself
        try:
            return _packed(store, maker, before, keras_by_value=False)
        except WorkerError:
            raise
        except Exception as error:
            raise TypeError(
                f"The batches cannot be made by other processes: {type(error).__name__}: {error}. Keep what cannot be "
                "pickled (open files, generators, models) out of the object or the function, or use threads: "
                "`use_multiprocessing=False`."
            ) from error


def _packed(
    store: Callable[[Array], S], maker: BatchMaker, before: Luggage[S] | None, *, keras_by_value: bool
) -> Luggage[S]:
    buffer = BytesIO()
    pickler = _Pickler(store, buffer, before, keras_by_value)
    try:
        with pickler:
            pickler.dump(maker)
    except BaseException:
        for key, segment in pickler.segments.items():
            if before is None or key not in before.segments:
                segment.close()
        raise
    payload = buffer.getvalue()
    if before is not None and before.payload == payload and before.segments.keys() == pickler.segments.keys():
        return before
    return Luggage(
        payload, pickler.segments, {place: axes for _, place, axes in pickler.placed.values()}, pickler.next_key
    )


class _Pickler(cloudpickle.Pickler, Generic[S]):  # type: ignore[misc]
    """Puts large arrays into a store instead of the stream."""

    def __init__(
        self, store: Callable[[Array], S], buffer: BytesIO, before: Luggage[S] | None, keras_by_value: bool
    ) -> None:
        super().__init__(buffer)
        self._store = store
        self.segments: dict[int, S] = {}
        self.placed: dict[int, tuple[Any, Place, tuple[int, ...]]] = {}
        self.next_key = 0 if before is None else before.next_key
        self._before = before
        self._keras_by_value = keras_by_value
        self._goes_by_name: dict[str, bool] = {}

    def __enter__(self) -> _Pickler[S]:
        return self

    def __exit__(self, *exception: object) -> None:
        for name, goes_by_name in self._goes_by_name.items():
            if not goes_by_name:
                cloudpickle.unregister_pickle_by_value(sys.modules[name])

    def reducer_override(self, obj: Any) -> Any:
        if self._keras_by_value and is_keras_dataset_class(obj):
            return stand_in, ()
        if type(obj) is np.memmap and obj.dtype.kind in "biufcmMSU":
            file = _file_of(obj)
            return (np.asarray, (np.asarray(obj),)) if file is None else (_open_file, file)
        if isinstance(obj, _LOCKS):  # the known advice puts one into a Sequence; each process has its own then
            return (threading.RLock if isinstance(obj, _LOCKS[1]) else threading.Lock), ()
        if isinstance(obj, FunctionType | type):
            self._choose_how(obj)
        return super().reducer_override(obj)

    def persistent_id(self, obj: Any) -> Any:
        # Masked arrays, matrices, records and dtypes of other libraries are more than memory and a dtype's name.
        if type(obj) is not np.ndarray or obj.nbytes < _LARGE_BYTES or obj.dtype.kind not in "biufcmMSU":
            return None
        if id(obj) not in self.placed:
            self.placed[id(obj)] = (obj, *self._placed(obj))  # with the array, so that its id is not used again
        return self.placed[id(obj)][1:]

    def _choose_how(self, obj: Any) -> None:
        """Have cloudpickle take a module's functions and classes by value, where it would take them by name."""
        name = getattr(obj, "__module__", None)
        if name in (None, "__main__") or name not in sys.modules or name in self._goes_by_name:
            return
        from_keras = self._keras_by_value and isinstance(obj, type) and any(map(is_keras_dataset_class, obj.__mro__))
        goes_by_name = _can_be_found(name) and not (from_keras and not name.startswith("keras."))
        self._goes_by_name[name] = goes_by_name
        if not goes_by_name:
            cloudpickle.register_pickle_by_value(sys.modules[name])

    def _placed(self, array: Array) -> tuple[Place, tuple[int, ...]]:
        """Store an array with the layout that it has: its place, and how its axes are turned there."""
        order = tuple(np.argsort([-abs(stride) for stride in array.strides], kind="stable").tolist())
        turned, axes = array.transpose(order), tuple(np.argsort(order).tolist())
        for place, its_axes in ({} if self._before is None else self._before.places).items():
            if (place.shape, place.dtype, its_axes) != (turned.shape, array.dtype.str, axes):
                continue
            segment = self._before.segments[place.key]  # type: ignore[union-attr]
            if place.key not in self.segments and segment.holds(turned):
                self.segments[place.key] = segment
                return place, axes
        place = Place(self.next_key, 0, turned.shape, array.dtype.str)
        self.next_key += 1
        self.segments[place.key] = self._store(turned)
        return place, axes


def _segment_of(array: Array) -> Segment:
    """A copy of an array in shared memory."""
    segment = Segment(padded(array.nbytes))
    segment.view(array.dtype, array.shape)[...] = array
    return segment


def _file_of(array: Any) -> tuple[Any, ...] | None:
    """What a worker needs to map the same part of the same file; None if the file is gone, or does not have it all."""
    # What is written to a copy-on-write map stays in this process.
    if array.mode == "c" or array.filename is None or not os.path.exists(array.filename):
        return None
    # NumPy maps from a multiple of the granularity on, and views share the whole array's map and offset.
    start = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    position = start + array.ctypes.data - np.frombuffer(array._mmap, np.uint8).ctypes.data
    return os.path.abspath(array.filename), array.dtype, array.shape, position, array.strides


def _open_file(path: str, dtype: Any, shape: tuple[int, ...], position: int, strides: tuple[int, ...]) -> Array:
    """A part of a file as an array; what is written to it stays in this process."""
    return np.ndarray(shape, dtype, np.memmap(path, np.uint8, "c"), position, strides)


def _can_be_found(name: str) -> bool:
    """Whether a new process finds a module by its name: not so one that was loaded from a file by its path."""
    if name.partition(".")[0] in sys.stdlib_module_names:
        return True
    path: Any = None
    spec: Any = None
    for end in [k for k, letter in enumerate(name) if letter == "."] + [len(name)]:
        specs = (finder.find_spec(name[:end], path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    own = getattr(sys.modules[name], "__file__", None)
    return own is None or spec.origin is None or os.path.abspath(own) == os.path.abspath(spec.origin)

"""Memory that batches are written to by other processes."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, final

from penstock._types import Array
from penstock.feeding._memory import Segment, padded
from penstock.feeding.executors._worker import Place


class Slot(NamedTuple):
    """A piece of it.

    Attributes:
        nbytes: its size.
        descriptor: of it.
        key: by which workers know it, an odd number below 0.
        closing: closes the descriptor, once.
    """

    nbytes: int
    descriptor: int
    key: int
    closing: Callable[[], Any]


@final
class SharedSlots:
    """The slots of an executor, which come and go, and whatever else it shares with its workers."""

    def __init__(self) -> None:
        self._others: list[Segment] = []
        self._slots: dict[int, Slot] = {}  # by the address where it begins here
        self._keys = itertools.count(-1, -2)

    def allocate(self, nbytes: int) -> Array:
        """A new one, uint8, `(nbytes,)`. With the last array in it it is gone, as when slots are made anew."""
        segment = Segment(max(1, nbytes))
        weakref.finalize(segment.memory, _drop, self._slots, segment.address).atexit = False
        self._slots[segment.address] = Slot(segment.nbytes, segment.descriptor, next(self._keys), segment.closing)
        return segment.memory[:nbytes]

    def holding(self, address: int) -> tuple[int, Slot] | None:
        """The slot that an address lies in, and where it begins."""
        for start, slot in tuple(self._slots.items()):
            if start <= address < start + slot.nbytes:
                return start, slot
        return None

    def keys(self) -> set[int]:
        """Of the slots there are."""
        return {slot.key for slot in tuple(self._slots.values())}

    def keep(self, segments: Iterable[Segment]) -> None:
        """Own other memory, too, until it is let go."""
        self._others.extend(segments)

    def let_go(self, segments: Iterable[Segment]) -> None:
        """Close descriptors of memory that was kept."""
        for segment in segments:
            self._others.remove(segment)
            segment.close()

    def close(self) -> None:
        """Close all descriptors, once nobody needs them to hand them over; arrays stay valid."""
        for address in tuple(self._slots):
            _drop(self._slots, address)
        for segment in tuple(self._others):
            segment.close()
        self._others.clear()


class Spread(NamedTuple):
    """Arrays as a worker finds them.

    Attributes:
        segment: what they lie in, and the `key` that it is known by.
        places: of the arrays.
        copies: where they are to be fetched from, if they are in no slot; else nothing.
    """

    segment: Slot | Segment
    key: int
    places: list[Place]
    copies: list[Array]

    def fetch(self, out: Sequence[Array]) -> None:
        """Copy what was written elsewhere."""
        for array, copy in zip(out, self.copies, strict=False):
            array[...] = copy


@final
class Desk:
    """Lays arrays out for one worker. What is in no slot, since the consumer keeps them all, is written elsewhere."""

    def __init__(self, slots: SharedSlots) -> None:
        self._slots = slots
        self._aside: Segment | None = None
        self._asides = 0

    def spread(self, out: Sequence[Array]) -> Spread:
        """Where arrays, at least one, lie for the worker."""
        start = out[0].ctypes.data
        found = self._slots.holding(start)
        if found is not None:
            address, slot = found
            return Spread(slot, slot.key, [_place(slot.key, array, array.ctypes.data - address) for array in out], [])
        nbytes = sum(padded(array.nbytes) for array in out)
        if self._aside is None or self._aside.nbytes < nbytes:
            self.close()
            self._aside = Segment(nbytes)
            self._asides += 1
        key = -2 * self._asides
        offset, places, copies = 0, [], []
        for array in out:
            places.append(_place(key, array, offset))
            copies.append(self._aside.memory[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape))
            offset += padded(array.nbytes)
        return Spread(self._aside, key, places, copies)

    def close(self) -> None:
        """Let go of what is no slot."""
        if self._aside is not None:
            self._aside.close()
            self._aside = None


def _place(key: int, array: Array, offset: int) -> Place:
    return Place(key, offset, array.shape, array.dtype.str)


def _drop(slots: dict[int, Slot], address: int) -> None:
    """Close a slot's descriptor; called by the garbage collector, so it takes no lock."""
    slot = slots.pop(address, None)
    if slot is not None:
        slot.closing()

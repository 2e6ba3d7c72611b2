"""Memory for batches: a fixed number of slots, lent out and taken back."""

from __future__ import annotations

import gc
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, final

import numpy as np

from penstock._types import Array, BatchSpec
from penstock.feeding._memory import padded, private_memory

_PATIENCE_S = 0.05
_PAUSE_S = 0.002


@final
class Lease:
    """A slot's memory for as long as anything refers to a part of it.

    Arrays made from it with `np.asarray` have it at the end of their `.base` chain, and so have all views of them. So
    the lease dies with the last of them, and its death gives the slot back. (A finalizer on one of the arrays would
    fire while a view of it is still in use, and one on the lease takes 4 us to set up.)

    Args:
        memory: of the slot.
        free: gets it back; None for memory that belongs to no slot.
    """

    __slots__ = ("__array_interface__", "__weakref__", "_free", "_memory")

    def __init__(self, memory: Array, free: deque[Array] | None = None) -> None:
        self._memory = memory
        self.__array_interface__: dict[str, Any] = memory.__array_interface__
        self._free = free  # last: from here on its death gives it back

    def __del__(self) -> None:
        free = getattr(self, "_free", None)  # None, too, where an interrupt came while it was made
        if free is not None:  # a lock taken here could be held by the very code that is interrupted: only append
            free.append(self._memory)


@final
class SlotPool:
    """Slots for batches of one shape.

    Args:
        spec: the arrays of a full batch.
        count: slots to keep; they are allocated as they are first needed.
        allocate: gives a slot its memory.
        clock, sleep: for tests.
    """

    def __init__(
        self,
        spec: BatchSpec,
        count: int,
        allocate: Callable[[int], Array] = private_memory,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec = spec
        self.count = count
        self.overflows = 0
        self._made: list[weakref.ref[Array]] = []
        self._allocate = allocate
        self._free: deque[Array] = deque()
        self._clock = clock
        self._sleep = sleep
        self._worth_waiting = True
        sizes = [padded(array.nbytes) for array in spec.arrays]
        self._offsets = [sum(sizes[:k]) for k in range(len(sizes))]
        self.slot_bytes = sum(sizes)

    def resize(self, count: int) -> None:
        """Keep so many slots from now on; free ones beyond are let go."""
        self.count = count
        self._made = [slot for slot in self._made if slot() is not None]
        while len(self._made) > count and self._free:
            gone = self._free.popleft()
            self._made = [slot for slot in self._made if slot() is not gone]

    @property
    def nbytes(self) -> int:
        """Memory that the slots take by now."""
        return self.slot_bytes * sum(slot() is not None for slot in self._made)

    def lease(self) -> Lease | None:
        """A free slot, or None."""
        try:
            memory = self._free.popleft()
        except IndexError:
            if len(self._made) >= self.count:
                # An interrupt may have come while one was taken, which is gone then.
                self._made = [slot for slot in self._made if slot() is not None]
                if len(self._made) >= self.count:
                    return None
            memory = self._allocate(self.slot_bytes)
            self._made.append(weakref.ref(memory))
        self._worth_waiting = True
        return Lease(memory, self._free)

    def lease_ahead(self) -> Lease | None:
        """A free slot; fresh memory if the consumer keeps all batches anyway; else None.

        Whoever collects batches in a list, or runs far ahead of its device, would else get them from one worker.
        """
        lease = self.lease()
        if lease is None and not self._worth_waiting:
            self.overflows += 1
            return self.fresh()
        return lease

    def lease_at_last(self) -> Lease:
        """A free slot, or after 50 ms of waiting fresh memory, which is freed on its return.

        JAX runs many steps ahead of the device and lets go of their inputs in a garbage-collection hook only, so a
        strict wait would never end.
        """
        lease = self.lease()
        if lease is not None:
            return lease
        deadline = self._clock() + (_PATIENCE_S if self._worth_waiting else 0.0)
        while self._clock() < deadline:
            gc.collect(0)  # 1.3 us
            lease = self.lease()
            if lease is not None:
                return lease
            self._sleep(_PAUSE_S)
        # Whoever collects batches in a list would wait for each of them.
        self._worth_waiting = False
        self.overflows += 1
        return self.fresh()

    def fresh(self) -> Lease:
        """Memory that belongs to no slot."""
        return Lease(private_memory(self.slot_bytes))

    def arrays(self, lease: Lease, rows: int | None) -> list[Array]:
        """The lease's memory as the arrays of a batch: writeable, aligned, C-contiguous.

        Args:
            rows: of the batch; None for a full one.
        """
        memory: Any = np.asarray(lease)
        return [
            np.ndarray(array.shape if rows is None else (rows, *array.shape[1:]), array.dtype, memory, offset)
            for offset, array in zip(self._offsets, self.spec.arrays, strict=True)
        ]

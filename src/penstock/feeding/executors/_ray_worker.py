"""What a process of a Ray cluster does: it gets a maker from the object store, and makes batches, one a task."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from penstock._errors import BatchError
from penstock._types import Array, BatchMaker, FillReport, Step
from penstock.feeding._memory import padded, private_memory
from penstock.feeding.executors._make import make
from penstock.feeding.executors._worker import Place, Unpickler, answered

_IDLE_S = 60.0  # after which a maker goes; the next batch gets it anew, which takes milliseconds
_READ_ONLY = "read-only"  # in the words of NumPy and of Cython for what may not be written to


class RemoteMaker(NamedTuple):
    """A maker in the object store.

    Attributes:
        flow: a name, of which there is no other in the cluster.
        number: of the maker, among those that the flow has had.
        parcel: a list of one reference, which Ray so leaves to the worker, to a `Parcel`.
    """

    flow: str
    number: int
    parcel: list[Any]


class Parcel(NamedTuple):
    """What a maker is unpickled from.

    Attributes:
        payload: its pickle.
        arrays: references to the large arrays in it, by key.
        paths: where the program finds modules; those that are there on this machine, too, are looked into last.
    """

    payload: bytes
    arrays: Mapping[int, Any]
    paths: Sequence[str]


class Answer(NamedTuple):
    """What a task returns; Ray carries the arrays as they lie in memory.

    Attributes:
        report: for `understood`.
        arrays: the batch; none if it failed, or is in the report.
        node: name of the machine.
        node_id: Ray's name of it.
        pid: of the process.
    """

    report: bytes
    arrays: list[Array]
    node: str
    node_id: str
    pid: int


def work(remote: RemoteMaker, step: Step, shapes: Sequence[tuple[tuple[int, ...], str]]) -> Answer:
    """Make a batch.

    Args:
        remote: what makes it.
        step: who is in it.
        shapes: and dtypes of its arrays; none of a batch that comes back as an object.
    """
    import ray

    _FLOWS.keep_tidy()
    flow = _FLOWS.of(remote.flow)
    used: list[Array] = []
    try:
        report = answered(lambda: flow.make(remote, step, shapes, used))
    finally:
        flow.rest()
    context = ray.get_runtime_context()
    return Answer(report, used, ray.util.get_node_ip_address(), context.get_node_id(), os.getpid())


@final
class _Flow:
    """What a process keeps for a flow: its maker, as it was when it was last asked for, and memory for a batch."""

    def __init__(self) -> None:
        self._number = -1
        self._maker: BatchMaker | None = None
        self._writes = False
        self._memory = private_memory(0)
        self.at_work = True
        self.since_s = time.monotonic()

    def make(
        self, remote: RemoteMaker, step: Step, shapes: Sequence[tuple[tuple[int, ...], str]], used: list[Array]
    ) -> FillReport:
        """Make a batch, whose arrays are added to `used`."""
        out = self._room(shapes)
        maker = self._made(remote)
        try:
            report = make(maker, step, out)
            again = any(_READ_ONLY in sample.reason for sample in report.bad)
        except BatchError as error:
            if self._writes or not _has_written(error):
                raise
            again = True
        # Large arrays are one read-only map for all processes of a machine. A function of the user's that writes to one
        # is given copies from then on, as it has them in other processes, and the maker that it may have left
        # half-changed is not used again.
        if again and not self._writes:
            self._writes, self._maker = True, None
            report = make(self._made(remote), step, out)
        used += out if report.rows is None else [array[:rows] for array, rows in zip(out, report.rows, strict=True)]
        return report

    def rest(self) -> None:
        """Its task is done."""
        self.at_work, self.since_s = False, time.monotonic()

    def _made(self, remote: RemoteMaker) -> BatchMaker:
        if self._maker is None or remote.number != self._number:
            self._maker = None  # first, so that large arrays of the one before are gone
            self._maker, self._number = _unpacked(remote, copies=self._writes), remote.number
        return self._maker

    def _room(self, shapes: Sequence[tuple[tuple[int, ...], str]]) -> list[Array]:
        """Arrays to write to, the same ones for each batch: Ray has copied what a task returns before the next one."""
        sizes = [int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for shape, dtype in shapes]
        nbytes = sum(map(padded, sizes))
        if self._memory.nbytes < nbytes:
            self._memory = private_memory(nbytes)
        room, offset = [], 0
        for (shape, dtype), size in zip(shapes, sizes, strict=True):
            room.append(self._memory[offset : offset + size].view(dtype).reshape(shape))
            offset += padded(size)
        return room


@final
class _Flows:
    """Of all the flows of a program that this process makes batches for.

    Ray has no word for a process, so a flow that is closed cannot tell those that have its maker: it goes when nobody
    has asked for it for a while.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flows: dict[str, _Flow] = {}
        self._tidier: threading.Thread | None = None

    def of(self, name: str) -> _Flow:
        """The one of a name, which is at work from now on."""
        with self._lock:
            flow = self._flows.setdefault(name, _Flow())
            flow.at_work = True
            return flow

    def keep_tidy(self) -> None:
        """Have a thread see to it from now on."""
        if self._tidier is None:
            self._tidier = threading.Thread(target=self._tidy, name="penstock-tidier", daemon=True)
            self._tidier.start()

    def forget(self, before_s: float) -> None:
        """Let those go that have rested since before a time."""
        with self._lock:
            for name, flow in tuple(self._flows.items()):
                if not flow.at_work and flow.since_s < before_s:
                    del self._flows[name]

    def _tidy(self) -> None:
        while True:
            time.sleep(_IDLE_S / 4)
            self.forget(time.monotonic() - _IDLE_S)


# Nothing but what a module keeps stays in a process between its tasks.
_FLOWS = _Flows()


@final
class _Shelf:
    """Large arrays, from the object store."""

    def __init__(self, arrays: Mapping[int, Array], *, copies: bool) -> None:
        # At once: who refers to an array twice has one copy of it.
        self._arrays = {key: array.copy() for key, array in arrays.items()} if copies else arrays

    def array(self, place: Place, *, private: bool) -> Array:
        """See `Shelf.array`. What is not copied cannot be written to."""
        del private
        return self._arrays[place.key]


def _unpacked(remote: RemoteMaker, *, copies: bool) -> BatchMaker:
    import ray

    parcel: Parcel = ray.get(remote.parcel[0])
    sys.path += [path for path in parcel.paths if path not in sys.path and os.path.exists(path)]
    keys = list(parcel.arrays)
    arrays = dict(zip(keys, ray.get([parcel.arrays[key] for key in keys]), strict=True))
    maker: BatchMaker = Unpickler(parcel.payload, _Shelf(arrays, copies=copies)).load().alone()
    return maker


def _has_written(error: BaseException | None) -> bool:
    """Whether somebody has written to what may only be read."""
    while error is not None:
        if isinstance(error, ValueError) and _READ_ONLY in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False

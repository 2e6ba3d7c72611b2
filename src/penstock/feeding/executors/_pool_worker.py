"""What a process of somebody else's pool does: it looks into the memory of the process that asks, and makes a batch.

Nothing can be handed over to such a process but what is pickled with each task, so memory is found by the name that the
kernel gives to another process's descriptors. On Linux alone there is one.
"""

from __future__ import annotations

import mmap
import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from penstock._types import BatchMaker, FillReport, Step
from penstock.feeding.executors._make import make
from penstock.feeding.executors._worker import Place, Segments, Unpickler, answered


class Window(NamedTuple):
    """Memory of another process.

    Attributes:
        pid, descriptor: of that process.
        inode: what the descriptor has to lead to: by now it may be another file's, which must not be written to.
        nbytes: its size.
    """

    pid: int
    descriptor: int
    inode: int
    nbytes: int

    def opened(self) -> int:
        """A descriptor of this process.

        Raises:
            OSError: it is gone, or lies on another machine.
        """
        descriptor = os.open(f"/proc/{self.pid}/fd/{self.descriptor}", os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(descriptor).st_ino != self.inode:
            os.close(descriptor)
            raise FileNotFoundError(f"descriptor {self.descriptor} of process {self.pid} is another file by now")
        return descriptor


class RemoteMaker(NamedTuple):
    """A maker in another process's memory.

    Attributes:
        payload: what it is unpickled from.
        arrays: the large arrays that it refers to, by key.
    """

    payload: Window
    arrays: tuple[tuple[int, Window], ...]


class Task(NamedTuple):
    """A batch to make.

    Attributes:
        maker: what makes it.
        step: who is in it.
        places: of its arrays, in `slot`; none of a batch that comes back as an object.
        status, desk: where the process says that it has begun, by its number: an int64 of that memory.
    """

    maker: RemoteMaker
    step: Step
    places: tuple[Place, ...]
    slot: Window | None
    status: Window
    desk: int


def work(task: Task) -> bytes:
    """Make a batch; returns what `understood` understands: a report, or None if Ctrl-C came between."""
    _say_so(task)
    return answered(lambda: _made(task))


def _say_so(task: Task) -> None:
    descriptor = task.status.opened()
    try:
        with mmap.mmap(descriptor, task.status.nbytes) as memory:
            np.frombuffer(memory, np.int64)[task.desk] = os.getpid()
    finally:
        os.close(descriptor)


def _made(task: Task) -> FillReport | None:
    try:
        maker = _flow(task.status).maker(task.maker)
        # Mapped for each batch: a few microseconds, and 0.1 a page, for memory that goes when the flow lets it go.
        segments = Segments()
        if task.slot is not None:
            segments.add(task.places[0].key, task.slot.nbytes, task.slot.opened())
        return make(maker, task.step, [segments.array(place) for place in task.places])
    except KeyboardInterrupt:
        return None  # it has reached this process, too, which is not to end by it


class _Flow:
    """What a process of the pool keeps for a flow: its maker, as it was when it was last asked for."""

    def __init__(self) -> None:
        self._remote: RemoteMaker | None = None
        self._maker: BatchMaker | None = None

    def maker(self, remote: RemoteMaker) -> BatchMaker:
        if self._maker is None or remote != self._remote:
            self._maker = None  # first, so that large arrays of the one before are gone
            self._maker, self._remote = _unpacked(remote), remote
        return self._maker


# A pool's processes keep nothing between tasks but what a module keeps, and what the user's function has loaded into
# itself should not be loaded for each batch. Two flows at once, each with one for validation, are as many as people
# have; with the fifth the first one's maker goes, which else stays until the pool ends.
@lru_cache(maxsize=4)
def _flow(status: Window) -> _Flow:
    del status  # one for each flow
    return _Flow()


def _unpacked(remote: RemoteMaker) -> BatchMaker:
    segments = Segments()
    try:
        for key, window in remote.arrays:
            segments.add(key, window.nbytes, window.opened())
        descriptor = remote.payload.opened()
        try:
            with mmap.mmap(descriptor, remote.payload.nbytes, access=mmap.ACCESS_READ) as payload:
                maker: BatchMaker = Unpickler(bytes(payload), segments).load().alone()
        finally:
            os.close(descriptor)
    finally:
        segments.forget([key for key, _ in remote.arrays])  # descriptors that were not needed
    return maker

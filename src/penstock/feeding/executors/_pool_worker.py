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
    # Mapped for each batch: a few microseconds, and 0.1 a page, for memory that goes when the flow lets it go.
    segments = Segments()
    if task.slot is not None:
        segments.add(task.places[0].key, task.slot.nbytes, task.slot.opened())
    try:
        return make(_unpacked(task.maker), task.step, [segments.array(place) for place in task.places])
    except KeyboardInterrupt:
        return None  # it has reached this process, too, which is not to end by it


# A pool's processes keep nothing between tasks but what a module keeps. The maker is the same for all batches of a
# flow, and what the user's function has loaded into it should not be loaded for each. Two flows at once, each with one
# for validation, are as many as people have.
@lru_cache(maxsize=4)
def _unpacked(remote: RemoteMaker) -> BatchMaker:
    segments = Segments()
    for key, window in remote.arrays:
        segments.add(key, window.nbytes, window.opened())
    descriptor = remote.payload.opened()
    try:
        with mmap.mmap(descriptor, remote.payload.nbytes, access=mmap.ACCESS_READ) as payload:
            maker: BatchMaker = Unpickler(bytes(payload), segments).load().alone()
    finally:
        os.close(descriptor)
    return maker

"""What a worker process does: it maps memory, takes a maker, and makes batches until its channel ends."""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple, Protocol

import cloudpickle
import numpy as np

from penstock._errors import BatchError
from penstock._types import Array, BatchMaker, Step
from penstock.feeding.executors._channel import Channel
from penstock.feeding.executors._make import make

_PR_SET_PDEATHSIG = 1


class Place(NamedTuple):
    """Where an array lies: a segment's key, an offset in bytes, shape and dtype."""

    key: int
    offset: int
    shape: tuple[int, ...]
    dtype: str


class Segments:
    """Memory of the parent, mapped as it is needed."""

    def __init__(self) -> None:
        self._maps: dict[int, mmap.mmap] = {}
        self._descriptors: dict[int, tuple[int, int]] = {}

    def add(self, key: int, nbytes: int, descriptor: int) -> None:
        """Know a segment by its descriptor, which is closed once it is mapped."""
        self._descriptors[key] = descriptor, nbytes

    def forget(self, keys: Collection[int]) -> None:
        """Let segments go; the memory goes with the last array in it."""
        for key in keys:
            self._maps.pop(key, None)
            if key in self._descriptors:
                os.close(self._descriptors.pop(key)[0])

    def forget_all_but(self, keys: Collection[int]) -> None:
        """Let those of the maker go that it no longer refers to; slots have keys below 0."""
        self.forget([key for key in {*self._maps, *self._descriptors} if key >= 0 and key not in keys])

    def array(self, place: Place, *, private: bool = False) -> Array:
        """An array in a segment.

        Args:
            private: what is written to it stays in this process.
        """
        if place.key not in self._maps:
            descriptor, nbytes = self._descriptors.pop(place.key)
            access = mmap.ACCESS_COPY if private else mmap.ACCESS_WRITE
            self._maps[place.key] = mmap.mmap(descriptor, nbytes, access=access)
            os.close(descriptor)
        count = int(np.prod(place.shape, dtype=np.int64))
        flat = np.frombuffer(self._maps[place.key], np.dtype(place.dtype), count, place.offset)
        return flat.reshape(place.shape)


class Shelf(Protocol):
    """Where an unpickler finds large arrays."""

    def array(self, place: Place, *, private: bool) -> Array:
        """The one of a place; what is written to it stays in this process, if it is private."""
        ...


class Unpickler(pickle.Unpickler):
    """Finds large arrays where they were put."""

    def __init__(self, payload: bytes | memoryview, shelf: Shelf) -> None:
        super().__init__(BytesIO(payload))
        self._shelf = shelf

    def persistent_load(self, pid: Any) -> Array:
        place, axes = pid
        return self._shelf.array(place, private=True).transpose(axes)


def main(handle: int, parent: int) -> None:
    """Serve the process at the other end of a channel.

    Args:
        handle: of the channel's socket, inherited.
        parent: its process number; the worker ends with it.
    """
    # Ctrl-C belongs to the main process, which ends the workers in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent(parent)
    with closing(Channel(socket.socket(fileno=handle))) as channel:
        _Worker(channel).serve()


class _Worker:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._segments = Segments()
        self._maker: BatchMaker | None = None

    def serve(self) -> None:
        """Do what messages say, one after the other, until the channel ends."""
        tasks: dict[str, Callable[..., None]] = {
            "segment": self._map,
            "forget": self._segments.forget,
            "maker": self._take,
            "make": self._make,
        }
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, OSError):
                return
            assert message is not None, "this end waits without a limit"
            kind, *rest = pickle.loads(message)
            tasks[kind](*rest)

    def _map(self, key: int, nbytes: int) -> None:
        self._segments.add(key, nbytes, self._channel.descriptor())

    def _take(self, payload: bytes, keys: tuple[int, ...]) -> None:
        def unpack() -> None:
            self._maker = None
            self._segments.forget_all_but(keys)
            self._maker = Unpickler(payload, self._segments).load().alone()

        self._answer(unpack)

    def _make(self, step: Step, places: Sequence[Place]) -> None:
        assert self._maker is not None, "the maker comes first"
        maker = self._maker
        self._answer(lambda: make(maker, step, [self._segments.array(place) for place in places]))

    def _answer(self, function: Callable[[], Any]) -> None:
        """Send what a function returns, or how it failed."""
        answer = answered(function)
        try:
            self._channel.send(answer)
        except OSError:
            os._exit(0)  # nobody is there any more


def answered(function: Callable[[], Any]) -> bytes:
    """What a function returns, or how it failed, for `understood` in another process."""
    try:
        return _pickled((True, function()))
    except BaseException as error:  # a user's code may end with anything, `sys.exit` included
        return _failure(error, traceback.format_exc())


def understood(answer: bytes, pid: int | None) -> Any:
    """What a function has returned in another process.

    Args:
        pid: of that process, for the note on an error.

    Raises:
        BatchError: it has failed there.
    """
    succeeded, result = pickle.loads(answer)
    if succeeded:
        return result
    result.add_note(f"In worker process {pid}:\n{result.traceback_text}")
    raise result


def _pickled(answer: Any) -> bytes:
    """An answer as bytes; what a batch holds beside arrays may be of a class that only goes by value."""
    try:
        return pickle.dumps(answer)
    except Exception:
        return bytes(cloudpickle.dumps(answer))


def _failure(error: BaseException, text: str) -> bytes:
    """An error as bytes: one of penstock's own as it is, any other by its name and words."""
    if type(error).__module__ == BatchError.__module__:
        try:
            pickle.loads(answer := pickle.dumps((False, error)))
            return answer
        except Exception:  # something on it cannot be pickled
            text = getattr(error, "traceback_text", "") or text
    elif isinstance(error, BatchError):
        text = error.traceback_text or text
    known: dict[str, Any] = {}
    if isinstance(error, BatchError):
        known = {"epoch": error.epoch, "step": error.step, "index": error.index, "path": error.path}
    return pickle.dumps((False, BatchError(f"{type(error).__name__}: {error}", **known, traceback_text=text)))


def _end_with_parent(parent: int) -> None:
    """Be killed when the parent is, also while busy; elsewhere than on Linux the channel's end has to do."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went before we asked
            os._exit(0)

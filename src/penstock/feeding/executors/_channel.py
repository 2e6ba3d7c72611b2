"""Messages between two processes, and memory along with them."""

from __future__ import annotations

import array
import os
import socket
import struct
from collections import deque
from typing import final

_LENGTH = struct.Struct("=Q")
_CHUNK_BYTES = 1 << 16
_DESCRIPTOR_SPACE = socket.CMSG_SPACE(array.array("i").itemsize)


@final
class Channel:
    """One end of a pair of sockets.

    A message costs one system call on each side, and so one release of the interpreter lock: beside a thread that is
    busy in Python each of them may cost 5 ms. `multiprocessing.Connection` takes three to receive one.

    Args:
        end: a connected stream socket, blocking; the channel owns it.
        patience_s: after which `receive` returns None; None for no limit.
        send_patience_s: after which a `send` that gets nowhere fails; None for no limit.
    """

    def __init__(
        self, end: socket.socket, patience_s: float | None = None, send_patience_s: float | None = None
    ) -> None:
        self._socket = end
        self._held = bytearray()  # what has come of messages that are not asked for yet
        self._buffer = memoryview(bytearray(_CHUNK_BYTES))
        self._descriptors: deque[int] = deque()
        for option, limit_s in ((socket.SO_RCVTIMEO, patience_s), (socket.SO_SNDTIMEO, send_patience_s)):
            if limit_s is not None:
                end.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(limit_s), int(limit_s % 1 * 1e6)))

    def send(self, message: bytes, descriptor: int | None = None) -> None:
        """Send a message, and with it a descriptor if there is one.

        Raises:
            OSError: nobody is there any more, or whoever is takes nothing.
        """
        data = memoryview(_LENGTH.pack(len(message)) + message)
        sent = 0
        if descriptor is not None:
            sent = socket.send_fds(self._socket, [data], [descriptor])
        if sent < len(data):
            self._socket.sendall(data[sent:])

    def receive(self) -> bytes | None:
        """The next message; None if it has not come in time.

        Raises:
            EOFError: there is none, and nobody is there any more.
            OSError: the same, in the middle of one.
        """
        while (message := self._next_held()) is None:
            try:
                size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _DESCRIPTOR_SPACE)
            except BlockingIOError:  # the limit
                return None
            if not size:
                raise EOFError
            for _, _, data in ancillary:
                self._descriptors.extend(array.array("i", data[: len(data) // 4 * 4]))
            self._held += self._buffer[:size]
        return message

    def descriptor(self) -> int:
        """The descriptor that came with a message; those of several messages come in their order."""
        return self._descriptors.popleft()

    def close(self) -> None:
        """End it, which the other side notices; may be called twice."""
        self._socket.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _next_held(self) -> bytes | None:
        if len(self._held) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._held)[0]
        if len(self._held) < end:
            return None
        message = bytes(memoryview(self._held)[_LENGTH.size : end])
        del self._held[:end]
        return message

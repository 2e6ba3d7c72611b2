"""Whether the servers of a Ray cluster answer, found out without Ray, which waits for minutes for those that do not."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple, final

_PAUSE_S = 1.0  # between two looks, whoever asks
_LOOK_S = 2.0  # that a server has to answer in
# What a client of gRPC says first (RFC 9113, 3.4): the preface, and no settings of its own.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_FRAME_BYTES, _SETTINGS = 9, 4  # of a frame's head; its fourth byte is the kind of frame


class Server(NamedTuple):
    """One without which there are no batches.

    Attributes:
        what: it is, for messages.
        host, port: where it listens.
        gone_s: seconds without an answer after which it is taken for gone.
        refused_s: the same, where nobody listens any more.
    """

    what: str
    host: str
    port: int
    gone_s: float
    refused_s: float


def answer(host: str, port: int, timeout_s: float = _LOOK_S) -> None:
    """Wait for a sign of life of a server of Ray's, all of which speak gRPC.

    A program that hangs, or is stopped, still has its connections taken by the system; so it has to say something.

    Raises:
        OSError: nobody listens there, or whoever does says nothing in time, or something else.
    """
    with closing(socket.create_connection((host, port), timeout_s)) as line:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return  # it would have to be spoken to in cipher
        line.sendall(_HELLO)
        head = b""
        while len(head) < _FRAME_BYTES:
            part = line.recv(_FRAME_BYTES - len(head))
            if not part:
                break
            head += part
        if len(head) < _FRAME_BYTES or head[3] != _SETTINGS:
            raise ConnectionError("who listens there is no server of Ray's")


@final
class Watch:
    """Looks at some servers, once a second at most, on behalf of all who wait for batches.

    Args:
        servers: to look at.
        answer: see there.
        clock: seconds.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        answer: Callable[[str, int], None] = answer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = tuple(servers)
        self._answer = answer
        self._clock = clock
        self._lock = threading.Lock()
        self._next_s = clock()
        self._silent_since_s: dict[Server, float] = {}
        self._gone: str | None = None

    def look(self) -> str | None:
        """What is gone, and how that shows; None if nothing is. Whoever looks now, looks for all: the others go on."""
        if self._lock.acquire(blocking=False):
            try:
                if self._gone is None and self._clock() >= self._next_s:
                    self._gone = next(filter(None, map(self._seen, self._servers)), None)
                    self._next_s = self._clock() + _PAUSE_S
            finally:
                self._lock.release()
        return self._gone

    def all_answer(self) -> bool:
        """Whether all do, now."""
        try:
            for server in self._servers:
                self._answer(server.host, server.port)
        except OSError:
            return False
        return True

    def _seen(self, server: Server) -> str | None:
        """How it shows that a server is gone; None if it is not, or may only be slow."""
        try:
            self._answer(server.host, server.port)
        except OSError as error:
            now_s = self._clock()
            silent_s = now_s - self._silent_since_s.setdefault(server, now_s)
            if silent_s >= (server.refused_s if isinstance(error, ConnectionRefusedError) else server.gone_s):
                return f"{server.what} at {server.host}:{server.port} does not answer ({error})"
        else:
            self._silent_since_s.pop(server, None)
        return None

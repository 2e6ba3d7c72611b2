"""An end for queries that no server and no driver ends."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_GRACE_S = 1.0


class Cutter:
    """Cuts the connection to a server that stands still, which no server does by itself, and no driver.

    Args:
        seconds: that a query may take; None for any number. The server, which knows it too, is given a little more.

    Attributes:
        reason: why it was cut, for messages; empty if it was not.
    """

    def __init__(self, seconds: float | None) -> None:
        self.reason = ""
        self._seconds = seconds
        self._driver: Any = None
        self._line: socket.socket | None = None

    @contextmanager
    def around(self, connection: Any, running: set[Cutter]) -> Iterator[None]:
        """Ready to cut a connection while it is used; one of a driver that has no socket to cut is left alone.

        Args:
            running: has this in it meanwhile.
        """
        self._driver = connection.connection.driver_connection
        if os.name == "posix" and hasattr(self._driver, "fileno"):
            # This connection's, even if the driver closes its own, and another has the same number then.
            self._line = socket.socket(fileno=os.dup(self._driver.fileno()))
        timer = None
        if self._seconds is not None and self._line is not None:
            why = (
                f"has not answered within {self._seconds:g} s. Look at the server, or set `timeout` to more or to None"
            )
            timer = threading.Timer(self._seconds + _GRACE_S, self.cut, [why])
            timer.daemon = True
            timer.start()
        running.add(self)
        try:
            yield
        finally:
            running.discard(self)
            if timer is not None:
                timer.cancel()
                timer.join()
            if self._line is not None:
                self._line.close()

    def cut(self, reason: str) -> None:
        """Let the query fail."""
        self.reason = reason
        with suppress(OSError):
            if self._line is not None:
                self._line.shutdown(socket.SHUT_RDWR)
            elif hasattr(self._driver, "interrupt"):  # SQLite's
                self._driver.interrupt()

"""A server of S3 on this machine, with faults that tests choose: moto's, behind a door that counts and fails."""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import fsspec

KEY, SECRET = "AKIDOFTHETEST", "hush-hush-not-to-be-seen"
Fault = Callable[[str, str, int], Any]


class S3Server:
    """Answers for buckets on the loopback interface.

    Attributes:
        options: for fsspec, with the secret.
        fault: called with a request's method, path and number, from 1, of its kind; returns a status to answer with,
            "reset" to cut the connection, "silence" to answer no more, or None for the right answer. May wait.
        asked: how often each (method, path) was.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.options: dict[str, Any] = {"key": KEY, "secret": SECRET, "endpoint_url": self.url}
        self.fault: Fault | None = None
        self.asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """No faults and no counts; whoever is kept silent goes on."""
        self._is_over.set()
        self._is_over = threading.Event()
        self.fault = None
        self.asked.clear()

    def close(self) -> None:
        self.reset()
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, content: bytes | None = None) -> None:
        """Make a bucket, `name`, or an object, `name/key`."""
        system = fsspec.filesystem("s3", **self.options)
        system.mkdir(path) if content is None else system.pipe_file(path, content)

    def gets(self, part: str = "") -> list[int]:
        """How often each object was asked for whose path has this in it."""
        return [count for (method, path), count in self.asked.items() if method == "GET" and part in path]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.asked[method, path] += 1
            number = self.asked[method, path]
        over = self._is_over
        fault = None if self.fault is None else self.fault(method, path, number)
        if fault == "silence":
            over.wait(60)
            fault = 503
        if fault == "reset":
            connection = environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return []
        if fault is not None:
            code = {403: "AccessDenied", 404: "NoSuchKey", 429: "TooManyRequests", 500: "InternalError"}
            name = code.get(fault, "ServiceUnavailable")
            start_response(f"{fault} {name}", [("Content-Type", "application/xml")])
            return [f"<Error><Code>{name}</Code><Message>a fault of the test's</Message></Error>".encode()]
        return self._app(environ, start_response)


class Meeting:
    """A fault that answers no object before so many requests are under way at once.

    Args:
        requests: that have to be there.
    """

    def __init__(self, requests: int) -> None:
        self._barrier = threading.Barrier(requests)

    def __call__(self, method: str, path: str, number: int) -> int | None:
        if method == "GET" and path.lower().endswith(".jpg"):
            try:
                self._barrier.wait(30)
            except threading.BrokenBarrierError:
                return 404  # so that the test fails
        return None

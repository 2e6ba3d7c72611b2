"""A server of HTTP that says what it is told to, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

BODY = bytes(range(256)) * 300


class Server:
    """Listens on the loopback interface.

    Args:
        script: for each connection its answers, in pieces; an answer of None ends the connection.
        context: for TLS.

    Attributes:
        heads: what was asked, by connection.
        asked, ended: let one more pass for each request, and for each connection that is over.
    """

    def __init__(self, *script: list[list[bytes] | None], context: ssl.SSLContext | None = None) -> None:
        self._now: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._script, self._context = script, context
        self.heads: list[list[str]] = []
        self.asked, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http{'s' * (context is not None)}://127.0.0.1:{self.port}/a"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._script:
            try:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:
                continue
            self._now = connection
            with contextlib.suppress(OSError), connection, connection.makefile("rb") as asked:
                self.heads.append([])
                for answer in answers:
                    if answer is None:
                        break
                    head = b""
                    while not head.endswith(b"\r\n\r\n") and (line := asked.readline()):
                        head += line
                    self.heads[-1].append(head.decode())
                    self.asked.release()
                    for piece in answer:
                        connection.sendall(piece)
                else:
                    asked.read()  # until the other side ends it
            self.ended.release()

    def close(self) -> None:
        """Also where connections have not been made."""
        while self._thread.is_alive():
            if self._now is not None:
                with contextlib.suppress(OSError):
                    self._now.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
            self._thread.join(0.1)
        self._listener.close()


def answer(body: bytes = BODY, status: str = "200 OK", more: str = "", version: str = "HTTP/1.1") -> bytes:
    """As a plain server sends it."""
    return f"{version} {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body

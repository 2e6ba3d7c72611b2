"""A connection to a server of HTTP: requests, one after the other, and answers of the plainest kind.

Whatever is not known by heart here is `Unplain`: redirects, bodies in chunks or of unknown length, answers that are
compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, final

_MOST_HEAD_BYTES = 16 << 10
_MOST_WORDS_BYTES = 64 << 10  # that come with an error
_MOST_BYTES = 1 << 30  # an encoded image is smaller; what is larger must not fill the memory
_END = b"\r\n\r\n"
_LAST = b"0\r\n\r\n"  # of the chunks of an answer
_TOLD = (403, 404, 410, 429)  # what these say is understood


class Site(NamedTuple):
    """What is connected to."""

    host: str
    port: int
    is_tls: bool


class Request(NamedTuple):
    """A question.

    Attributes:
        site: whom to ask. head: all that is sent.
        size: bytes of the part that is asked for; None for a whole file.
    """

    site: Site
    head: bytes
    size: int | None = None


class HTTPError(Exception):
    """What a server says instead of a file.

    Attributes:
        status: its number.
        body: what came with it.
    """

    def __init__(self, status: int, words: str, body: bytes) -> None:
        super().__init__(words)
        self.status, self.body = status, body


class Unplain(Exception):
    """The answer is for another client."""


@final
class Connection(asyncio.BufferedProtocol):
    """One connection, with one request at a time. A body is written where it stays, and copied no more."""

    def __init__(self, everyone: set[Connection]) -> None:
        self._everyone = everyone
        self._answer: asyncio.Future[memoryview] | None = None
        self._transport: asyncio.Transport
        self._request: Request
        self._status = 0
        self._head = bytearray(_MOST_HEAD_BYTES)
        self._got = 0  # bytes of the head, and then of the body
        self._body: memoryview | None = None
        self._is_in_chunks = False
        self._is_open_ended = False  # what comes with an error, until the connection ends
        self._lasts = False
        self._is_open = False
        self.has_answered = False
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it can be asked again."""
        return self._is_open and not self._transport.is_closing()

    def ask(self, request: Request) -> asyncio.Future[memoryview]:
        """Send a request; the answer's body."""
        self._request, self._got, self._body, self.has_answered = request, 0, None, False
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request.head)
        return self._answer

    def end(self) -> None:
        """Let it go at once."""
        self._is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._is_open = transport, True
        self._everyone.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        self._everyone.discard(self)
        words = getattr(exc, "strerror", None) or "the server ended the connection"
        if self._body is not None and self._is_open_ended:
            self._finish()
        self._fail(ConnectionResetError(words))

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint  # as much as there is room for
        return (memoryview(self._head) if self._body is None else self._body)[self._got :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._answer is None or self._answer.done():  # nobody has asked, or nobody waits any more
            self.end()
            return
        self.has_answered = True
        self._got += nbytes
        if self._body is None:
            end = self._head.find(_END, max(0, self._got - nbytes - len(_END)), self._got)
            if end < 0:
                if self._got == len(self._head):
                    self._refuse("the head of the answer is too long")
                return
            self._begin_body(end)
        if self._body is None:
            return
        if self._got == len(self._body) or (self._is_in_chunks and self._body[: self._got].tobytes().endswith(_LAST)):
            self._finish()

    def _begin_body(self, end: int) -> None:
        try:
            line, _, rest = bytes(self._head[:end]).decode("latin-1").partition("\r\n")
            version, status, *_ = line.split(" ", 2)
            headers = {
                name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest.split("\r\n"))
            }
            self._status = int(status)
        except ValueError:
            self._refuse("it is no answer of HTTP")
            return
        size = self._body_bytes(version, headers)
        come = self._got - end - len(_END)
        if size is None or (come > size and not self._is_open_ended):
            self._refuse(f"the answer, {line!r}, is for another client")
            return
        # A server of HTTP 1.0 ends the connection by itself.
        is_to_close = version != "HTTP/1.1" or "close" in headers.get("connection", "").lower()
        self._lasts = not (is_to_close or self._is_open_ended)
        self._body, self._got = memoryview(bytearray(size)), min(come, size)
        self._body[: self._got] = self._head[end + len(_END) : end + len(_END) + self._got]

    def _body_bytes(self, version: str, headers: Mapping[str, str]) -> int | None:
        """For how many bytes to make room; None for an answer that is for another client."""
        length, wanted = headers.get("content-length", ""), self._request.size
        self._is_in_chunks = "transfer-encoding" in headers
        is_known = length.isdecimal() and not self._is_in_chunks
        self._is_open_ended = False
        if version not in ("HTTP/1.1", "HTTP/1.0") or headers.get("content-encoding", "identity") != "identity":
            return None
        if self._status in (200, 206):
            is_right = self._status == 200 if wanted is None else is_known and int(length) <= wanted
            return int(length) if is_known and is_right and int(length) <= _MOST_BYTES else None
        if self._status in _TOLD or self._status >= 500:
            self._is_open_ended = not is_known or int(length) > _MOST_WORDS_BYTES
            return _MOST_WORDS_BYTES if self._is_open_ended else int(length)
        return None

    def _finish(self) -> None:
        assert self._answer is not None
        assert self._body is not None
        body, self._body = self._body[: self._got], None
        self._got = 0
        if not self._lasts:
            self.end()
        if self._answer.done():
            return
        if self._status in (200, 206):
            self._answer.set_result(body)
        else:
            words = _joined(body.tobytes()) if self._is_in_chunks else body.tobytes()
            self._answer.set_exception(HTTPError(self._status, f"HTTP {self._status}", words))

    def _refuse(self, why: str) -> None:
        self._fail(Unplain(why))
        self.end()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _joined(chunks: bytes) -> bytes:
    """What came in chunks, as far as it did."""
    found = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        try:
            bytes_here = int(size.partition(b";")[0], 16)
        except ValueError:
            break
        found += chunks[:bytes_here]
        chunks = chunks[bytes_here + 2 :]
    return found

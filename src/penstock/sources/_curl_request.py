"""What libcurl is told of a request, and what its answers mean."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple, TypeAlias

from penstock.sources._curl import pycurl
from penstock.sources._remote_errors import Unserved
from penstock.sources._urls import shown

Part: TypeAlias = tuple[int, int] | None  # from its first byte to the one behind its last; None for all of a file

_CHUNK_BYTES = 256 << 10  # that libcurl hands on at a time: 16 KB as it is, and a call for each
_MOST_BYTES = 1 << 30  # an encoded image is smaller; what is larger must not fill the memory
_PROTOCOLS = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
# What may pass. Anything else, as a certificate that is not trusted, is for another client.
_PASSING = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST, pycurl.E_COULDNT_CONNECT, pycurl.E_PARTIAL_FILE, pycurl.E_GOT_NOTHING,
        pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_SSL_CONNECT_ERROR,
    }
)  # fmt: skip


class Request(NamedTuple):
    """What to get.

    Attributes:
        url: where it is.
        part: of it.
        options: of libcurl, by the numbers that pycurl has for them; with credentials, and never shown.
    """

    url: str
    part: Part
    options: Mapping[int, Any]

    def __repr__(self) -> str:
        return f"Request({shown(self.url)!r}, {self.part})"


class Answer(NamedTuple):
    """What a server says.

    Attributes:
        status: of HTTP.
        body: what came with it; None for more than was asked for.
    """

    status: int
    body: memoryview | None

    @property
    def is_of_bytes(self) -> bool:
        """Whether its body is of the file, and no words about it."""
        return self.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)


def prepare(handle: pycurl.Curl, request: Request, body: BytesIO, limit_s: float) -> None:
    """Tell a handle what to get.

    Args:
        handle: a fresh one, or one that was reset.
        request: what to get. body: where to.
        limit_s: how long it may take.

    Raises:
        Exception: libcurl does not take a value, which its words may show.
    """
    handle.setopt(pycurl.URL, request.url)
    handle.setopt(pycurl.WRITEDATA, body)
    handle.setopt(pycurl.USERAGENT, "penstock")
    handle.setopt(pycurl.PROTOCOLS, _PROTOCOLS)
    handle.setopt(pycurl.REDIR_PROTOCOLS, _PROTOCOLS)  # no server sends us to files of this machine
    handle.setopt(pycurl.NOSIGNAL, 1)  # which would reach the main thread
    handle.setopt(pycurl.BUFFERSIZE, _CHUNK_BYTES)
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)  # many connections, instead of turns on one
    handle.setopt(pycurl.TIMEOUT_MS, max(1, round(1000 * limit_s)))
    size = _MOST_BYTES
    if request.part is not None:
        start, end = request.part
        handle.setopt(pycurl.RANGE, f"{start}-{end - 1}")
        size = end - start
    handle.setopt(pycurl.MAXFILESIZE_LARGE, size)
    for option, value in request.options.items():
        handle.setopt(option, value)


def answer_of(handle: pycurl.Curl, body: memoryview) -> Answer | ConnectionError:
    """What has come where libcurl is content."""
    answer = Answer(handle.getinfo(pycurl.RESPONSE_CODE), body)
    # libcurl takes a head that is cut short for one that has no more to say; an error has said enough.
    if not body and answer.is_of_bytes and handle.getinfo(pycurl.CONTENT_LENGTH_DOWNLOAD_T) < 0:
        return ConnectionResetError("the server ended the connection, or sent nothing")
    return answer


def meaning(handle: pycurl.Curl, number: int, words: str) -> Answer | Exception:
    """What an error of libcurl's means.

    Args:
        handle: whose it is.
        number: of the error. words: of libcurl's.
    """
    if number == pycurl.E_FILESIZE_EXCEEDED:
        return Answer(handle.getinfo(pycurl.RESPONSE_CODE), None)
    if number == pycurl.E_OPERATION_TIMEDOUT:
        return TimeoutError(words)
    return ConnectionError(words) if number in _PASSING else Unserved(words)

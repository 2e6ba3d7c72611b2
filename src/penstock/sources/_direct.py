"""Files, and parts of them, by our own client of HTTP: the ways of fsspec take more of a core than an image does."""

from __future__ import annotations

from typing import Any, Protocol, final

from penstock.sources._http import Connections
from penstock.sources._http_connection import HTTPError, Request, Unplain
from penstock.sources._s3_gets import S3Gets
from penstock.sources._web_gets import WebGets

_ENOUGH = 8  # answers for another client, one after the other


class Gets(Protocol):
    """What requests to a store look like."""

    authorities: str | None

    async def request(self, path: str, part: tuple[int, int] | None) -> Request:
        """What to send for a file, or for the part of it from its first byte to the one behind its last.

        Raises:
            Unplain: it is for another client.
        """
        ...

    def told(self, error: HTTPError) -> Exception:
        """What an answer means, in words; `Unplain` where another client may do better."""
        ...

    def forget(self, path: str) -> None:
        """Find out anew what requests for such files look like."""
        ...


@final
class Direct:
    """Reads files of a store, as fsspec does; and by fsspec what it cannot itself.

    Args:
        system: of fsspec's, to be used in the thread of its event loop.
        gets: what requests to it look like.
    """

    def __init__(self, system: Any, gets: Gets) -> None:
        self._system, self._gets = system, gets
        self._connections: Connections | None = None
        self._unplain = 0

    async def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes | memoryview:
        """A file, or a part of it.

        Raises:
            Exception: as the library has it, or `HTTPError`, or `ConnectionError`.
        """
        if self._unplain < _ENOUGH:
            try:
                blob = await self._get(path, None if start is None or end is None else (start, end))
            except Unplain:
                self._unplain += 1
                self._gets.forget(path)
            else:
                self._unplain = 0
                return blob
        content: bytes = await self._system._cat_file(path, start=start, end=end)
        return content

    def close(self) -> None:
        """Let go of all connections."""
        if self._connections is not None:
            self._connections.close()

    async def _get(self, path: str, part: tuple[int, int] | None) -> memoryview:
        request = await self._gets.request(path, part)
        if self._connections is None:
            self._connections = Connections(self._gets.authorities)
        try:
            return await self._connections.get(request)
        except HTTPError as error:
            told = self._gets.told(error)
        raise told


def direct(system: Any) -> Direct | None:
    """What reads from a file system of fsspec's more quickly than it does itself; None where nothing does."""
    name = f"{type(system).__module__}.{type(system).__name__}"
    if name == "s3fs.core.S3FileSystem" and S3Gets.can_serve(system):
        return Direct(system, S3Gets(system))
    if name == "fsspec.implementations.http.HTTPFileSystem" and WebGets.can_serve(system):
        return Direct(system, WebGets(system))
    return None

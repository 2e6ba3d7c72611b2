"""Files, and parts of them, by libcurl: the clients that fsspec has take more of a core than an image does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Protocol, final

from penstock.sources._curl_request import Answer, Part, Request
from penstock.sources._remote_errors import HTTPError, Unserved
from penstock.sources._s3_requests import S3Requests
from penstock.sources._transfers import Transfers
from penstock.sources._tries import TRIES, is_worth_a_try, wait_s
from penstock.sources._web_requests import WebRequests

_ENOUGH = 8  # answers for another client, one after the other


class Requests(Protocol):
    """What requests to a store look like."""

    async def request(self, path: str, part: Part) -> Request:
        """What to get for a file, or for a part of it.

        Raises:
            Unserved: it is for another client.
        """
        ...

    def told(self, status: int, body: bytes) -> HTTPError | Unserved:
        """What an answer means that is not of bytes; `Unserved` where another client may do better."""
        ...

    def forget(self, path: str) -> None:
        """Find out anew what requests for such files look like."""
        ...


@final
class Direct:
    """Reads files of a store, as fsspec does.

    Args:
        requests: what they look like; used in the thread of fsspec's event loop, as is all here.
        most: under way at a time.
    """

    def __init__(self, requests: Requests, most: int) -> None:
        self._requests, self._most = requests, most
        self._transfers: Transfers | None = None
        self._is_closed = False
        self._unserved = 0

    def close(self) -> None:
        """End what is under way, and all connections; from any thread."""
        self._is_closed = True
        if self._transfers is not None:
            self._transfers.close()

    async def read(
        self, parts: Sequence[tuple[str, Part]], timeout_s: float, deadline: float
    ) -> list[memoryview | Exception]:
        """The bytes of files or parts; or what came of it: `Unserved` for what is to be asked of fsspec.

        All are tried together, and what failed is tried again together.

        Args:
            parts: paths, as fsspec knows them, and what of them.
            timeout_s: for each try. deadline: for all, by `time.monotonic`.
        """
        found: list[memoryview | Exception] = [Unserved("too many answers were")] * len(parts)
        if self._unserved >= _ENOUGH:
            return found
        left = list(range(len(parts)))
        for turn in range(TRIES):
            limit_s = min(timeout_s, deadline - time.monotonic())
            answers = await self._tried([parts[number] for number in left], limit_s, deadline)
            pause_s = wait_s(turn, time.monotonic_ns())
            again = []
            for number, answer in zip(left, answers, strict=True):
                found[number] = answer
                if isinstance(answer, Exception) and is_worth_a_try(answer, turn, pause_s, deadline):
                    again.append(number)
            if not again:
                break
            left = again
            await asyncio.sleep(pause_s)
        return found

    async def _tried(
        self, parts: Sequence[tuple[str, Part]], timeout_s: float, deadline: float
    ) -> list[memoryview | Exception]:
        try:
            async with asyncio.timeout(timeout_s):
                asked = [await self._asked(*part) for part in parts]
            transfers = self._open()
        except Exception as error:  # the others would take as long to find out
            return [error] * len(parts)
        requests = [each for each in asked if isinstance(each, Request)]
        answered: list[Answer | Exception] = await asyncio.wrap_future(transfers.get(requests, timeout_s, deadline))
        answers = iter(answered)
        found = [each if isinstance(each, Exception) else self._made_of(next(answers), each) for each in asked]
        for (path, _), each in zip(parts, found, strict=True):
            if isinstance(each, Unserved):
                self._requests.forget(path)
                self._unserved += 1
            elif not isinstance(each, Exception):
                self._unserved = 0
        return found

    def _open(self) -> Transfers:
        if self._transfers is None:
            self._transfers = Transfers(self._most)
        if self._is_closed:  # perhaps before there was anything to close
            self._transfers.close()
        return self._transfers

    async def _asked(self, path: str, part: Part) -> Request | Unserved:
        try:
            return await self._requests.request(path, part)
        except Unserved as error:
            return error

    def _made_of(self, answer: Answer | Exception, request: Request) -> memoryview | Exception:
        if isinstance(answer, Exception):
            return answer
        if not answer.is_of_bytes:
            return self._requests.told(answer.status, b"" if answer.body is None else answer.body.tobytes())
        if answer.body is None or (request.part is not None and answer.status != HTTPStatus.PARTIAL_CONTENT):
            return Unserved("the answer has more than was asked for")
        return answer.body


def direct(system: Any, most: int) -> Direct | None:
    """What reads from a file system of fsspec's more quickly than it does itself; None where nothing does."""
    name = f"{type(system).__module__}.{type(system).__name__}"
    if name == "s3fs.core.S3FileSystem" and S3Requests.can_serve(system):
        return Direct(S3Requests(system), most)
    if name == "fsspec.implementations.http.HTTPFileSystem" and WebRequests.can_serve(system):
        return Direct(WebRequests(system), most)
    return None

"""Files by fsspec: many requests in flight, tried again where that may help, never for longer than agreed."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, final

from penstock.sources._file_system import FileSystem
from penstock.sources._remote_errors import Unserved, is_missing, reason
from penstock.sources._tries import TRIES, is_worth_a_try, wait_s
from penstock.sources._urls import scrubbed, shown

if TYPE_CHECKING:
    from penstock.sources._direct import Direct

_REQUEST_S = 90.0
_TRIES_IN_TIME = 3  # that there is time for where nothing answers
_LISTING_S = 900.0  # a folder of five million files, a thousand at a time; what is silent is found out before
_LOOK_S = 0.5
_SHARE = 0.9  # of the time for a batch; its error has to be there before the batch itself is given up
_FINDS = ("s3", "s3a", "gs", "gcs")  # that list all files below a folder in one go, and say what goes wrong
_DEEPEST = 64  # folders within folders; deeper ones are links that lead back


@final
class Storage:
    """A file system of fsspec's: opened in each process when it is first used, and again after `close`.

    Where fsspec has it asynchronous (S3, Google, HTTP, Azure), all requests of a call are in flight at once, and at
    most 100 of a process, or 256 where they are sent by `Direct`. Others (FTP, SFTP, memory) are asked one after the
    other by each thread.

    Args:
        url: of anything in it, for what an address itself says, as a host.
        options: as fsspec takes them; never shown.
        timeout_s: for a batch; a call ends before. None for no limit, but for each request.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, timeout_s: float | None = None) -> None:
        self._url = url
        self._protocol = url.partition(":")[0].lower()
        self._options = dict(options or {})
        self._timeout_s = timeout_s
        self._limit_s = None if timeout_s is None else _SHARE * timeout_s
        self._request_s = _REQUEST_S if self._limit_s is None else min(_REQUEST_S, self._limit_s / _TRIES_IN_TIME)
        self._lock = threading.Lock()
        self._opened: FileSystem | None = None
        self._under_way: set[Future[Any]] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return Storage, (self._url, self._options, self._timeout_s)

    def __repr__(self) -> str:
        return f"Storage({shown(self._url)!r})"

    def path(self, url: str) -> str:
        """What the file system itself calls a file."""
        return str(self._open().system._strip_protocol(url))

    def read(self, paths: Sequence[str]) -> list[bytes | memoryview | Exception]:
        """The bytes of files, or what the library says."""
        return self._all("cat_file", [(path,) for path in paths])

    def read_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes | memoryview | Exception]:
        """Parts of files, each by its path, its first byte and the one behind its last."""
        return self._all("cat_file", parts, ("start", "end"))

    def look(self, paths: Sequence[str]) -> list[dict[str, Any] | Exception]:
        """What is known of files: "size", "type" and more."""
        return self._all("info", [(path,) for path in paths])

    def folder(self, path: str) -> list[dict[str, Any]] | Exception:
        """What lies in one folder: "name", "type" and more of each."""
        found: list[dict[str, Any]] | Exception = self._all("ls", [(path, True)], ("detail",))[0]
        return found

    def below(self, paths: Sequence[str]) -> list[list[dict[str, Any]] | Exception]:
        """All files at any depth below each folder: "name" and more."""
        if self._protocol in _FINDS:
            found = self._all("find", [(path, True) for path in paths], ("detail",))
            return [one if isinstance(one, Exception) else list(one.values()) for one in found]
        return self._walked(paths)

    def _walked(self, paths: Sequence[str]) -> list[list[dict[str, Any]] | Exception]:
        """As `below`, folder by folder: fsspec's own way leaves out what it cannot list, without a word."""
        found: list[list[dict[str, Any]] | Exception] = [[] for _ in paths]
        level = list(enumerate(paths))
        for depth in range(_DEEPEST):
            listed = self._all("ls", [(path, True) for _, path in level], ("detail",))
            folders = []
            for (number, path), infos in zip(level, listed, strict=True):
                files = found[number]
                if isinstance(files, Exception) or (depth and isinstance(infos, Exception) and is_missing(infos)):
                    continue
                if isinstance(infos, Exception):
                    found[number] = infos
                    continue
                for info in infos:
                    if info["type"] != "directory":
                        files.append(info)
                    elif info["name"].rstrip("/") != path.rstrip("/"):
                        folders.append((number, info["name"]))
            level = folders
            if not level:
                break
        return found

    def reason(self, error: BaseException) -> str:
        """Why a file cannot be had, without anything secret."""
        return scrubbed(reason(error), self._url, self._options)

    def interrupt(self) -> None:
        """Let what is under way fail at once; takes no lock."""
        for future in self._under_way.copy():
            future.cancel()

    def close(self) -> None:
        """Let what is under way fail, and the file system go; the next call asks fsspec for it again."""
        self.interrupt()
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _all(self, method: str, calls: Sequence[tuple[Any, ...]], names: tuple[str, ...] = ()) -> list[Any]:
        """Results of a method for each of some arguments; those behind the first by their names."""
        opened = self._open()
        limit_s = None if method == "find" else self._limit_s
        deadline = float("inf") if limit_s is None else time.monotonic() + limit_s
        if hasattr(opened.system, "retries"):  # s3fs: tries to read are counted here, and pages of a list there
            opened.system.retries = 1 if method == "cat_file" else type(opened.system).retries
        given = [(call[0], dict(zip(names, call[1:], strict=True))) for call in calls]
        if not opened.is_async:
            return [self._patiently(opened.of_thread(), method, *one, deadline) for one in given]
        if opened.direct is not None and method == "cat_file":
            answers = self._directly(opened, opened.direct, given, deadline)
        else:
            answers = self._gathered(opened, method, given, deadline)
        future = asyncio.run_coroutine_threadsafe(answers, opened.system.loop)
        self._under_way.add(future)
        try:
            # A Ctrl-C that comes just before a wait begins is seen when it ends.
            while not wait([future], _LOOK_S).done:
                pass
            return future.result()
        except CancelledError:
            return [ConnectionAbortedError("the flow was closed")] * len(calls)
        finally:
            future.cancel()  # where an interrupt ends the wait
            self._under_way.discard(future)

    async def _gathered(
        self, opened: FileSystem, method: str, calls: Sequence[tuple[str, dict[str, Any]]], deadline: float
    ) -> list[Any]:
        ask = getattr(opened.system, f"_{method}")

        async def one(number: int, path: str, more: dict[str, Any]) -> Any:
            most_s = _LISTING_S if method == "find" else self._request_s
            async with opened.gate:
                for turn in range(TRIES):
                    try:
                        async with asyncio.timeout(min(most_s, deadline - time.monotonic())):
                            return await ask(path, **more)
                    except Exception as error:
                        failed, pause_s = error, wait_s(turn, number)
                    if not is_worth_a_try(failed, turn, pause_s, deadline):
                        break
                    await asyncio.sleep(pause_s)
            return failed

        return await asyncio.gather(*(one(number, *call) for number, call in enumerate(calls)))

    async def _directly(
        self, opened: FileSystem, quick: Direct, calls: Sequence[tuple[str, dict[str, Any]]], deadline: float
    ) -> list[Any]:
        """As `_gathered`, by libcurl."""
        parts = [(path, (more["start"], more["end"]) if more else None) for path, more in calls]
        found: list[Any] = list(await quick.read(parts, self._request_s, deadline))
        others = [number for number, each in enumerate(found) if isinstance(each, Unserved)]
        answers = await self._gathered(opened, "cat_file", [calls[number] for number in others], deadline)
        for number, answer in zip(others, answers, strict=True):
            found[number] = answer
        return found

    def _patiently(self, system: Any, method: str, path: str, more: dict[str, Any], deadline: float) -> Any:
        for turn in range(TRIES):
            try:
                return getattr(system, method)(path, **more)
            except Exception as error:
                failed, pause_s = error, wait_s(turn, 0)
            if not is_worth_a_try(failed, turn, pause_s, deadline):
                break
            time.sleep(pause_s)
        return failed

    def _open(self) -> FileSystem:
        opened = self._opened
        if opened is not None and opened.pid == os.getpid():
            return opened
        with self._lock:
            if self._opened is None or self._opened.pid != os.getpid():
                self._opened = FileSystem.opened(self._url, self._options)
            return self._opened

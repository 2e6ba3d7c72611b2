"""A file system of fsspec's in one process, and what reads from it more quickly."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock.sources._urls import scrubbed, shown

if TYPE_CHECKING:
    from penstock.sources._direct import Direct

_IN_FLIGHT = 100  # requests of a process; as many connections as aiohttp opens at most
_DIRECT_IN_FLIGHT = 256  # where libcurl connects; at 0.05 s for a request, 100 were 2,000 files a second at most
_PACKAGES = {
    "s3": "penstock[s3]", "s3a": "penstock[s3]", "gs": "penstock[gcs]", "gcs": "penstock[gcs]",
    "http": "penstock[remote]", "https": "penstock[remote]",
}  # fmt: skip


@dataclass
class FileSystem:
    """A file system, open in this process.

    Attributes:
        url: of anything in it. options: as fsspec takes them.
        system: of fsspec's.
        direct: reads from it more quickly; None where nothing does.
        close: lets go of the connections of `direct`.
        gate: lets so many requests of fsspec's pass at a time.
        pid: of the process that it belongs to.
    """

    url: str
    options: Mapping[str, Any] = field(repr=False)
    system: Any
    direct: Direct | None = None
    close: Callable[[], Any] = lambda: None
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_IN_FLIGHT))
    pid: int = field(default_factory=os.getpid)
    _by_thread: threading.local = field(default_factory=threading.local)

    @classmethod
    def opened(cls, url: str, options: Mapping[str, Any]) -> FileSystem:
        """By fsspec.

        Raises:
            ImportError: a package is not installed; it says which.
            ValueError: no such protocol, or options that it does not take.
        """
        opened = cls(url, options, _system(url, options))
        quick = _direct(opened.system) if opened.is_async else None
        if quick is not None:
            opened.direct, opened.close = quick, weakref.finalize(opened, _let_go, quick, opened.pid)
        return opened

    @property
    def is_async(self) -> bool:
        """Whether any number of requests may be under way at a time, in the thread of an event loop."""
        return bool(getattr(self.system, "async_impl", False))

    def of_thread(self) -> Any:
        """One of fsspec's for the calling thread, where threads cannot share one."""
        if not hasattr(self._by_thread, "system"):
            self._by_thread.system = _system(self.url, self.options)
        return self._by_thread.system


def _system(url: str, options: Mapping[str, Any]) -> Any:
    protocol = url.partition(":")[0].lower()
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            f"{shown(url)!r} is read by fsspec. Install it with "
            f'`pip install "{_PACKAGES.get(protocol, "penstock[remote]")}"`.'
        ) from error
    try:
        # fsspec keeps it for the next flow, since connecting to S3 takes half a second; but no listing from before.
        system, _ = fsspec.url_to_fs(url, **{**_quick(protocol, options), "use_listings_cache": False})
    except ImportError as error:
        known = _PACKAGES.get(protocol)
        hint = f'Install it with `pip install "{known}"`' if known else scrubbed(str(error), "", options)
        raise ImportError(f"{shown(url)!r} needs a package that is not installed. {hint}.") from None
    except Exception as error:  # whatever it makes of an option that it does not know
        said = scrubbed(str(error), url, options)
        raise ValueError(f"{shown(url)!r} cannot be opened by fsspec: {said}") from None
    return system


def _quick(protocol: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with what lets many small files through; the user's own stand.

    By itself s3fs asks for the size of each object before the object, and botocore opens ten connections.
    """
    if protocol not in ("s3", "s3a"):
        return dict(options)
    config = {"max_pool_connections": _IN_FLIGHT, "retries": {"max_attempts": 0}, **options.get("config_kwargs", {})}
    return {"max_concurrency": 1, **options, "config_kwargs": config}


def _direct(system: Any) -> Direct | None:
    try:
        from penstock.sources._direct import direct
    except ImportError:  # without pycurl
        return None
    return direct(system, _most_connections())


def _let_go(quick: Direct, pid: int) -> None:
    if pid == os.getpid():  # connections belong to the process that has made them
        quick.close()


def _most_connections() -> int:
    """Of a process, which has to open files beside them."""
    try:
        import resource
    except ImportError:  # Windows
        return _DIRECT_IN_FLIGHT
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _DIRECT_IN_FLIGHT if files < 0 else max(16, min(_DIRECT_IN_FLIGHT, files // 2))

"""What a GET of a file behind a web address looks like."""

from __future__ import annotations

from typing import Any, final

from penstock.sources._http_connection import HTTPError, Request, Site, Unplain

_QUICK_OPTIONS = frozenset({"use_listings_cache"})  # our own
_PORTS = {"http": 80, "https": 443}


@final
class WebGets:
    """Requests for files. See `Gets`.

    Args:
        system: fsspec's for HTTP.
    """

    authorities: str | None = None

    def __init__(self, system: Any) -> None:
        self._system = system

    @staticmethod
    def can_serve(system: Any) -> bool:
        """Whether nothing is asked of it by options."""
        return set(system.storage_options) <= _QUICK_OPTIONS

    async def request(self, path: str, part: tuple[int, int] | None) -> Request:
        """See `Gets.request`."""
        url = self._system.encode_url(path)  # by the same rules as fsspec
        host = url.raw_host
        if url.scheme not in _PORTS or not host or url.raw_user is not None:
            raise Unplain("its address has more than host and path")
        shown = f"[{host}]" if ":" in host else host
        port = "" if url.port == _PORTS[url.scheme] else f":{url.port}"
        lines = [f"GET {url.raw_path_qs} HTTP/1.1", f"Host: {shown}{port}", "Accept: */*", "User-Agent: penstock"]
        if part is not None:
            lines.append(f"Range: bytes={part[0]}-{part[1] - 1}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        site = Site(host, url.port, url.scheme == "https")
        return Request(site, head, None if part is None else part[1] - part[0])

    def told(self, error: HTTPError) -> Exception:
        """See `Gets.told`."""
        # Some servers refuse clients that they do not know.
        return Unplain("another client may be let in") if error.status == 403 else error

    def forget(self, path: str) -> None:
        """See `Gets.forget`."""

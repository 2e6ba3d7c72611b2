"""What a GET of a file behind a web address looks like."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from typing import Any, final

from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Part, Request
from penstock.sources._remote_errors import HTTPError, Unserved

_QUICK_OPTIONS = frozenset({"use_listings_cache"})  # our own
_SCHEMES = frozenset({"http", "https"})
_MOST_REDIRECTS = 10


@final
class WebRequests:
    """See `Requests`.

    Args:
        system: fsspec's for HTTP.
    """

    def __init__(self, system: Any) -> None:
        self._system = system
        authorities = ssl.get_default_verify_paths()  # which aiohttp trusts, too
        self._options: dict[int, Any] = {
            pycurl.FOLLOWLOCATION: 1,
            pycurl.MAXREDIRS: _MOST_REDIRECTS,
            pycurl.PROXY: "",  # none, as with fsspec
            pycurl.SSL_OPTIONS: pycurl.SSLOPT_NATIVE_CA,  # where the system has no such file
        }
        if authorities.cafile is not None:
            self._options[pycurl.CAINFO] = authorities.cafile
        if authorities.capath is not None:
            self._options[pycurl.CAPATH] = authorities.capath
        # What some servers compress all the same is decompressed; parts are of the bytes as they are sent.
        self._of_whole = {**self._options, pycurl.ACCEPT_ENCODING: "identity"}

    @staticmethod
    def can_serve(system: Any) -> bool:
        """Whether nothing is asked of it by options."""
        return set(system.storage_options) <= _QUICK_OPTIONS

    async def request(self, path: str, part: Part) -> Request:
        """See `Requests.request`."""
        url = self._system.encode_url(path)  # by the same rules as fsspec
        if url.scheme not in _SCHEMES or not url.raw_host or url.raw_user is not None:
            raise Unserved("its address has more than host and path")
        return Request(str(url.with_fragment(None)), part, self._of_whole if part is None else self._options)

    def told(self, status: int, body: bytes) -> HTTPError | Unserved:
        """See `Requests.told`."""
        del body  # a page for people
        if status == HTTPStatus.FORBIDDEN or status < 400:  # some servers refuse clients that they do not know
            return Unserved("another client may be let in")
        return HTTPError(status, f"HTTP {status}")

    def forget(self, path: str) -> None:
        """See `Requests.forget`."""

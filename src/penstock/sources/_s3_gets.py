"""What a GET of an object in S3 looks like: as s3fs would send it.

Everything about it, credentials, endpoint, region and the form of addresses, is found by s3fs and botocore. They are
stopped as they send the first request to a bucket; others are like that one. Where the same signature does not come of
the same request here, or it has headers that are not known here, there is none, and s3fs goes on alone.
"""

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, final
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from penstock.sources._http_connection import HTTPError, Request, Site, Unplain
from penstock.sources._signing import Keys, Scope, Signer

_OPTIONS = frozenset({"key", "secret", "token", "anon", "profile", "endpoint_url", "client_kwargs", "config_kwargs"})
_QUICK_OPTIONS = frozenset({"max_concurrency", "use_listings_cache"})  # our own
_CLIENT_OPTIONS = frozenset({"region_name", "endpoint_url"})
_CONFIG_OPTIONS = frozenset({"max_pool_connections", "retries", "s3", "signature_version", "region_name"})
_UNSIGNED, _SIGNED = frozenset({"host"}), frozenset({"host", "x-amz-content-sha256", "x-amz-date"})
_TOKEN = "x-amz-security-token"
_OF_ONE_TRY = frozenset(
    {"range", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-checksum-mode", "accept-encoding"}
)
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=.+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=\w+"
)
_XML = re.compile(rb"<(Code|Message)>([^<]*)</")
_EVENT, _OURS = "before-send.s3.GetObject", "penstock"
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled"})

_is_looking: ContextVar[bool] = ContextVar("_is_looking", default=False)


@dataclass(frozen=True, repr=False)
class _Form:
    """What requests to a bucket have in common.

    Attributes:
        site: whom to ask. host: as the header has it. path: that of keys begins with it.
        payload: what a signature tells of it. signer: None for those without.
    """

    site: Site
    host: str
    path: str
    payload: str
    signer: Signer | None


class _Seen(Exception):
    """Here is what would be sent."""

    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request


@final
class S3Gets:
    """Requests for objects. See `Gets`.

    Args:
        system: of s3fs's.
    """

    def __init__(self, system: Any) -> None:
        self._system = system
        self._forms: dict[str, _Form] = {}
        self._lock = asyncio.Lock()  # those who come first do not all look
        self.authorities: str | None = None

    @staticmethod
    def can_serve(system: Any) -> bool:
        """Whether nothing is asked of s3fs but what is known here."""
        options = system.storage_options
        return (
            set(options) <= _OPTIONS | _QUICK_OPTIONS
            and set(options.get("client_kwargs") or ()) <= _CLIENT_OPTIONS
            and set(options.get("config_kwargs") or ()) <= _CONFIG_OPTIONS
        )

    async def request(self, path: str, part: tuple[int, int] | None) -> Request:
        """See `Gets.request`."""
        bucket, _, key = path.partition("/")
        if not key or "?" in path or ":" in bucket:  # a version, or the name of an access point
            raise Unplain("its address has more than bucket and key")
        form = self._forms.get(bucket)
        if form is None:
            async with self._lock:
                form = self._forms.get(bucket) or await self._look(bucket)
                self._forms[bucket] = form
        signer = form.signer and await self._renewed(form.signer)
        if signer is not form.signer:  # it keeps what it has computed for the day
            self._forms[bucket] = replace(form, signer=signer)
        where = form.path + quote(key, safe="/~")
        lines = [f"GET {where} HTTP/1.1", f"host: {form.host}", "user-agent: penstock"]
        if signer is not None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            headers = {"host": form.host, "x-amz-content-sha256": form.payload, "x-amz-date": stamp}
            if signer.keys.token is not None:
                headers[_TOKEN] = signer.keys.token
            lines += [f"{name}: {value}" for name, value in headers.items() if name != "host"]
            lines.append(f"authorization: {signer.authorization(where, headers, stamp)}")
        if part is not None:
            lines.append(f"range: bytes={part[0]}-{part[1] - 1}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return Request(form.site, head, None if part is None else part[1] - part[0])

    def told(self, error: HTTPError) -> Exception:
        """See `Gets.told`."""
        found = {name: text.decode("utf-8", "replace") for name, text in _XML.findall(error.body)}
        code = found.get(b"Code", "")
        if error.status == 403 and code not in _DENIED:  # a clock that is wrong, credentials of yesterday
            return Unplain(code)
        return HTTPError(error.status, ": ".join(filter(None, [code, found.get(b"Message")])) or str(error), b"")

    def forget(self, path: str) -> None:
        """See `Gets.forget`."""
        self._forms.pop(path.partition("/")[0], None)

    async def _keys(self) -> Keys | None:
        system = self._system
        if system.key and system.secret:
            return Keys(system.key, system.secret, system.token)
        found = await system.session.get_credentials()
        if found is None:
            return None
        frozen = await found.get_frozen_credentials()  # which renews them
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    async def _renewed(self, signer: Signer) -> Signer:
        keys = await self._keys()
        if keys is None:
            raise Unplain("there are no credentials any more")
        return signer if keys == signer.keys else Signer(keys, signer.scope)

    async def _look(self, bucket: str) -> _Form:
        """What s3fs sends."""
        system = self._system
        await system.set_session()
        events = (await system.get_s3(bucket)).meta.events
        key = "a ~/ä"
        token = _is_looking.set(True)
        events.register_last(_EVENT, _stop, unique_id=_OURS)
        try:
            await system._cat_file(f"{bucket}/{key}", start=0, end=1)  # of a whole one it may ask for the size before
        except _Seen as seen:
            request = seen.request
        else:
            raise Unplain("nothing was sent")
        finally:
            _is_looking.reset(token)
        self.authorities = system.session.get_config_variable("ca_bundle")
        return self._form(request, quote(key, safe="/~"), await self._keys())

    def _form(self, request: Any, key: str, keys: Keys | None) -> _Form:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        url = urlsplit(request.url)
        host = url.netloc
        signature = headers.pop("authorization", None)
        sent = {"host": host, **headers}
        found = _SIGNATURE.fullmatch(signature or "")
        known = {*_SIGNED, _TOKEN, *_OF_ONE_TRY} if signature else {*_UNSIGNED, *_OF_ONE_TRY}
        is_by_proxy = url.scheme in getproxies() and not proxy_bypass(url.hostname or "")
        if not url.path.endswith(key) or url.query or "@" in host or not set(sent) <= known or is_by_proxy:
            raise Unplain("it is sent in a way that is not known here")
        port = url.port or (443 if url.scheme == "https" else 80)
        site = Site(url.hostname or "", port, url.scheme == "https")
        path = url.path.removesuffix(key)
        if signature is None:
            return _Form(site, host, path, "", None)
        if keys is None or found is None:
            raise Unplain("it is signed in a way that is not known here")
        signer = Signer(keys, Scope(found["region"], found["service"]))
        signed = {name: sent.get(name, "") for name in found["signed"].split(";")}
        if signer.authorization(url.path, signed, headers["x-amz-date"]) != signature:
            raise Unplain("it is signed in a way that is not known here")
        return _Form(site, host, path, headers["x-amz-content-sha256"], signer)


def _stop(request: Any, **_: Any) -> None:
    if _is_looking.get():
        raise _Seen(request)

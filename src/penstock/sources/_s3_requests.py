"""What a GET of an object in S3 looks like: as s3fs would send it.

Everything about it, credentials, endpoint, region and the form of addresses, is found by s3fs and botocore. They are
stopped as they send the first request to a bucket; others are like that one, and libcurl signs them. Where it has
headers that are not known here, s3fs goes on alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, final
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Part, Request
from penstock.sources._remote_errors import HTTPError, Unserved

_OPTIONS = frozenset({"key", "secret", "token", "anon", "profile", "endpoint_url", "client_kwargs", "config_kwargs"})
_QUICK_OPTIONS = frozenset({"max_concurrency", "use_listings_cache"})  # our own
_CLIENT_OPTIONS = frozenset({"region_name", "endpoint_url"})
_CONFIG_OPTIONS = frozenset({"max_pool_connections", "retries", "s3", "signature_version", "region_name"})
_SIGNED = frozenset({"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"})
_OF_ONE_TRY = frozenset(
    {"range", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "x-amz-checksum-mode", "accept-encoding"}
)
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=.+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=[^,]+, Signature=\w+"
)
_XML = re.compile(rb"<(Code|Message)>([^<]*)</")
_EVENT, _OURS = "before-send.s3.GetObject", "penstock"
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled"})
_DOTS = frozenset({".", ".."})
_ELSEWHERE = frozenset({301, 302, 307, 400})  # the bucket is in another region than its requests say

_is_looking: ContextVar[bool] = ContextVar("_is_looking", default=False)


class _Keys(NamedTuple):
    """Credentials: their name, what is secret, and the token of a session; None without."""

    access: str
    secret: str
    token: str | None

    def __repr__(self) -> str:
        return "_Keys(***)"


@dataclass(frozen=True, repr=False)
class _Form:
    """What requests to a bucket have in common.

    Attributes:
        url: that of keys begins with it.
        keys: by which they are signed; None for those without a signature.
        options: of libcurl.
    """

    url: str
    keys: _Keys | None
    options: Mapping[int, Any]

    def by(self, keys: _Keys) -> _Form:
        """Signed by some."""
        signing: dict[int, Any] = {pycurl.USERNAME: keys.access, pycurl.PASSWORD: keys.secret}
        if keys.token is not None:
            signing[pycurl.HTTPHEADER] = [f"x-amz-security-token: {keys.token}"]
        return _Form(self.url, keys, {**self.options, **signing})


class _Seen(Exception):
    """Here is what would be sent."""

    def __init__(self, request: Any) -> None:
        super().__init__()
        self.request = request


@final
class S3Requests:
    """See `Requests`.

    Args:
        system: of s3fs's.
    """

    def __init__(self, system: Any) -> None:
        self._system = system
        self._forms: dict[str, _Form] = {}
        self._lock = asyncio.Lock()  # those who come first do not all look

    @staticmethod
    def can_serve(system: Any) -> bool:
        """Whether nothing is asked of s3fs but what is known here."""
        options = system.storage_options
        return (
            set(options) <= _OPTIONS | _QUICK_OPTIONS
            and set(options.get("client_kwargs") or ()) <= _CLIENT_OPTIONS
            and set(options.get("config_kwargs") or ()) <= _CONFIG_OPTIONS
        )

    async def request(self, path: str, part: Part) -> Request:
        """See `Requests.request`."""
        bucket, _, key = path.partition("/")
        if not key or "?" in path or ":" in bucket:  # a version, or the name of an access point
            raise Unserved("its address has more than bucket and key")
        if _DOTS & set(key.split("/")):  # which libcurl takes for the way to another folder
            raise Unserved("its key has dots between slashes")
        form = self._forms.get(bucket)
        if form is None:
            async with self._lock:
                form = self._forms.get(bucket) or await self._look(bucket)
        elif form.keys is not None:
            keys = await self._keys()
            if keys != form.keys:  # they have been renewed
                form = form.by(keys)
        self._forms[bucket] = form
        return Request(form.url + quote(key, safe="/~"), part, form.options)

    def told(self, status: int, body: bytes) -> HTTPError | Unserved:
        """See `Requests.told`."""
        found = {name: text.decode("utf-8", "replace") for name, text in _XML.findall(body)}
        code = found.get(b"Code", "")
        if status in _ELSEWHERE or (status == HTTPStatus.FORBIDDEN and code not in _DENIED):  # or a clock that is wrong
            return Unserved(code)
        return HTTPError(status, ": ".join(filter(None, [code, found.get(b"Message")])) or f"HTTP {status}")

    def forget(self, path: str) -> None:
        """See `Requests.forget`."""
        self._forms.pop(path.partition("/")[0], None)

    async def _keys(self) -> _Keys:
        system = self._system
        if system.key and system.secret:
            return _Keys(system.key, system.secret, system.token)
        found = await system.session.get_credentials()
        if found is None:
            raise Unserved("there are no credentials any more")
        frozen = await found.get_frozen_credentials()  # which renews them
        return _Keys(frozen.access_key, frozen.secret_key, frozen.token)

    async def _look(self, bucket: str) -> _Form:
        """What s3fs sends."""
        from botocore.httpsession import get_cert_path

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
            raise Unserved("nothing was sent")
        finally:
            _is_looking.reset(token)
        headers = {name.lower(): value for name, value in request.headers.items()}
        signature = headers.pop("authorization", "")
        found = _SIGNATURE.fullmatch(signature.decode() if isinstance(signature, bytes) else signature)
        url, sent = urlsplit(request.url), quote(key, safe="/~")
        is_known = set(headers) <= _OF_ONE_TRY | (_SIGNED if found else frozenset())
        if (
            not url.path.endswith(sent)
            or url.query
            or "@" in url.netloc
            or not is_known
            or bool(signature) != bool(found)
        ):
            raise Unserved("it is sent in a way that is not known here")
        common = {
            pycurl.CAINFO: get_cert_path(system.session.get_config_variable("ca_bundle") or True),
            pycurl.PROXY: "" if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme, ""),
        }
        if found is None:
            return _Form(request.url.removesuffix(sent), None, common)
        common[pycurl.AWS_SIGV4] = f"aws:amz:{found['region']}:{found['service']}"
        return _Form(request.url.removesuffix(sent), None, common).by(await self._keys())


def _stop(request: Any, **_: Any) -> None:
    if _is_looking.get():
        raise _Seen(request)

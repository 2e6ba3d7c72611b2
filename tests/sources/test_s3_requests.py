"""Requests to S3: what botocore would send."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from http_server import Server, answer
from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Answer, Request
from penstock.sources._direct import direct
from penstock.sources._remote_errors import HTTPError, Unserved
from penstock.sources._s3_requests import S3Requests
from penstock.sources._transfers import Transfers
from s3_server import KEY, SECRET

sync = pytest.importorskip("fsspec.asyn").sync
s3fs = pytest.importorskip("s3fs")
botocore = pytest.importorskip("botocore")
OPTIONS: dict[str, Any] = {"key": KEY, "secret": SECRET, "client_kwargs": {"region_name": "eu-central-1"}}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CA_BUNDLE",
        "http_proxy",
        "https_proxy",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="module")
def session() -> Any:
    """That has read what botocore knows about S3, which takes it a second."""
    from aiobotocore.session import AioSession

    return AioSession()


@pytest.fixture
def system(session: Any) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        made = s3fs.S3FileSystem(**{**OPTIONS, **options}, skip_instance_cache=True)
        made.session = session
        return made

    return make


def asked(made: Any, path: str = "bucket/a b/ä~+=.jpg", part: tuple[int, int] | None = None) -> Request:
    async def ask() -> Request:
        return await S3Requests(made).request(path, part)

    found: Request = sync(made.loop, ask)
    return found


def sent(request: Request) -> tuple[str, dict[str, str]]:
    """The path and the headers that come where a request goes, which is a server of ours."""
    here, transfers = Server([[answer()]]), Transfers(1)
    try:
        url = urlsplit(request.url)
        elsewhere = {pycurl.CONNECT_TO: [f"{url.hostname}:{url.port or 80}:127.0.0.1:{here.port}"]}
        plain = Request(request.url.replace("https://", "http://"), request.part, {**request.options, **elsewhere})
        (got,) = transfers.get([plain], 30).result(30)
        assert isinstance(got, Answer)
        first, *lines = here.heads[0][0].removesuffix("\r\n\r\n").split("\r\n")
    finally:
        transfers.close()
        here.close()
    method, path, _ = first.split(" ")
    assert method == "GET"
    return path, {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


def check_signature(path: str, headers: dict[str, str], token: str | None = None) -> None:
    """By botocore."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    theirs = AWSRequest("GET", f"http://{headers['host']}{path}")
    theirs.context["timestamp"] = headers["x-amz-date"]
    for name in headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";"):
        theirs.headers[name] = headers[name]
    signer = S3SigV4Auth(Credentials(KEY, SECRET, token), "s3", "eu-central-1")
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert headers["authorization"].endswith(f"Signature={signer.signature(text, theirs)}")


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://bucket.s3.eu-central-1.amazonaws.com/"),
        ({"token": "a token"}, "https://bucket.s3.eu-central-1.amazonaws.com/"),
        ({"endpoint_url": "http://127.0.0.1:9/store"}, "http://127.0.0.1:9/store/bucket/"),
        ({"config_kwargs": {"s3": {"addressing_style": "path"}}}, "https://s3.eu-central-1.amazonaws.com/bucket/"),
        ({"endpoint_url": "http://store.example:9", "config_kwargs": {"s3": {"addressing_style": "virtual"}}},
         "http://bucket.store.example:9/"),
    ],
)  # fmt: skip
def test_requests_are_addressed_and_signed_as_botocore_does(
    system: Callable[..., Any], options: dict[str, Any], url: str
) -> None:
    request = asked(system(**options), part=(10, 30))
    assert request.url == f"{url}a%20b/%C3%A4~%2B%3D.jpg"
    path, headers = sent(request)
    assert request.url.endswith(f"{headers['host']}{path}")
    assert headers["range"] == "bytes=10-29"
    assert headers.get("x-amz-security-token") == options.get("token")
    assert ("x-amz-security-token" in headers["authorization"]) == ("token" in options)
    assert SECRET not in str(headers)
    check_signature(path, headers, options.get("token"))


@pytest.mark.parametrize("key", ["a b+c&d=e;f,g.jpg", "日本/ß.jpg", "100%.jpg", "a//b/...jpg", "!'()*~_-.jpg", "%2e"])
def test_any_name_is_signed_as_botocore_does(system: Callable[..., Any], key: str) -> None:
    path, headers = sent(asked(system(), f"bucket/{key}"))
    assert unquote(path) == f"/{key}"
    check_signature(path, headers)


def test_without_credentials_nothing_is_signed(system: Callable[..., Any]) -> None:
    _, headers = sent(asked(system(key=None, secret=None, anon=True)))
    assert set(headers) == {"host", "user-agent", "accept"}


def test_credentials_that_change_are_taken_up(system: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from aiobotocore.credentials import AioCredentials

    async def ask() -> list[str]:
        requests, found = S3Requests(made), []
        for now.access_key in ("first", "second", "second"):
            found.append(await requests.request("bucket/a", None))
        return [request.options[pycurl.USERNAME] for request in found]

    now = AioCredentials("none yet", SECRET)

    async def get_credentials() -> AioCredentials:
        return now

    made = system(key=None, secret=None)
    monkeypatch.setattr(made.session, "get_credentials", get_credentials)
    assert sync(made.loop, ask) == ["first", "second", "second"]


@pytest.mark.parametrize(
    "options",
    [
        {"requester_pays": True}, {"s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256"}},
        {"version_aware": True}, {"config_kwargs": {"proxies": {}}}, {"config_kwargs": {"read_timeout": 3}},
        {"client_kwargs": {"region_name": "eu-central-1", "verify": False}}, {"use_ssl": False},
    ],
)  # fmt: skip
def test_what_else_is_asked_for_stays_with_s3fs(system: Callable[..., Any], options: dict[str, Any]) -> None:
    assert direct(system(), 1) is not None
    assert direct(system(**options), 1) is None


def test_what_is_sent_or_signed_otherwise_stays_with_s3fs(system: Callable[..., Any]) -> None:
    def refused(made: Any, path: str = "bucket/a.jpg") -> None:
        with pytest.raises(Unserved):
            asked(made, path)

    refused(system(), "bucket/a.jpg?versionId=3")
    refused(system(), "arn:aws:s3:eu-central-1:1:accesspoint/name/a.jpg")
    refused(system(), "bucket")
    refused(system(), "bucket/a/../b.jpg")
    refused(system(), "bucket/./b.jpg")
    refused(system(config_kwargs={"signature_version": "s3"}))
    paying = system()
    paying.req_kw = {"RequestPayer": "requester"}
    refused(paying)


def test_proxies_and_authorities_are_those_of_botocore(
    system: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert asked(system()).options[pycurl.PROXY] == ""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert asked(system()).options[pycurl.PROXY] == "http://127.0.0.1:9"
    monkeypatch.setenv("no_proxy", "amazonaws.com")
    assert asked(system()).options[pycurl.PROXY] == ""
    authorities = tmp_path / "authorities.pem"
    authorities.touch()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authorities))
    made = system()
    made.session = None  # the one that is shared has read the environment
    assert asked(made).options[pycurl.CAINFO] == str(authorities)


def test_nothing_shows_credentials(system: Callable[..., Any]) -> None:
    made = S3Requests(system(token="a token"))
    request = sync(made._system.loop, made.request, "bucket/a", None)
    shown = repr([request, made._forms, made._forms["bucket"].keys])
    assert "https://bucket.s3.eu-central-1.amazonaws.com/a" in shown
    assert SECRET not in shown
    assert "a token" not in shown


def test_what_s3_says_is_understood() -> None:
    def told(status: int, body: bytes) -> Exception:
        return S3Requests(None).told(status, body)

    error = told(503, b"<?xml?><Error><Code>SlowDown</Code><Message>Reduce</Message><Key>k</Key></Error>")
    assert (str(error), vars(error)) == ("SlowDown: Reduce", {"status": 503})
    assert str(told(404, b"")) == "HTTP 404"
    assert isinstance(told(403, b"<Code>AccessDenied</Code>"), HTTPError)
    assert isinstance(told(403, b"<Code>RequestTimeTooSkewed</Code>"), Unserved), "botocore sets its clock"
    assert isinstance(told(301, b"<Code>PermanentRedirect</Code>"), Unserved), "botocore goes where the bucket is"

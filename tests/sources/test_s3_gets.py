"""Requests to S3: what botocore would send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from penstock.sources import _s3_gets
from penstock.sources._direct import direct
from penstock.sources._http_connection import HTTPError, Request, Unplain
from penstock.sources._s3_gets import S3Gets
from penstock.sources._signing import Keys, Scope, Signer
from s3_server import KEY, SECRET

sync = pytest.importorskip("fsspec.asyn").sync
s3fs = pytest.importorskip("s3fs")
botocore = pytest.importorskip("botocore")
OPTIONS: dict[str, Any] = {"key": KEY, "secret": SECRET, "client_kwargs": {"region_name": "eu-central-1"}}


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "http_proxy", "https_proxy"):
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
        return await S3Gets(made).request(path, part)

    found: Request = sync(made.loop, ask)
    return found


def headers(request: Request) -> dict[str, str]:
    _, *lines = request.head.decode().removesuffix("\r\n\r\n").split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.parametrize(
    ("options", "host", "path"),
    [
        ({}, "bucket.s3.eu-central-1.amazonaws.com", "/a%20b/%C3%A4~%2B%3D.jpg"),
        ({"token": "a token"}, "bucket.s3.eu-central-1.amazonaws.com", "/a%20b/%C3%A4~%2B%3D.jpg"),
        ({"endpoint_url": "http://127.0.0.1:9/store"}, "127.0.0.1:9", "/store/bucket/a%20b/%C3%A4~%2B%3D.jpg"),
        ({"config_kwargs": {"s3": {"addressing_style": "path"}}}, "s3.eu-central-1.amazonaws.com",
         "/bucket/a%20b/%C3%A4~%2B%3D.jpg"),
    ],
)  # fmt: skip
def test_requests_are_addressed_and_signed_as_botocore_does(
    system: Callable[..., Any], options: dict[str, Any], host: str, path: str
) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    made = system(**options)
    request = asked(made, part=(10, 30))
    found = headers(request)
    assert request.head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert (request.site.host, request.site.is_tls) == (host.partition(":")[0], "127" not in host)
    assert (found["host"], found["range"], request.size) == (host, "bytes=10-29", 20)
    theirs = AWSRequest("GET", f"{'https' if request.site.is_tls else 'http'}://{host}{path}")
    theirs.context["timestamp"] = found["x-amz-date"]
    for name in found:
        if name.startswith("x-amz-"):
            theirs.headers[name] = found[name]
    signer = S3SigV4Auth(Credentials(KEY, SECRET, options.get("token")), "s3", "eu-central-1")
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert found["authorization"].endswith(f"Signature={signer.signature(text, theirs)}")
    assert found.get("x-amz-security-token") == options.get("token")


def test_the_example_of_the_manual_is_signed_as_there() -> None:
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    signed = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9", "x-amz-content-sha256": empty}
    signed["x-amz-date"] = "20130524T000000Z"
    signer = Signer(keys, Scope("us-east-1", "s3"))
    assert signer.authorization("/test.txt", signed, "20130524T000000Z").endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
    assert KEY not in repr(Keys(KEY, SECRET))
    assert SECRET not in repr(Keys(KEY, SECRET))


def test_without_credentials_nothing_is_signed(system: Callable[..., Any]) -> None:
    assert set(headers(asked(system(key=None, secret=None, anon=True)))) == {"host", "user-agent"}


def test_credentials_that_change_are_taken_up(system: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from aiobotocore.credentials import AioCredentials

    async def ask() -> list[str]:
        gets, found = S3Gets(made), []
        for now.access_key in ("first", "second"):
            found.append(headers(await gets.request("bucket/a", None))["authorization"])
        return found

    now = AioCredentials("none yet", SECRET)

    async def get_credentials() -> AioCredentials:
        return now

    made = system(key=None, secret=None)
    monkeypatch.setattr(made.session, "get_credentials", get_credentials)
    first, second = sync(made.loop, ask)
    assert "Credential=first/" in first
    assert "Credential=second/" in second


@pytest.mark.parametrize(
    "options",
    [
        {"requester_pays": True}, {"s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256"}},
        {"version_aware": True}, {"config_kwargs": {"proxies": {}}}, {"config_kwargs": {"read_timeout": 3}},
        {"client_kwargs": {"region_name": "eu-central-1", "verify": False}}, {"use_ssl": False},
    ],
)  # fmt: skip
def test_what_else_is_asked_for_stays_with_s3fs(system: Callable[..., Any], options: dict[str, Any]) -> None:
    assert direct(system()) is not None
    assert direct(system(**options)) is None


def test_what_is_sent_or_signed_otherwise_stays_with_s3fs(
    system: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(made: Any, path: str = "bucket/a.jpg") -> None:
        with pytest.raises(Unplain):
            asked(made, path)

    refused(system(), "bucket/a.jpg?versionId=3")
    refused(system(), "arn:aws:s3:eu-central-1:1:accesspoint/name/a.jpg")
    refused(system(), "bucket")
    refused(system(config_kwargs={"signature_version": "s3"}))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    refused(system())
    monkeypatch.delenv("https_proxy")
    paying = system()
    paying.req_kw = {"RequestPayer": "requester"}
    refused(paying)
    monkeypatch.setattr(_s3_gets.Signer, "authorization", lambda *_: "not as botocore signs")
    refused(system())


def test_what_s3_says_is_understood() -> None:
    def told(status: int, body: bytes) -> Exception:
        return S3Gets(None).told(HTTPError(status, f"HTTP {status}", body))

    error = told(503, b"<?xml?><Error><Code>SlowDown</Code><Message>Reduce</Message><Key>k</Key></Error>")
    assert (str(error), vars(error)) == ("SlowDown: Reduce", {"status": 503, "body": b""})
    assert str(told(404, b"")) == "HTTP 404"
    assert isinstance(told(403, b"<Code>AccessDenied</Code>"), HTTPError)
    assert isinstance(told(403, b"<Code>RequestTimeTooSkewed</Code>"), Unplain), "botocore sets its clock"

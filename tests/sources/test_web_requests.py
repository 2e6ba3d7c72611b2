"""Requests for files behind web addresses: what fsspec would ask for."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import fsspec
import pytest

from http_server import Server, answer
from penstock.sources._curl import pycurl
from penstock.sources._curl_request import Answer
from penstock.sources._direct import direct
from penstock.sources._remote_errors import HTTPError, Unserved
from penstock.sources._transfers import Transfers
from penstock.sources._web_requests import WebRequests


def url_for(path: str) -> str:
    return asyncio.run(WebRequests(fsspec.filesystem("http")).request(path, None)).url


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("http://host/a.jpg", "http://host/a.jpg"),
        ("https://host:81/a%20b.jpg?x=1&y=a%26b", "https://host:81/a%20b.jpg?x=1&y=a%26b"),
        ("http://host/a b.jpg", "http://host/a%20b.jpg"),
        ("http://host/ä.jpg#part", "http://host/%C3%A4.jpg"),
        ("http://[::1]:8080/a.jpg", "http://[::1]:8080/a.jpg"),
        ("http://bücher.example/a.jpg", "http://xn--bcher-kva.example/a.jpg"),
    ],
)
def test_addresses_are_those_of_fsspec(path: str, url: str) -> None:
    assert url_for(path) == url


def test_addresses_with_more_stay_with_fsspec() -> None:
    with pytest.raises(Unserved):
        url_for("http://user:password@host/a.jpg")


@pytest.mark.parametrize(
    "options", [{"client_kwargs": {"trust_env": True}}, {"block_size": 3}, {"headers": {"a": "b"}}]
)
def test_what_else_is_asked_for_stays_with_fsspec(options: dict[str, Any]) -> None:
    assert direct(fsspec.filesystem("http"), 1) is not None
    assert direct(fsspec.filesystem("http", **options), 1) is None


def test_what_servers_say_is_understood() -> None:
    requests = WebRequests(fsspec.filesystem("http"))
    found = requests.told(404, b"<html>")
    assert isinstance(found, HTTPError)
    assert (found.status, str(found)) == (404, "HTTP 404")
    for status in (304, 403):
        assert isinstance(requests.told(status, b""), Unserved)


def test_what_servers_compress_is_decompressed_but_for_parts() -> None:
    body = gzip.compress(b"an image")
    zipped = answer(body, more="Content-Encoding: gzip\r\n")
    server, transfers = Server([[zipped], [zipped]]), Transfers(1)
    requests = WebRequests(fsspec.filesystem("http"))
    try:
        for part, due in ((None, b"an image"), ((0, len(body)), body)):
            request = asyncio.run(requests.request(server.url, part))
            (found,) = transfers.get([request], 30).result(30)
            assert isinstance(found, Answer)
            assert found.body == due
    finally:
        transfers.close()
        server.close()
    assert "\r\nAccept-Encoding: identity\r\n" in server.heads[0][0]


def test_proxies_are_not_looked_for_as_fsspec_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    request = asyncio.run(WebRequests(fsspec.filesystem("http")).request("http://host/a", None))
    assert request.options[pycurl.PROXY] == ""

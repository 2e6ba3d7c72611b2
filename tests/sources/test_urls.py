"""Which paths are URLs, and what of them may be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.sources._urls import Address, is_url, local_path, scrubbed, shown


@pytest.mark.parametrize("path", ["s3://b/x", "https://h", "zip::a.zip", "tar://a.tar", "file:///x", "a+b-c.d://x"])
def test_urls(path: str) -> None:
    assert is_url(path)


@pytest.mark.parametrize(
    "path", ["/data", "data", r"C:\\data", "C://data", "a::b", "", Path("zip"), None, 3, b"s3://b"]
)
def test_other_paths(path: object) -> None:
    assert not is_url(path)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("s3://b/train", (None, "", "s3://b/train")),
        ("zip://a.zip", ("zip", "", "a.zip")),
        ("zip:///d/a.zip", ("zip", "", "/d/a.zip")),
        ("tar://in/ner/::/d/a.tar", ("tar", "in/ner", "/d/a.tar")),
        ("tar::s3://b/a.tar", ("tar", "", "s3://b/a.tar")),
        ("zip://in::https://h/a.zip?x=1", ("zip", "in", "https://h/a.zip?x=1")),
        ("zip::file:///d/a.zip", ("zip", "", "/d/a.zip")),
    ],
)
def test_urls_are_taken_apart(url: str, parts: tuple[str | None, str, str]) -> None:
    address = Address.parse(url)
    assert (address.archive, address.inner, address.outer) == parts


def test_paths_of_this_machine_lose_their_scheme() -> None:
    assert local_path("file:///a b/c") == "/a b/c"
    assert local_path("s3://b") == "s3://b"
    assert local_path(Path("/x")) == Path("/x")
    assert local_path(None) is None


def test_what_is_secret_is_masked() -> None:
    assert shown("ftp://me:pass@host/x@y.jpg") == "ftp://***@host/x@y.jpg"
    signed = "https://h/a.jpg?X-Amz-Credential=abc&X-Amz-Signature=def&Key-Pair-Id=ghi&sig=jkl&version=3"
    assert shown(signed) == (
        "https://h/a.jpg?X-Amz-Credential=***&X-Amz-Signature=***&Key-Pair-Id=***&sig=***&version=3"
    )
    options = {"key": "AKIDLONG", "client_kwargs": {"headers": [("x", "SECRETVALUE")]}, "endpoint_url": "http://h:1"}
    said = "AKIDLONG SECRETVALUE pass http://h:1"
    assert scrubbed(said, "ftp://me:pass@host", options) == "*** *** *** http://h:1"

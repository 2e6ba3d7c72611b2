"""Paths that are URLs: told from others, taken apart, and shown without what is secret in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MASK = "***"
ARCHIVES = ("zip", "tar")

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://|(?:zip|tar)::")  # two letters at least: C:// is a drive
_COLLAPSED = re.compile(r"(?:s3a?|gs|gcs|https?|ftp|sftp|abfs|az|hdfs|memory|file|zip|tar):/(?!/)")
_LOCAL = re.compile(r"(?:file|local)://")
_USER = re.compile(r"(?<=://)[^/\s@]{1,500}@")
_QUERY = re.compile(r"(?<=[?&;])(?P<name>[\w.\-]{1,100})=(?P<value>[^&;#\s\"'<>]{1,4000})")
# Of signed addresses of all kinds, and of whatever else is called so.
_SECRET = re.compile(r"sig$|signature|token|key|secret|credential|passw|auth|policy|session", re.IGNORECASE)
# Options whose values may be shown: without them nobody finds out what was asked.
_PLAIN = frozenset({"endpoint_url", "region_name", "region", "project", "protocol", "account_name", "host", "port"})
_SHORTEST_SECRET = 4  # shorter ones would mask half of any sentence


@dataclass(frozen=True)
class Address:
    """Where class folders lie.

    Attributes:
        archive: "zip" or "tar" for what lies in one; None for a folder.
        inner: the folder within the archive, without slashes at its ends; "" for all of it.
        outer: the archive, or the folder: a URL, or the path of a local archive.
    """

    archive: str | None
    inner: str
    outer: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take a URL apart: `s3://bucket/train`, `zip://data.zip`, `zip::s3://b/data.zip`, `tar://train::data.tar`."""
        scheme = re.match(r"(zip|tar)(?:://|::)", url)
        if scheme is None:
            return cls(None, "", url)
        rest = url[scheme.end() :]
        inner, has_outer, outer = rest.partition("::") if scheme[0].endswith("//") else ("", "::", rest)
        if not has_outer:
            inner, outer = "", rest
        outer = local_path(outer)
        if not outer or re.match(r"(zip|tar)(?:://|::)", outer):
            raise ValueError(
                f"{shown(url)!r} should name one archive, as in 'zip://data.zip', 'zip::s3://bucket/data.zip' or "
                "'tar://train::/data/images.tar'."
            )
        return cls(scheme[1], inner.strip("/"), outer)


def is_url(path: Any) -> bool:
    """Whether a path is a URL, or names an archive; `file://` counts as one, too: see `local_path`."""
    if not isinstance(path, str | os.PathLike):
        return False
    text = os.fspath(path)
    return isinstance(text, str) and _URL.match(text) is not None


def local_path(path: Any) -> Any:
    """A path that begins with `file://` without that; any other as it is.

    Raises:
        ValueError: a URL that `pathlib.Path` has made a path of.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if isinstance(text, str) and isinstance(path, os.PathLike) and _COLLAPSED.match(text):
        raise ValueError(f"{shown(text)!r} was a URL before `pathlib.Path` took one of its slashes. Give it as a text.")
    return text[found.end() :] if isinstance(text, str) and (found := _LOCAL.match(text)) else path


def shown(url: str) -> str:
    """A URL without user, password, signature and the like.

    Example:
        >>> shown("https://me:pass@host/cat.jpg?version=3&X-Amz-Signature=abc")
        'https://***@host/cat.jpg?version=3&X-Amz-Signature=***'
    """
    text = _USER.sub(f"{MASK}@", url)
    return _QUERY.sub(lambda found: f"{found['name']}={MASK}" if _SECRET.search(found["name"]) else found[0], text)


def scrubbed(text: str, url: str, options: Mapping[str, Any]) -> str:
    """What a library says, without what is secret in the URL and in the options.

    Args:
        options: as fsspec takes them.
    """
    user = _USER.search(url)
    secrets = [*_values(options), *re.split("[:@]", user[0] if user else "")]
    for secret in sorted({secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return shown(text)


def _values(options: Any, name: str = "") -> Iterator[str]:
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from _values(value, str(key))
    elif isinstance(options, list | tuple | set | frozenset):
        for value in options:
            yield from _values(value, name)
    elif isinstance(options, bytes):
        yield options.decode("latin-1")
    elif isinstance(options, str) and name not in _PLAIN:
        yield options

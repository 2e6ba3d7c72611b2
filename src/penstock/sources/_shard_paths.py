"""The files that a user means by "train-{0000..0009}.tar", a pattern or a folder."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from penstock.sources._parts import LocalParts, Parts
from penstock.sources._remote_errors import is_missing
from penstock.sources._remote_folders import check_options
from penstock.sources._remote_parts import RemoteParts, unlisted
from penstock.sources._storage import Storage
from penstock.sources._urls import Address, is_url, local_path, shown

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def find_shards(shards: Any, storage_options: Mapping[str, Any] | None = None, timeout_s: float | None = None) -> Parts:
    """The archives, in the order in which they are given; those of patterns and folders sorted.

    Args:
        shards: a path or URL with numbers or words in braces, a pattern with `*`, `?` or `[...]`, of URLs with `*` in
            the last part, or a folder, all of whose `.tar` files count, of URLs with a slash at its end; or several of
            these.
        storage_options: of URLs, as fsspec takes them.
        timeout_s: for a request, with all tries; None for no limit.

    Raises:
        TypeError: it is something else.
        ValueError: there are no such files, one of them is there twice, or they lie here and there.
        OSError: something cannot be listed.
        ImportError: fsspec, or what it needs for such URLs, is not installed.
    """
    several = [shards] if isinstance(shards, str | os.PathLike) else shards
    if not isinstance(several, Iterable):
        raise TypeError(f"`shards` should be a path, or several of them. Received: {shards!r}")
    named: list[str] = []
    for each in several:
        if not isinstance(each, str | os.PathLike):
            raise TypeError(f"`shards` should be paths. Received: {each!r}")
        named += expand_braces(os.fspath(local_path(each)))
    are_remote = {is_url(path) for path in named}
    check_options(storage_options, are_remote == {True})
    if len({path.partition(":")[0] if is_url(path) else "" for path in named}) > 1:
        raise ValueError("`shards` should all lie on this machine, or all behind URLs of one kind.")
    if are_remote == {True}:
        return _remote(named, Storage(named[0], storage_options, timeout_s))
    found = [file for path in named for file in _files(path)]
    _check_found(found, shards)
    return LocalParts.of(found)


def _remote(urls: Sequence[str], storage: Storage) -> RemoteParts:
    found = [each for url in urls for each in _below(storage, url)]
    names = [shown(url) for url in found]
    _check_found(names, names)
    try:
        return RemoteParts.of(storage, [storage.path(url) for url in found], names)
    except FileNotFoundError as error:
        raise ValueError(
            f"`shards` should name archives that are there. There is no file {error.filename!r}."
        ) from None


def _below(storage: Storage, url: str) -> list[str]:
    """URLs of archives."""
    if Address.parse(url).archive is not None:
        raise ValueError(f"`shards` should name archives themselves, which lie in no other. Received: {shown(url)!r}")
    folder, _, pattern = url.rpartition("/")
    if pattern and "*" not in pattern:
        return [url]
    infos = storage.folder(storage.path(folder))
    if isinstance(infos, Exception) and not is_missing(infos):
        raise unlisted(storage, shown(folder), infos)
    listed = [] if isinstance(infos, Exception) else infos
    names = {info["name"].rpartition("/")[2] for info in listed if info.get("type") != "directory"}
    return sorted(f"{folder}/{name}" for name in names if fnmatchcase(name, pattern or "*.tar"))


def _check_found(found: Sequence[str], shards: Any) -> None:
    doubled = next((path for path, count in Counter(found).items() if count > 1), None)
    if doubled is not None:
        raise ValueError(f"`shards` should name each archive once. Several times there: {doubled!r}")
    if not found:
        raise ValueError(f"`shards` should name at least one archive that is there. Received: {shards!r}")


def expand_braces(path: str) -> Iterator[str]:
    """A path for each number of "{000..123}" and each word of "{one,two}".

    Example:
        >>> list(expand_braces("{a,b}-{08..10}.tar"))
        ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    braces = next((each for each in _BRACES.finditer(path) if _words(each[1])), None)
    if braces is None:
        yield path
        return
    for word in _words(braces[1]):
        for rest in expand_braces(path[braces.end() :]):
            yield path[: braces.start()] + word + rest


def _words(inside: str) -> list[str]:
    if numbers := _RANGE.fullmatch(inside):
        first, last = int(numbers[1]), int(numbers[2])
        digits = max(map(len, numbers.groups())) if any(n != str(int(n)) for n in numbers.groups()) else 0
        step = 1 if first <= last else -1
        return [str(number).zfill(digits) for number in range(first, last + step, step)]
    return inside.split(",") if "," in inside else []


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        path = os.path.join(glob.escape(path), "*.tar")
    elif os.path.exists(path):
        return [path]
    found = sorted(each for each in glob.glob(path) if os.path.isfile(each)) if glob.has_magic(path) else []
    if not found:
        raise ValueError(f"`shards` should name archives that are there. There is no file {path!r}.")
    return found

"""The files that a user means by "train-{0000..0009}.tar", a pattern or a folder."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def find_shards(shards: Any) -> list[str]:
    """Paths of archives, in the order in which they are given; those of patterns and folders sorted.

    Args:
        shards: a path with numbers or words in braces, a pattern with `*`, `?` or `[...]`, or a folder, all of whose
            `.tar` files count; or several of these.

    Raises:
        TypeError: it is something else.
        ValueError: there are no such files, or one of them is there twice.
    """
    several = [shards] if isinstance(shards, str | os.PathLike) else shards
    if not isinstance(several, Iterable):
        raise TypeError(f"`shards` should be a path, or several of them. Received: {shards!r}")
    found: list[str] = []
    for each in several:
        if not isinstance(each, str | os.PathLike):
            raise TypeError(f"`shards` should be paths. Received: {each!r}")
        for path in expand_braces(os.fspath(each)):
            found += _files(path)
    doubled = sorted({path for path in found if found.count(path) > 1}) if len(set(found)) < len(found) else []
    if doubled:
        raise ValueError(f"`shards` should name each archive once. Several times there: {doubled[0]!r}")
    if not found:
        raise ValueError(f"`shards` should name at least one archive. Received: {shards!r}")
    return found


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

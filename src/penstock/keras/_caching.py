"""The keywords of the cache, checked."""

from __future__ import annotations

import os
from typing import Any

from penstock.batches._cache import Caching
from penstock.feeding._free_memory import free_bytes
from penstock.keras._feeding import parse_bytes
from penstock.keras._notice import notice


def parse_cache(cache: Any, cache_bytes: Any, images: Any = None) -> Caching | None:
    """What decoded images are kept in, if they are.

    Args:
        cache: None, "memory" or a folder.
        cache_bytes: its bound, as `parse_bytes` takes it, or None.
        images: the folder that the classes are taken from; None for none.

    Raises:
        TypeError: `cache` is no text and no path.
        ValueError: it is a file, would become a class, or a bound comes without it.
    """
    limit = parse_bytes(cache_bytes, "cache_bytes")
    if cache is None:
        if limit is not None:
            raise ValueError(
                f'`cache_bytes` bounds a cache: set cache="memory" or a folder, too. Received: {cache_bytes!r}'
            )
        return None
    if not isinstance(cache, str | os.PathLike):
        raise TypeError(f'`cache` should be None, "memory" or the path of a folder. Received: {cache!r}')
    folder = os.fspath(cache)
    if not isinstance(folder, str) or not folder.strip() or (folder != "memory" and folder.lower() == "memory"):
        raise ValueError(f'`cache` should be None, "memory" or the path of a folder. Received: {cache!r}')
    if os.name != "posix":
        notice("penstock: `cache` needs Linux or macOS; files are decoded each time.")
        return None
    if cache == "memory":
        return Caching(None, limit, free_bytes)
    folder = os.path.abspath(os.path.expanduser(folder))
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise ValueError(f"`cache` should be a folder, or a path where one can be made. {folder!r} is a file.")
    parent, name = os.path.split(os.path.realpath(folder))
    if images is not None and not name.startswith(".") and parent == os.path.realpath(images):
        raise ValueError(
            f"`cache` should lie elsewhere than beside the classes: the next flow from {os.fspath(images)!r} would "
            f"take {name!r} for one of them."
        )
    return Caching(folder, limit, free_bytes)

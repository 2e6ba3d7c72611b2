"""Images that a dataframe lists by URLs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, final
from urllib.parse import urlsplit

import numpy as np

from penstock._types import Indices
from penstock.sources._encoded import EncodedSource
from penstock.sources._files import image_extension
from penstock.sources._remote import RemoteSource
from penstock.sources._remote_errors import is_missing
from penstock.sources._remote_folders import Entry, Tree, check_options, open_tree
from penstock.sources._remote_parts import tag_of, unlisted
from penstock.sources._stamps import KnownFiles
from penstock.sources._storage import Storage
from penstock.sources._urls import Address, is_url, local_path, shown

_LOOKS = 1000  # at a time; there is a limit to how long they may take together
_WORTH_A_LIST = 20  # files of one folder: looking at each would be so many requests


@final
class RemoteTable:
    """The rows of a dataframe, whose images lie behind URLs.

    Args:
        names: a row each: URLs, or relative to `directory`.
        directory: a URL, or None.
        options: as fsspec takes them.
        timeout_s: for a request, with all tries.

    Raises:
        ImportError, ValueError, OSError: as `list_folders`.
    """

    def __init__(
        self, names: Sequence[str], directory: str | None, options: Mapping[str, Any] | None, timeout_s: float | None
    ) -> None:
        self._found: dict[int, tuple[int | None, str]] = {}
        self._tree: Tree | None = None
        self._members: dict[str, Entry] = {}
        base = "" if directory is None else directory.rstrip("/") + "/"
        archive = directory is not None and Address.parse(directory).archive is not None
        self._urls = [name if is_url(name) else f"{base}{name.lstrip('/') if base else name}" for name in names]
        self.filenames = tuple(shown(name) if is_url(name) else name for name in names)
        if archive and directory is not None:
            foreign = next((name for name in names if is_url(name)), None)
            if foreign is not None:
                raise ValueError(
                    f"File names should be relative to the archive {shown(directory)!r}. Received: {shown(foreign)!r}"
                )
            self._tree = open_tree(directory, options, timeout_s)
            wanted = dict.fromkeys(name.partition("/")[0] for name in names if "/" in name)
            self._members = {entry.name: entry for found in self._tree.files(list(wanted)) for entry in found}
            self._members |= {entry.name: entry for entry in self._tree.top()}
            self._keys = [name.lstrip("/") for name in names]
            return
        self._protocols = {_protocol(url) for url in self._urls}
        if len(self._protocols) > 1 or None in self._protocols:
            lies_here = next((url for url in self._urls if not is_url(url)), None)
            what = f"{lies_here!r} is none" if lies_here else f"these are of {sorted(map(str, self._protocols))}"
            raise ValueError(f"File names of a dataframe should all be URLs of one kind, or none of them: {what}.")
        if any(Address.parse(url).archive is not None for url in self._urls[:1]):
            raise ValueError(
                "Files in an archive should be named relative to it: give the archive as `directory`, as in "
                "'zip::s3://bucket/data.zip'."
            )
        self._storage = Storage(self._urls[0] if self._urls else base, options, timeout_s)
        self._keys = [self._storage.path(url) for url in self._urls]

    def images(self) -> Indices:
        """The rows whose files are there and have an image's extension.

        A folder that has many of them is listed, others are asked for one by one, all at once. HTTP knows no lists.

        Raises:
            OSError: something cannot be looked at; it says what.
        """
        rows = [row for row, url in enumerate(self._urls) if image_extension(_file_name(url)) is not None]
        if self._tree is not None:
            return np.array([row for row in rows if self._keys[row] in self._members], np.int64)
        by_folder: defaultdict[str, list[int]] = defaultdict(list)
        for row in rows:
            by_folder[self._keys[row].rpartition("/")[0]].append(row)
        is_web = "http" in self._protocols
        alone: list[int] = []
        for folder, its in by_folder.items():
            if is_web or len(its) < _WORTH_A_LIST:
                alone += its
                continue
            infos = self._storage.folder(folder)
            if isinstance(infos, Exception):
                if not is_missing(infos):
                    raise unlisted(self._storage, shown(self._urls[its[0]].rpartition("/")[0]), infos)
                continue
            there = {info["name"]: info for info in infos if info.get("type") != "directory"}
            self._note(its, [there.get(self._keys[row]) for row in its])
        for start in range(0, len(alone), _LOOKS):
            self._look(alone[start : start + _LOOKS])
        return np.array(sorted(self._found), np.int64)

    def source(self, rows: Indices) -> tuple[EncodedSource, KnownFiles]:
        """What reads some rows, and what is known of their files."""
        numbers = rows.tolist()
        if self._tree is not None:
            gone = next((self._keys[row] for row in numbers if self._keys[row] not in self._members), None)
            if gone is not None:
                raise ValueError(f"{gone!r} is not in the archive. Leave it out, or let `validate_filenames` do so.")
            entries = [self._members[self._keys[row]] for row in numbers]
            source: EncodedSource = self._tree.source(entries)
            return source, KnownFiles.of(source.names, [each.size for each in entries], [each.tag for each in entries])
        names = tuple(shown(self._urls[row]) for row in numbers)
        known = [self._found.get(row, (None, "")) for row in numbers]
        source = RemoteSource(self._storage, tuple(self._keys[row] for row in numbers), names)
        return source, KnownFiles.of(names, [size for size, _ in known], [tag for _, tag in known])

    def _look(self, rows: Sequence[int]) -> None:
        looks = self._storage.look([self._keys[row] for row in rows])
        for row, info in zip(rows, looks, strict=True):
            if isinstance(info, Exception) and not is_missing(info):
                raise unlisted(self._storage, shown(self._urls[row]), info)
        self._note(rows, [None if isinstance(info, Exception) else info for info in looks])

    def _note(self, rows: Sequence[int], infos: Sequence[Mapping[str, Any] | None]) -> None:
        for row, info in zip(rows, infos, strict=True):
            if info is not None and info.get("type") != "directory":
                self._found[row] = info.get("size"), tag_of(info)


def remote_table(
    names: Sequence[str],
    directory: str | os.PathLike[str] | None,
    options: Mapping[str, Any] | None,
    timeout_s: float | None,
) -> RemoteTable | None:
    """The rows of a dataframe, if they are URLs or relative to one; None for files of this machine."""
    is_remote = is_url(directory) or any(is_url(name) and local_path(name) is name for name in names)
    check_options(options, is_remote)
    if not is_remote:
        return None
    return RemoteTable(names, None if directory is None else os.fspath(directory), options, timeout_s)


def _protocol(url: str) -> str | None:
    if not is_url(url):
        return None
    protocol = url.partition(":")[0].lower()
    return {"https": "http", "s3a": "s3", "gcs": "gs"}.get(protocol, protocol)


def _file_name(url: str) -> str:
    """A URL without what follows a question mark, which has no meaning elsewhere than on the web."""
    return urlsplit(url).path if url.lower().startswith(("http:", "https:")) else url

"""Class folders wherever they lie: in an archive, or where fsspec reaches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, unquote

from penstock.sources._archives import ArchiveSource, Contents, list_archive
from penstock.sources._encoded import EncodedSource
from penstock.sources._files import class_listing, class_names, is_image, list_class_folders, no_folder, share
from penstock.sources._listing import Listing
from penstock.sources._parts import LocalParts, Parts
from penstock.sources._remote import RemoteSource
from penstock.sources._remote_errors import is_missing
from penstock.sources._remote_parts import RemoteParts, tag_of, unlisted
from penstock.sources._stamps import KnownFiles
from penstock.sources._storage import Storage
from penstock.sources._urls import Address, is_url, local_path, shown


class Entry(NamedTuple):
    """A file below a folder of classes.

    Attributes:
        name: relative to that folder, with "/" between folders.
        what: finds it again.
        size: in bytes; None where that is not known.
        tag: what changes with it; "" where that is not known.
    """

    name: str
    what: Any
    size: int | None
    tag: str


class Tree(Protocol):
    """A folder of class folders."""

    def folders(self) -> Iterable[str]:
        """Names of the folders in it."""
        ...

    def files(self, folders: Sequence[str]) -> list[list[Entry]]:
        """All files at any depth below each of some folders, in any order; none for a folder that is not there."""
        ...

    def top(self) -> list[Entry]:
        """The files in no folder, as far as they are known without asking."""
        ...

    def source(self, entries: Sequence[Entry]) -> EncodedSource:
        """What reads some files."""
        ...


def list_folders(
    directory: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: tuple[float, float] | None = None,
    follow_links: bool = False,
    hidden: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
) -> Listing:
    """As `list_class_folders`, and in the same order, of URLs, too.

    Of a store, each class folder is listed by itself, all of them at once: a request for a thousand files, and one for
    the classes. That is never much slower than one list of everything, whose pages come one after the other.

    Args:
        storage_options: as fsspec takes them.
        timeout_s: for a request, with all tries; None for no limit.

    Raises:
        ImportError: fsspec, or what it needs for such URLs, is not installed.
        ValueError: there is no such folder, no class in it, or no image in any class; or it is no such archive.
        OSError: something cannot be listed.
    """
    directory = local_path(directory)
    check_options(storage_options, is_url(directory))
    if not is_url(directory):
        return list_class_folders(directory, classes=classes, split=split, follow_links=follow_links, hidden=hidden)
    url = os.fspath(directory)
    tree = open_tree(url, storage_options, timeout_s)
    names = class_names(shown(url), classes, hidden, tree.folders)
    listed = [share(_images(entries), split) for entries in tree.files(names)]
    found = class_listing(shown(url), names, [[entry.name for entry in entries] for entries in listed], split)
    entries = [entry for entries in listed for entry in entries]
    source = tree.source(entries)
    known = KnownFiles.of(source.names, [entry.size for entry in entries], [entry.tag for entry in entries])
    return Listing(found.directory, found.filenames, found.class_indices, found.classes, encoded=source, known=known)


def check_options(storage_options: Any, is_remote: bool) -> None:
    """Refuse options that are none, or that nothing has a use for; without showing them."""
    if storage_options is None:
        return
    if not isinstance(storage_options, Mapping):
        raise TypeError(
            "`storage_options` should be a dictionary, as fsspec takes it. Received: "
            f"a value of type {type(storage_options).__name__}"
        )
    if storage_options and not is_remote:
        raise ValueError("`storage_options` are for URLs, and the images lie in files of this machine. Leave them out.")


def open_tree(url: str, storage_options: Mapping[str, Any] | None, timeout_s: float | None) -> Tree:
    """What lies at a URL.

    Raises:
        ImportError, ValueError, OSError: as `list_folders`.
    """
    address = Address.parse(url)
    if address.archive is None:
        return _RemoteTree(Storage(url, storage_options, timeout_s), url)
    archive = _archive(address.outer, url, storage_options, timeout_s)
    contents = list_archive(archive, address.archive)
    if address.inner and not any(_below(name, address.inner) for name in (*contents.folders, *contents.members)):
        raise no_folder(shown(url), is_file=address.inner in contents.members)
    return _ArchiveTree(archive, contents, address)


def _archive(outer: str, url: str, options: Mapping[str, Any] | None, timeout_s: float | None) -> Parts:
    if not is_url(outer):
        check_options(options, False)
        if not os.path.isfile(outer):
            what = "is a folder" if os.path.isdir(outer) else "does not exist"
            raise ValueError(f"`directory` should name an archive in {shown(url)!r}. {outer!r} {what}.")
        return LocalParts.of([outer])
    storage = Storage(outer, options, timeout_s)
    try:
        return RemoteParts.of(storage, [storage.path(outer)], [shown(outer)])
    except FileNotFoundError:
        raise ValueError(
            f"`directory` should name an archive in {shown(url)!r}. {shown(outer)!r} does not exist."
        ) from None


def _below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def _images(entries: Sequence[Entry]) -> list[Entry]:
    """Those that flows read, in the order of local files: sorted by folder, then by name."""
    parted = sorted(entries, key=lambda entry: entry.name.rpartition("/")[::2])
    return [entry for entry in parted if is_image(entry.name)]


class _RemoteTree:
    def __init__(self, storage: Storage, url: str) -> None:
        self._storage = storage
        self._url = url.rstrip("/")
        self._root = storage.path(url).rstrip("/")
        # Names in a page of links are written as in addresses.
        self._is_quoted = url.lower().startswith(("http:", "https:"))

    def folders(self) -> list[str]:
        found = self._storage.folder(self._root)
        if isinstance(found, Exception):
            if is_missing(found):
                raise no_folder(shown(self._url), is_file=False)
            raise unlisted(self._storage, shown(self._url), found)
        if len(found) == 1 and found[0]["type"] != "directory" and found[0]["name"].rstrip("/") == self._root:
            raise no_folder(shown(self._url), is_file=True)
        names = [self._relative(entry["name"]) for entry in found if entry["type"] == "directory"]
        return [name for name in names if name and "/" not in name]

    def files(self, folders: Sequence[str]) -> list[list[Entry]]:
        found = self._storage.below([f"{self._root}/{quote(name) if self._is_quoted else name}" for name in folders])
        listed = []
        for folder, infos in zip(folders, found, strict=True):
            if isinstance(infos, Exception):
                if not is_missing(infos):  # a class that the user names may have no folder
                    raise unlisted(self._storage, f"{shown(self._url)}/{folder}", infos)
                infos = []
            entries = [
                Entry(self._relative(info["name"]), info["name"], info.get("size"), tag_of(info)) for info in infos
            ]
            listed.append([entry for entry in entries if entry.name.startswith(f"{folder}/")])
        return listed

    def top(self) -> list[Entry]:
        return []

    def source(self, entries: Sequence[Entry]) -> RemoteSource:
        url = shown(self._url)
        return RemoteSource(
            self._storage, tuple(entry.what for entry in entries), tuple(f"{url}/{entry.name}" for entry in entries)
        )

    def _relative(self, path: str) -> str:
        name = path.rstrip("/").removeprefix(self._root).lstrip("/")
        return unquote(name) if self._is_quoted else name


class _ArchiveTree:
    def __init__(self, archive: Parts, contents: Contents, address: Address) -> None:
        prefix = f"{address.inner}/" if address.inner else ""
        self._archive = archive
        self._form = f"{address.archive}://{prefix}", f"::{archive.names[0]}"  # as fsspec writes it
        members = contents.members.items()
        self._members = {name.removeprefix(prefix): each for name, each in members if name.startswith(prefix)}
        folders = (name.removeprefix(prefix) for name in contents.folders if name.startswith(prefix))
        self._folders = {name.split("/")[0] for name in (*folders, *(each for each in self._members if "/" in each))}

    def folders(self) -> set[str]:
        return self._folders

    def files(self, folders: Sequence[str]) -> list[list[Entry]]:
        below: dict[str, list[Entry]] = {folder: [] for folder in folders}
        for name, member in self._members.items():
            parts = name.split("/")
            for end in range(1, len(parts)):  # a class that the user names may lie deeper
                if (folder := "/".join(parts[:end])) in below:
                    below[folder].append(Entry(name, member, member.size, member.tag))
        return list(below.values())

    def top(self) -> list[Entry]:
        return [Entry(name, each, each.size, each.tag) for name, each in self._members.items() if "/" not in name]

    def source(self, entries: Sequence[Entry]) -> ArchiveSource:
        begin, end = self._form
        names = [f"{begin}{entry.name}{end}" for entry in entries]
        return ArchiveSource.of(self._archive, names, [entry.what for entry in entries])

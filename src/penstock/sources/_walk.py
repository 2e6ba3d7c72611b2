"""Which files lie below a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FolderFiles:
    """What lies below a folder.

    Attributes:
        paths: of all files, whatever their names, sorted by folder, then by name.
        unlisted: one error per folder that could not be listed; its `filename` names the folder.
    """

    paths: tuple[str, ...]
    unlisted: tuple[OSError, ...] = ()


def list_files(directory: str | os.PathLike[str]) -> FolderFiles:
    """List every file that training might read from a folder: images in it, and in class folders at any depth.

    Hidden folders are left out where class folders lie, as flows leave them out; deeper down flows read them. Linked
    folders are walked into, but not round in circles.

    Raises:
        OSError: the folder itself cannot be listed; it names the folder.
    """
    top = os.fspath(directory)
    unlisted: list[OSError] = []

    def note(error: OSError) -> None:
        if error.filename == top:
            raise error
        if not is_gone(error):
            unlisted.append(error)

    walk = walk_folders(top, follow_links=True, on_error=note, hidden=False)
    paths = (os.path.join(root, name) for root, names in walk for name in sorted(names))
    return FolderFiles(tuple(paths), tuple(sorted(unlisted, key=lambda error: str(error.filename))))


def walk_folders(
    folder: str, *, follow_links: bool, on_error: Callable[[OSError], object], hidden: bool = True
) -> list[tuple[str, list[str]]]:
    """Folders at any depth, sorted, each with the names of its files, unsorted.

    Args:
        folder: where to begin.
        follow_links: walk into linked folders, unless they lead to a folder above.
        on_error: called with what keeps a folder from being listed; what it raises ends the walk.
        hidden: walk into those of the first level whose names begin with a dot, too.
    """
    above: dict[str, frozenset[tuple[int, int]]] = {}
    walk = []
    for root, folders, names in os.walk(folder, onerror=on_error, followlinks=follow_links):
        if root == folder and not hidden:
            folders[:] = [name for name in folders if not name.startswith(".")]
        if follow_links:  # a link to a folder above would be walked for ever
            try:
                state = os.stat(root)
            except OSError as error:
                folders.clear()
                on_error(error)
                continue
            here, up = (state.st_dev, state.st_ino), above.get(os.path.dirname(root), frozenset())
            if here in up:
                folders.clear()
                continue
            above[root] = up | {here}
        walk.append((root, names))
    return sorted(walk, key=lambda item: item[0])


def is_gone(error: OSError) -> bool:
    """Whether there is no such folder, or no longer."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR)

"""Class folders of links, made for a flat folder of files such as `cat.8000.jpg`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.cli._endings import CommandError
from penstock.sources._files import image_extension

_NAME = re.compile(r"(?P<name>[^.].*)\.(?P<number>\d+)\.[^.]+")
_FOR_VALIDATION = "8"  # numbers that begin so, as in the study
_TRAINING, _VALIDATION = "training", "validation"


@dataclass(frozen=True)
class FlatSplit:
    """What came of a flat folder.

    Attributes:
        training, validation: folders of class folders; the second may not be there.
        classes: names.
        training_files, validation_files: how many.
        left_out: names of images that are not class.number.ext.
    """

    training: Path
    validation: Path
    classes: tuple[str, ...]
    training_files: int
    validation_files: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Link:
    target: Path
    subset: str
    name: str  # of the class

    def path(self, folder: Path) -> Path:
        return folder / self.subset / self.name / self.target.name


def split_flat(directory: Path, folder: Path | None = None) -> FlatSplit:
    """Link the images of a flat folder into class folders; nothing is moved or copied.

    A split that was made before is brought up to date: links to files that are gone are removed, no others.

    Args:
        directory: holds `cat.8000.jpg` and the like; what lies in folders below it is left out.
        folder: of the links; None for one beside `directory`, named after it.

    Raises:
        CommandError: no name fits, two classes differ in upper and lower case only, or something else is in the way:
            nothing has been linked then; or the file system has no links.
    """
    directory = directory.resolve()
    folder = directory.with_name(f"{directory.name}-classes") if folder is None else folder
    names = sorted(entry.name for entry in os.scandir(directory) if entry.is_file() and image_extension(entry.name))
    links = list(_planned(directory, names))
    if not links:
        raise CommandError(
            f"--split-flat should be for images named class.number.ext, as cat.8000.jpg. {str(directory)!r} holds none."
        )
    _refuse_clashes(links)
    for link in links:
        path = link.path(folder)
        if os.path.lexists(path) and not _is_link_to(path, link.target):
            raise CommandError(f"{path} is in the way: it is no link to {link.target}. Move it away.")
    _remove_dead_links(folder, directory)
    for link in links:
        path = link.path(folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            _link(path, link.target)
    held_out = sum(link.subset == _VALIDATION for link in links)
    linked = {link.target.name for link in links}
    return FlatSplit(
        training=folder / _TRAINING,
        validation=folder / _VALIDATION,
        classes=tuple(sorted({link.name for link in links})),
        training_files=len(links) - held_out,
        validation_files=held_out,
        left_out=tuple(name for name in names if name not in linked),
    )


def _planned(directory: Path, names: list[str]) -> Iterator[_Link]:
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            subset = _VALIDATION if match["number"].startswith(_FOR_VALIDATION) else _TRAINING
            yield _Link(directory / name, subset, match["name"])


def _refuse_clashes(links: list[_Link]) -> None:
    """Some systems take Cat and cat for one folder; a link would lead to another class's image there."""
    seen: dict[str, str] = {}
    for link in links:
        other = seen.setdefault(link.name.casefold(), link.name)
        if other != link.name:
            raise CommandError(
                f"--split-flat should find classes that differ in more than upper and lower case. Found {other!r} and "
                f"{link.name!r}: rename the files of one."
            )


def _is_link_to(path: Path, target: Path) -> bool:
    try:
        return path.samefile(target)
    except OSError:  # a link whose file is gone; one of that name has come since
        return path.is_symlink() and Path(os.readlink(path)) == target


def _remove_dead_links(folder: Path, directory: Path) -> None:
    """Of files that were in the flat folder once."""
    for subset in (_TRAINING, _VALIDATION):
        for path in (folder / subset).glob("*/*"):
            if path.is_symlink() and not path.exists() and Path(os.readlink(path)).parent == directory:
                path.unlink()


def _link(path: Path, target: Path) -> None:
    try:
        path.symlink_to(target)
    except (OSError, NotImplementedError):  # Windows lets only some users make them
        try:
            os.link(target, path)
        except OSError as error:
            raise CommandError(
                f"--split-flat should make links, and {str(path.parent)!r} takes none ({error.strerror}). Copy the "
                "images to a disk whose file system has links, or sort them into class folders yourself."
            ) from None

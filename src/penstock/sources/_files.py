"""Images in files, and the folders that name their classes."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from penstock._errors import ImageError
from penstock._scratch import Scratch
from penstock._types import Indices
from penstock.sources._encoded import whole
from penstock.sources._listing import Listing
from penstock.sources._read import read_file, read_files
from penstock.sources._walk import is_gone, walk_folders

T = TypeVar("T")

EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")


@dataclass(frozen=True)
class FileSource:
    """Images in files.

    Attributes:
        paths: one per sample.
    """

    paths: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """See `EncodedSource.names`."""
        return self.paths

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """The bytes of each of the samples.

        Raises:
            ImageError: a file is gone, or cannot be read; it names the path.
        """
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices, scratch: Scratch | None = None) -> list[bytes | memoryview | ImageError]:
        """The bytes of each of the samples, or the error of a file that is gone, or cannot be read.

        Args:
            indices: int64, `(samples,)`.
            scratch: see `read_files`.
        """
        numbers = indices.tolist()
        blobs = read_files([self.paths[index] for index in numbers], scratch)
        return [
            self._read_by_python(index) if blob is None else blob for index, blob in zip(numbers, blobs, strict=True)
        ]

    def _read_by_python(self, index: int) -> bytes | ImageError:
        path = self.paths[index]
        try:
            return read_file(path)
        except OSError as error:
            complaint = ImageError(f"{path!r} cannot be read: {error.strerror or error}.", index=index, path=path)
            complaint.__cause__ = error
            return complaint


def image_extension(name: str) -> str | None:
    """Which of `EXTENSIONS` makes flows read a file of this name; None for a file that they leave out."""
    lower = name.lower()
    return next((extension for extension in EXTENSIONS if lower.endswith(extension)), None)


def list_class_folders(
    directory: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    split: tuple[float, float] | None = None,
    follow_links: bool = False,
    hidden: bool = False,
) -> Listing:
    """List the images below a folder, each class in a folder of its own.

    Args:
        classes: names in the order of their numbers; None for all folders, sorted.
        split: the part of each class to take, by rank, as two shares; None for all.
        follow_links: walk into linked folders.
        hidden: let folders whose names begin with a dot be classes, as Keras does.

    Raises:
        ValueError: there is no such folder, no class in it, or no image in any class.
        OSError: a folder cannot be listed; it names the folder. For want of permission, a `PermissionError`.
    """
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"`directory` should be the path of a folder. Received: {directory!r}")
    directory = os.fspath(directory)
    if not _is_folder(directory):
        raise no_folder(directory, is_file=os.path.exists(directory))
    names = class_names(directory, classes, hidden, lambda: _folder_names(directory))
    # Listing waits for the disk, and the more so on a network drive.
    with ThreadPoolExecutor(max_workers=min(16, len(names))) as pool:
        listed = list(pool.map(lambda name: _class_files(directory, name, split, follow_links), names))
    return class_listing(directory, names, listed, split)


def no_folder(directory: str, *, is_file: bool) -> ValueError:
    """What to say of a folder of classes that is none."""
    what = "is a file" if is_file else "does not exist"
    return ValueError(f"`directory` should be a folder that holds one folder per class. {directory!r} {what}.")


def class_names(
    directory: str, classes: Sequence[str] | None, hidden: bool, folders: Callable[[], Iterable[str]]
) -> list[str]:
    """The classes in the order of their numbers.

    Args:
        directory: for messages.
        classes, hidden: as in `list_class_folders`.
        folders: names of the folders that there are; asked only where `classes` does not say.

    Raises:
        TypeError, ValueError: as `list_class_folders`.
    """
    if isinstance(classes, str):
        raise TypeError(f"`classes` should be a list of names. Received: {classes!r}")
    names = list(classes) if classes else sorted(name for name in folders() if hidden or not name.startswith("."))
    if len(set(names)) != len(names):
        raise ValueError(f"`classes` should name each class once. Received: {names}")
    if not names:
        raise ValueError(
            f"`directory` should hold one folder per class. {directory!r} holds no folder"
            f"{'' if hidden else ' (hidden ones do not count)'}."
        )
    return names


def class_listing(
    directory: str, names: Sequence[str], listed: Sequence[Sequence[str]], split: tuple[float, float] | None
) -> Listing:
    """What was found, class by class.

    Args:
        directory: for messages.
        names: of the classes. listed: the files of each, relative to `directory`, those of the split alone.

    Raises:
        ValueError: there is nothing.
    """
    if not any(listed):
        raise ValueError(
            f"No images found in the {len(names)} class folders of {directory!r}"
            f"{'' if split is None else f' between the shares {split[0]} and {split[1]} of each class'}. "
            f"Looked for names that end in {', '.join(EXTENSIONS)}."
        )
    return Listing(
        directory,
        tuple(filename for filenames in listed for filename in filenames),
        {name: number for number, name in enumerate(names)},
        np.repeat(np.arange(len(names), dtype=np.int32), [len(filenames) for filenames in listed]),
    )


def _folder_names(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise _unlisted(error, directory) from error
    return [name for name in names if _is_folder(os.path.join(directory, name))]


def _is_folder(path: str) -> bool:
    """As `os.path.isdir`, which takes what it may not look at for no folder."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except PermissionError as error:
        raise _unlisted(error, path) from error
    except (OSError, ValueError):
        return False


def _unlisted(error: OSError, folder: str) -> OSError:
    return OSError(
        error.errno,
        f"{error.strerror}: this folder cannot be listed, and its images should not be missing unnoticed. "
        "Make it readable for this user or move it away",
        folder,
    )


def _refuse_unlisted(error: OSError) -> None:
    """What `os.walk` is to do where it would skip a folder."""
    # A class that the user names may have no folder, and a folder may be gone since.
    if not is_gone(error):
        raise _unlisted(error, error.filename) from error


def _class_files(directory: str, name: str, split: tuple[float, float] | None, follow_links: bool) -> list[str]:
    files = share(list(_image_files(os.path.join(directory, name), follow_links)), split)
    return [os.path.relpath(path, directory) for path in files]


def share(files: list[T], split: tuple[float, float] | None) -> list[T]:
    """The part of a class that lies between two shares; all of it for None."""
    return files if split is None else files[int(split[0] * len(files)) : int(split[1] * len(files))]


def _image_files(folder: str, follow_links: bool) -> Iterator[str]:
    """Paths of images at any depth, sorted by folder, then by name."""
    for root, names in walk_folders(folder, follow_links=follow_links, on_error=_refuse_unlisted):
        for name in sorted(names):
            if is_image(name):
                yield os.path.join(root, name)


def is_image(name: str) -> bool:
    """Whether flows read a file of this name; warns of those with which Keras warns."""
    if name.lower().endswith(".tiff"):
        warnings.warn(
            'Using ".tiff" files with multiple bands will cause distortion. Please verify your output.', stacklevel=2
        )
    return image_extension(name) is not None

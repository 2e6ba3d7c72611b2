"""CIFAR-10 as it lies on a disk; nothing is ever downloaded."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from penstock._types import Array
from penstock.bench._errors import BenchError

_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
_SHAPE = (3, 32, 32)  # of an image, as it is stored
# All that its pickles refer to: an array of bytes. Anything else could be a program.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def is_cifar10(folder: Path) -> bool:
    """Whether a folder holds the five files of training images, as the Python version of CIFAR-10 has them."""
    return all((folder / name).is_file() for name in _FILES)


def cached_cifar10(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where Keras keeps what it has downloaded at some time; None if it has not."""
    home = Path(environment.get("KERAS_HOME") or Path("~/.keras").expanduser())
    for name in ("cifar-10-batches-py", "cifar-10-batches-py-target/cifar-10-batches-py"):  # Keras 1 and 2, Keras 3
        if is_cifar10(home / "datasets" / name):
            return home / "datasets" / name
    return None


def read_cifar10(folder: Path, images: int) -> tuple[Array, Array]:
    """The first of the training images: uint8 `(images, 32, 32, 3)`, and labels, int64 `(images,)`.

    Raises:
        BenchError: a file holds something else.
    """
    x, y, read = [], [], 0
    for name in _FILES:
        if read >= images:
            break
        path = folder / name
        try:
            with path.open("rb") as file:
                content = _Unpickler(file, encoding="bytes").load()
            pixels = np.asarray(content[b"data"], np.uint8).reshape(-1, *_SHAPE)
            labels = np.asarray(content[b"labels"], np.int64)
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError) as error:
            raise BenchError(f"{path} should be a file of CIFAR-10, and is not ({error}). Fetch it again.") from None
        x.append(pixels.transpose(0, 2, 3, 1))
        y.append(labels)
        read += len(labels)
    return np.ascontiguousarray(np.concatenate(x)[:images]), np.concatenate(y)[:images]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], *, encoding: str) -> None:
        super().__init__(file, encoding=encoding)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}")
        return super().find_class(module, name)

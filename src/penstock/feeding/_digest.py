"""A short text that stands for batches: the same for the same bytes, another one for others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, final

import numpy as np

_DIGEST_BYTES = 16


@final
class BatchDigest:
    """BLAKE2b over dtype, shape and bytes of every array that it is given, in order.

    Of each array these are hashed: its dtype as NumPy writes it (`"<f4"`), a space, its shape as `"32,28,28,1"`, a line
    feed, and its elements in C order, those of an array of Python objects as `repr` writes their list. An array is
    hashed where it lies, and copied only if its elements are not in that order.

    Example:
        >>> import numpy as np
        >>> digest = BatchDigest()
        >>> digest.add([np.zeros((2, 3), "float32"), np.arange(2)])
        >>> digest.hex
        '54385101c7d13351a6784b599aa1bb8a'
    """

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def add(self, arrays: Sequence[Any]) -> None:
        """Take a batch: arrays, and what else becomes an array of numbers or text; None stands for itself.

        Raises:
            TypeError: something whose value does not follow from bytes.
        """
        for number, item in enumerate(arrays):
            array = np.asarray(item)
            if item is None:
                self._hash.update(b"None\n")
                continue
            self._hash.update(f"{array.dtype.str} {','.join(map(str, array.shape))}\n".encode())
            if array.dtype.hasobject:
                items = array.tolist()
                if not _is_plain(items):
                    raise TypeError(
                        f"A digest takes arrays of numbers or text, and part {number} of a batch holds other objects: "
                        f"{type(item).__name__} of dtype {array.dtype}. Make it an array of another dtype."
                    )
                self._hash.update(repr(items).encode("utf-8", "surrogateescape"))
                continue
            # A view as bytes: not every dtype (float16 of ml_dtypes, datetime64) can be read as a buffer itself.
            self._hash.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    @property
    def hex(self) -> str:
        """Of all that was taken so far, 32 hexadecimal digits."""
        return self._hash.hexdigest()


def digest_of(arrays: Sequence[Any]) -> str:
    """The digest of a single batch."""
    digest = BatchDigest()
    digest.add(arrays)
    return digest.hex


def _is_plain(item: Any) -> bool:
    """Whether its `repr` follows from its value, in any process."""
    if isinstance(item, list | tuple):
        return all(map(_is_plain, item))
    return item is None or isinstance(item, str | bytes | bool | int | float)

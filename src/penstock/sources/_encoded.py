"""Images that are still encoded, wherever they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from penstock._errors import ImageError
from penstock._types import Indices


class EncodedSource(Protocol):
    """The bytes of sample number i: random access, picklable, and the same in every worker at any time."""

    @property
    def names(self) -> Sequence[str]:
        """What each sample is called in messages: a path, or whatever else finds it again."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """The bytes of each of the samples.

        Args:
            indices: int64, `(samples,)`.

        Raises:
            ImageError: one of them cannot be read; it says which.
        """
        ...

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """The bytes of each of the samples, or why there are none."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """What may have to wait for a server that does not answer."""

    def interrupt(self) -> None:
        """Let what other threads wait for fail at once; takes no lock, and can be used on."""
        ...

    def close(self) -> None:
        """Let go of what is open. Whoever reads again opens it again."""
        ...


def whole(attempted: Sequence[bytes | memoryview | ImageError]) -> list[bytes | memoryview]:
    """What `EncodedSource.attempt` gave, if that is all bytes.

    Raises:
        ImageError: the first of those that are there instead.
    """
    blobs: list[bytes | memoryview] = []
    for blob in attempted:
        if isinstance(blob, ImageError):
            raise blob
        blobs.append(blob)
    return blobs

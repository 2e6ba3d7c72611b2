"""Images in files that fsspec reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock._errors import ImageError
from penstock._types import Indices
from penstock.sources._encoded import whole
from penstock.sources._storage import Storage


@dataclass(frozen=True)
class RemoteSource:
    """Images in remote files. All files of a call are asked for at once.

    Attributes:
        storage: what they lie in.
        paths: as the storage knows them, one per sample.
        names: URLs, for messages.
    """

    storage: Storage
    paths: tuple[str, ...] = field(repr=False)  # with what is secret in an address
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """See `EncodedSource.read`."""
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """See `EncodedSource.attempt`."""
        numbers = indices.tolist()
        found = self.storage.read([self.paths[index] for index in numbers])
        return [
            unread(self.names[index], index, self.storage.reason(blob)) if isinstance(blob, Exception) else blob
            for index, blob in zip(numbers, found, strict=True)
        ]

    def interrupt(self) -> None:
        """See `Interruptible.interrupt`."""
        self.storage.interrupt()

    def close(self) -> None:
        """See `Interruptible.close`."""
        self.storage.close()


def unread(name: str, index: int, reason: str) -> ImageError:
    """What to say of a file. It has no cause: what libraries raise may hold passwords, and a traceback shows it."""
    return ImageError(f"{name!r} cannot be read: {reason}.", index=index, path=name)

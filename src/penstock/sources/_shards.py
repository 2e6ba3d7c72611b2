"""Images in tar archives whose files go together by name, as WebDataset has them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from penstock._errors import ImageError
from penstock._types import Array, Indices
from penstock.sources._encoded import whole
from penstock.sources._labels import label_rows, wanted_columns
from penstock.sources._listing import Listing
from penstock.sources._pieces import read_piece, read_pieces
from penstock.sources._shard_paths import find_shards
from penstock.sources._stamps import FileNames
from penstock.sources._tar import Member, members

_LARGEST_IMAGE_BYTES = 1 << 30
_KEY_AND_KIND = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")
_META = re.compile(r"__[^/]*__($|/)")
_NUMBERS, _TEXTS, _JSON = ("cls", "id", "index", "inx"), ("txt", "text", "transcript"), ("json", "jsn")


@dataclass(frozen=True)
class MemberNames(Sequence[str]):
    """Names of files in archives, "train-0003.tar/00017.jpg"; in arrays, of which worker processes share one copy.

    Attributes:
        archives: paths. shard: int64, `(samples,)`, which of them each lies in.
        text: uint8, the names there, one after the other. ends: int64, `(samples + 1,)`, where each begins and ends.
    """

    archives: tuple[str, ...]
    shard: Indices
    text: Array
    ends: Indices

    @classmethod
    def of(cls, archives: tuple[str, ...], shard: Indices, names: Sequence[str]) -> MemberNames:
        """From a list."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(archives, shard, np.frombuffer(b"".join(encoded), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.shard)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        name = self.text[self.ends[index] : self.ends[index + 1]].tobytes().decode("utf-8", "surrogateescape")
        return f"{self.archives[self.shard[index]]}/{name}"


@dataclass(frozen=True)
class ShardSource:
    """Images that lie somewhere in archives; nothing is extracted but what is read.

    Attributes:
        names: one per sample, with the archive that it lies in.
        offsets, sizes: int64, `(samples,)`: where its bytes begin there, and how many they are.
        files: the archives, as system calls know them.
        stamps: int64, `(archives, 2)`: their sizes and times when they were indexed.
    """

    names: MemberNames
    offsets: Indices
    sizes: Indices
    files: FileNames = field(repr=False)
    stamps: Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """The bytes of each of the samples.

        Raises:
            ImageError: an archive is gone, has changed, or cannot be read; it names archive and file.
        """
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """The bytes of each of the samples, or why there are none."""
        shards, sizes = self.names.shard[indices], self.sizes[indices]
        stamps, _ = self.files.stamps(shards, np.empty(0, np.int64))
        are_there = (stamps == self.stamps[shards]).all(axis=1) & (sizes <= _LARGEST_IMAGE_BYTES)
        pieces = iter(read_pieces(self.files, shards[are_there], self.offsets[indices][are_there], sizes[are_there]))
        blobs = [next(pieces) if is_there else None for is_there in are_there.tolist()]
        return [
            self._read_by_python(number, stamp) if blob is None else blob
            for number, stamp, blob in zip(indices.tolist(), stamps, blobs, strict=True)
        ]

    def _read_by_python(self, number: int, stamp: Array) -> bytes | ImageError:
        name, shard, size = self.names[number], int(self.names.shard[number]), int(self.sizes[number])
        archive, cause = self.names.archives[shard], None
        if size > _LARGEST_IMAGE_BYTES:
            reason = f"it has {size} bytes, and an image should have at most {_LARGEST_IMAGE_BYTES}"
        elif stamp[0] >= 0 and (stamp != self.stamps[shard]).any():
            reason = f"{archive!r} has changed since this flow was made. Make a new one"
        else:
            try:
                return read_piece(archive, int(self.offsets[number]), size)
            except OSError as error:
                reason, cause = f"{error.strerror or error}. Put the archive there, or make a new flow", error
        complaint = ImageError(f"{name!r} cannot be read: {reason}.", index=number, path=name)
        complaint.__cause__ = cause
        return complaint


@dataclass(frozen=True)
class _Shard:
    """What one archive holds: of each image its place, and the bytes of its label; how many samples have no image."""

    images: list[Member]
    labels: list[bytes | None]
    kinds: list[str]
    without_image: int


def list_shards(
    shards: Any,
    *,
    image: str = "jpg;jpeg;png",
    label: str = "cls",
    label_field: Any = None,
    classes: Iterable[Any] | None = None,
    class_mode: str | None = "categorical",
    split: tuple[float, float] | None = None,
) -> Listing:
    """List the images in archives, in their order: headers and labels are read here, images when they are due.

    Args:
        shards: as `find_shards` takes them.
        image: what names of images end in; of several, apart by semicolons, the first that is there.
        label: what names of labels end in: numbers ("cls"), text ("txt") or JSON ("json").
        label_field: of a JSON object; a list of such for several; None for all of it.
        classes, class_mode, split: as `label_rows` takes them.

    Raises:
        TypeError, ValueError: no such archives, nothing in them, or labels that are of no use.
        OSError: an archive cannot be read.
    """
    found = find_shards(shards)
    has_labels = class_mode not in (None, "input")
    if has_labels:
        _check_label(label, label_field, class_mode)
    kinds = [kind.strip().lower() for kind in image.split(";")]
    # Reading headers waits for the disk, and the more so on a network drive.
    with ThreadPoolExecutor(max_workers=min(8, len(found))) as pool:
        indexed = list(pool.map(lambda path: _index(path, kinds, label.lower() if has_labels else None), found))
    base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found])
    images = [each for shard in indexed for each in shard.images]
    if not images:
        raise ValueError(f"No images found in {len(found)} archives. Looked for names that end in {', '.join(kinds)}.")
    shard_of = np.repeat(np.arange(len(found)), [len(shard.images) for shard in indexed])
    names = MemberNames.of(tuple(found), shard_of, [each.name for each in images])
    warnings = []
    if lost := sum(shard.without_image for shard in indexed):
        warnings.append(f"{lost} samples have no file that ends in {', '.join(kinds)}. They will be ignored.")

    def column(name: str) -> list[Any]:
        blobs = (each for shard in indexed for each in zip(shard.labels, shard.kinds, strict=True))
        return [
            _label(blob, label, None if name == label else name, names, number, there)
            for number, (blob, there) in enumerate(blobs)
        ]

    labelled = label_rows(
        len(images),
        column,
        names.__getitem__,
        label=label if label_field is None else label_field,
        classes=classes,
        class_mode=class_mode,
        split=split,
    )
    rows = labelled.rows
    files = FileNames.of(found)
    names = MemberNames.of(names.archives, shard_of[rows], [images[row].name for row in rows.tolist()])
    stamps, _ = files.stamps(np.arange(len(found)), np.empty(0, np.int64))
    source = ShardSource(
        names,
        np.array([images[row].offset for row in rows.tolist()], np.int64),
        np.array([images[row].size for row in rows.tolist()], np.int64),
        files,
        stamps,
    )
    return Listing(
        base,
        tuple(replace(names, archives=tuple(os.path.relpath(path, base) for path in found))),
        labelled.class_indices,
        labelled.classes,
        labelled.targets,
        labelled.weights,
        (*warnings, *labelled.warnings),
        source,
    )


def _check_label(label: str, label_field: Any, class_mode: str | None) -> None:
    kind = label.lower().rpartition(".")[2]
    if kind not in (*_NUMBERS, *_TEXTS, *_JSON):
        known = ", ".join(map(repr, (*_NUMBERS, *_TEXTS, *_JSON)))
        raise ValueError(
            f"`label` should end in one of {known}: nothing else is read, or unpickled. Received: {label!r}"
        )
    if label_field is not None and kind not in _JSON:
        raise ValueError(f"`label_field` is of labels in JSON. Received: {label_field!r} for {label!r}")
    wanted_columns(label if label_field is None else label_field, None, class_mode)


def _index(path: str, images: list[str], label: str | None) -> _Shard:
    samples: dict[str, dict[str, Member]] = {}
    with open(path, "rb", buffering=0) as file:
        for member in members(file, path):
            parts = _KEY_AND_KIND.match(member.name)
            if parts is None or _META.match(member.name):
                continue
            sample, kind = samples.setdefault(parts[1], {}), parts[2].lower()
            if kind in sample:
                raise ValueError(f"{path!r} holds {member.name!r} twice. Write it again with other names.")
            sample[kind] = member
        shard = _Shard([], [], [], 0)
        lost = 0
        for sample in samples.values():
            found = next((sample[kind] for kind in images if kind in sample), None)
            if found is None:
                lost += 1
                continue
            shard.images.append(found)
            shard.labels.append(_bytes(file, sample[label]) if label is not None and label in sample else None)
            shard.kinds.append("" if label is None or label in sample else ", ".join(sample))
    return _Shard(shard.images, shard.labels, shard.kinds, lost)


def _bytes(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(member.size)


def _label(blob: bytes | None, label: str, part: str | None, names: MemberNames, number: int, there: str) -> Any:
    """What a label says; of JSON, what a part of it says."""
    if blob is None:
        raise ValueError(
            f"{names[number]!r} has no label that ends in {label!r}; what is there: {there}. Set `label` to one of "
            "them, or `class_mode=None`."
        )
    kind = label.lower().rpartition(".")[2]
    try:
        text = blob.decode("utf-8")
        if kind in _NUMBERS:
            return int(text)
        value: Any = json.loads(text) if kind in _JSON else text.strip()
        return value if part is None else value[part]
    except (ValueError, KeyError, TypeError) as error:
        what = f"hold {part!r} in JSON" if part is not None else "be a number" if kind in _NUMBERS else "be text"
        raise ValueError(
            f"The label of {names[number]!r} should {what}. It begins with {blob[:80]!r}: {type(error).__name__}."
        ) from error

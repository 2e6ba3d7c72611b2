"""Images in tar archives whose files go together by name, as WebDataset has them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from penstock._errors import ImageError
from penstock._types import Array, Indices
from penstock.sources._encoded import whole
from penstock.sources._labels import label_rows, wanted_columns
from penstock.sources._listing import Listing
from penstock.sources._parts import LocalParts, Parts
from penstock.sources._remote import unread
from penstock.sources._shard_paths import find_shards
from penstock.sources._tar import Entry, entries

_LARGEST_IMAGE_BYTES = 1 << 30
_AT_A_TIME = 8  # archives, while they are listed
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
        archives: in which they lie.
    """

    names: MemberNames
    offsets: Indices
    sizes: Indices
    archives: Parts

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Indices) -> list[bytes | memoryview]:
        """See `EncodedSource.read`."""
        return whole(self.attempt(indices))

    def attempt(self, indices: Indices) -> list[bytes | memoryview | ImageError]:
        """See `EncodedSource.attempt`."""
        shards, offsets, sizes = self.names.shard[indices], self.offsets[indices], self.sizes[indices]
        fit = sizes <= _LARGEST_IMAGE_BYTES
        blobs = iter(self.archives.read(shards[fit], offsets[fit], sizes[fit]))
        found = [
            next(blobs) if fits else f"it has {size} bytes, and an image should have at most {_LARGEST_IMAGE_BYTES}"
            for fits, size in zip(fit.tolist(), sizes.tolist(), strict=True)
        ]
        return [
            unread(self.names[index], index, blob) if isinstance(blob, str) else blob
            for index, blob in zip(indices.tolist(), found, strict=True)
        ]

    def interrupt(self) -> None:
        """See `Interruptible.interrupt`."""
        self.archives.interrupt()

    def close(self) -> None:
        """See `Interruptible.close`."""
        self.archives.close()


@dataclass(frozen=True)
class _Shard:
    """What one archive holds: of each image its place, and the bytes of its label; how many samples have no image."""

    images: list[Entry]
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
    storage_options: Mapping[str, Any] | None = None,
    timeout_s: float | None = None,
) -> Listing:
    """List the images in archives, in their order: headers and labels are read here, images when they are due.

    Remote archives are read through for that, some of them at a time.

    Args:
        shards: as `find_shards` takes them.
        image: what names of images end in; of several, apart by semicolons, the first that is there.
        label: what names of labels end in: numbers ("cls"), text ("txt") or JSON ("json").
        label_field: of a JSON object; a list of such for several; None for all of it.
        classes, class_mode, split: as `label_rows` takes them.
        storage_options: of URLs, as fsspec takes them.
        timeout_s: for a request, with all tries; None for no limit.

    Raises:
        ImportError: fsspec, or what it needs for such URLs, is not installed.
        TypeError, ValueError: no such archives, nothing in them, or labels that are of no use.
        OSError: an archive cannot be read.
    """
    archives = find_shards(shards, storage_options, timeout_s)
    found = tuple(archives.names)
    has_labels = class_mode not in (None, "input")
    if has_labels:
        _check_label(label, label_field, class_mode)
    kinds = [kind.strip().lower() for kind in image.split(";")]
    # Reading headers waits for the disk, and the more so on a network drive.
    with ThreadPoolExecutor(max_workers=min(_AT_A_TIME, len(found))) as pool:
        try:
            indexed = list(
                pool.map(
                    lambda number: _index(archives, number, kinds, label.lower() if has_labels else None),
                    range(len(found)),
                )
            )
        except BaseException:
            archives.interrupt()
            pool.shutdown(cancel_futures=True)
            raise
    is_local = isinstance(archives, LocalParts)
    base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found]) if is_local else _top(found)
    images = [each for shard in indexed for each in shard.images]
    if not images:
        raise ValueError(f"No images found in {len(found)} archives. Looked for names that end in {', '.join(kinds)}.")
    shard_of = np.repeat(np.arange(len(found)), [len(shard.images) for shard in indexed])
    names = MemberNames.of(found, shard_of, [each.name for each in images])
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
    names = MemberNames.of(names.archives, shard_of[rows], [images[row].name for row in rows.tolist()])
    source = ShardSource(
        names,
        np.array([images[row].offset for row in rows.tolist()], np.int64),
        np.array([images[row].size for row in rows.tolist()], np.int64),
        archives,
    )
    relative = (os.path.relpath(path, base) if is_local else path.removeprefix(base).lstrip("/") for path in found)
    return Listing(
        base,
        tuple(replace(names, archives=tuple(relative))),
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


def _top(urls: Sequence[str]) -> str:
    """The folder in which all of these lie."""
    levels = zip(*(url.split("/")[:-1] for url in urls), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return "/".join(shared) if len(shared) > 2 else ""  # "https:", "", and the server


def _index(archives: Parts, number: int, images: list[str], label: str | None) -> _Shard:
    samples: dict[str, dict[str, Entry]] = {}
    path = archives.names[number]
    labels: dict[str, bytes] = {}
    with archives.file(number) as file:
        for entry in entries(file, path):
            parts = _KEY_AND_KIND.match(entry.name)
            if entry.kind != "file" or parts is None or _META.match(entry.name):
                continue
            sample, kind = samples.setdefault(parts[1], {}), parts[2].lower()
            if kind in sample:
                raise ValueError(f"{path!r} holds {entry.name!r} twice. Write it again with other names.")
            sample[kind] = entry
            if kind == label:  # while it is at hand
                file.seek(entry.offset)
                labels[parts[1]] = file.read(entry.size)
    shard = _Shard([], [], [], 0)
    lost = 0
    for key, sample in samples.items():
        found = next((sample[kind] for kind in images if kind in sample), None)
        if found is None:
            lost += 1
            continue
        shard.images.append(found)
        shard.labels.append(labels.get(key))
        shard.kinds.append("" if label is None or label in sample else ", ".join(sample))
    return _Shard(shard.images, shard.labels, shard.kinds, lost)


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

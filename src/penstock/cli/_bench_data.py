"""What `penstock bench` feeds: the user's images, or made ones of the same shape."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from penstock.bench.study._cifar import cached_cifar10, is_cifar10
from penstock.bench.study._data import CIFAR_IMAGES, Cifar, Photographs, Sleeping, StudyData
from penstock.bench.study._original import DISK, MEMORY
from penstock.cli._endings import CommandError
from penstock.cli._photographs import make_crops, shipped_photographs
from penstock.cli._split_flat import FlatSplit, split_flat
from penstock.cli._terminal import counted
from penstock.sources._files import list_class_folders

CIFAR10, CATS_DOGS = "cifar10", "cats-dogs"
DATASETS = (CIFAR10, CATS_DOGS)
_PHOTOGRAPHS = Path("demo", "photographs")  # where `penstock demo` makes and finds them, too
_CROPS, _SEED = 640, 0

Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


@dataclass(frozen=True)
class BenchData:
    """What is fed.

    Attributes:
        data: for the study.
        words: the same for people.
        place: "memory" or "disk", for the study's table.
        model: name of the network that is trained on such images, unless another one is asked for.
        split: what came of a flat folder.
    """

    data: StudyData
    words: str
    place: str
    model: str
    split: FlatSplit | None = None


def bench_data(
    directory: Path | None,
    dataset: str | None,
    *,
    images: int | None,
    side_px: int,
    latency_s: float | None,
    is_flat: bool,
    progress: Progress,
) -> BenchData:
    """Find it, or make it; nothing is ever downloaded.

    Args:
        directory: class folders of images, a flat folder of them, or the files of CIFAR-10.
        dataset: "cifar10" or "cats-dogs"; None for what the folder is, or for CIFAR-10 without one.
        images: of made ones in memory, at most.
        side_px: that images in files are resized to.
        latency_s: feed a sequence instead that sleeps so long for each batch.
        is_flat: link a flat folder's images into class folders first.
        progress: shows how far making files is.

    Raises:
        CommandError: the folder is not of that kind.
    """
    if latency_s is not None:
        if directory is not None or dataset is not None or is_flat:
            raise CommandError("--latency measures a sequence of its own. Leave DIR, --dataset and --split-flat out.")
        words = f"a sequence that sleeps {latency_s:g} s for a batch"
        return BenchData(Sleeping(latency_s), words, "latency", CIFAR10)
    if is_flat:
        if directory is None or dataset == CIFAR10:
            raise CommandError("--split-flat needs DIR, the flat folder of images.")
        split = split_flat(directory)
        return _photographs(split.training, side_px, split)
    if directory is not None:
        if is_cifar10(directory):
            return _cifar(directory, images)
        if dataset == CIFAR10:
            raise CommandError(
                f"DIR should hold CIFAR-10's data_batch_1 to data_batch_5 for --dataset cifar10. {str(directory)!r} "
                "does not. Leave DIR out for made data of the same shape."
            )
        return _photographs(directory, side_px)
    if dataset == CATS_DOGS:
        shipped_photographs()
        with progress("Cutting photographs", _CROPS) as advance:
            crops = make_crops(_PHOTOGRAPHS, _CROPS, _SEED, advance)
        found = _photographs(crops.training, side_px)
        return replace(found, words=f"made data, {found.words}")
    return _cifar(cached_cifar10(), images)


def _cifar(folder: Path | None, images: int | None) -> BenchData:
    count = min(CIFAR_IMAGES, images or CIFAR_IMAGES)
    name = "made data of CIFAR-10's shape" if folder is None else "CIFAR-10"
    words = f"{name}, {counted(count, 'image')} of 32x32 in memory"
    return BenchData(Cifar(images=count, folder=folder), words, MEMORY, CIFAR10)


def _photographs(folder: Path, side_px: int, split: FlatSplit | None = None) -> BenchData:
    try:
        found = list_class_folders(folder)
    except ValueError as error:
        hint = "" if split else " Of images that lie in no class folders, named as cat.8000.jpg: add --split-flat."
        raise CommandError(f"{error}{hint}".replace("`directory`", "DIR")) from None
    named = folder if folder.name != "training" else folder.parent  # which is what the user knows
    classes = len(found.class_indices or ())
    data = Photographs(folder, side_px, images=len(found.filenames), classes=classes)
    words = (
        f"{counted(data.images, 'file')} of {counted(classes, 'class', 'classes')} in {named.name}, "
        f"to {side_px}x{side_px}"
    )
    return BenchData(data, words, DISK, CATS_DOGS, split)

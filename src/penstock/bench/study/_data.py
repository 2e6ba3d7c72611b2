"""What is fed in the study: small pictures in memory, photographs in files, or batches that take their time."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock._types import Array
from penstock.bench._sequences import Endless
from penstock.bench._workloads import QUEUE_BATCHES, InFiles, InMemory, Ranges
from penstock.bench.study._cifar import read_cifar10
from penstock.sources._files import list_class_folders

if TYPE_CHECKING:
    from penstock import Flow

CIFAR_IMAGES = 50_000
# What the cats-and-dogs example augments with.
CATS_DOGS = Ranges(
    rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, zoom_range=(0.8, 1.2), horizontal_flip=True
)


@dataclass(frozen=True)
class Cifar(InMemory):
    """CIFAR-10, or noise of its shape.

    Attributes:
        folder: of the files; None for noise.
    """

    images: int = CIFAR_IMAGES
    batch_size: int = 32
    folder: Path | None = None

    @cached_property
    def x(self) -> Array:
        """uint8 `(images, 32, 32, 3)`."""
        return self._read[0]

    @cached_property
    def y(self) -> Array:
        """Labels of ten classes, int64, `(images,)`."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[Array, Array]:
        if self.folder is not None:
            return read_cifar10(self.folder, self.images)
        made = InMemory(self.images, self.side_px)
        return made.x, made.y

    @property
    def classes(self) -> int:
        """Of the labels."""
        return 10


@dataclass(frozen=True)
class Photographs(InFiles):
    """Files in class folders.

    Attributes:
        images, classes: how many there are.
    """

    target_px: int = 150
    batch_size: int = 32
    ranges: Ranges = field(default=CATS_DOGS)
    images: int = 0
    classes: int = 2

    @property
    def side_px(self) -> int:
        """Of finished images."""
        return self.target_px

    def listed(self) -> tuple[list[str], Array]:
        """Paths in order, and the number of each one's class: the very files that a flow reads."""
        found = list_class_folders(self.folder)
        return found.filepaths, np.asarray(found.classes, np.int64)

    def keras_flow(self) -> Any:
        """Keras's iterator, with numbers for labels."""
        from keras.src.legacy.preprocessing.image import ImageDataGenerator

        return self._flow_of(ImageDataGenerator(**self.ranges.keywords()))

    def penstock_flow(self, workers: int | str, *, processes: bool = False) -> Flow:
        """The same from penstock."""
        from penstock import ImageDataGenerator

        flow: Flow = self._flow_of(
            ImageDataGenerator(**self.ranges.keywords()),
            workers=workers,
            use_multiprocessing=processes or None,
            max_queue_size=QUEUE_BATCHES,
        )
        return flow

    def _flow_of(self, generator: Any, **feeding: Any) -> Any:
        size = (self.target_px, self.target_px)
        return generator.flow_from_directory(
            str(self.folder), target_size=size, batch_size=self.batch_size, class_mode="sparse", **feeding
        )


@dataclass(frozen=True)
class Sleeping(Endless):
    """A sequence that waits before each batch, as for a network; the pictures are black.

    Attributes:
        wait_s: for a batch.
        batch_size, side_px: of a batch `(batch, side, side, 3)`, float32.
    """

    wait_s: float
    batch_size: int = 32
    side_px: int = 32

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        time.sleep(self.wait_s)
        shape = (self.batch_size, self.side_px, self.side_px, 3)
        return np.zeros(shape, np.float32), np.full(self.batch_size, number % 10)

    @property
    def images(self) -> int:
        """As many as anybody asks for."""
        return len(self) * self.batch_size

    @property
    def classes(self) -> int:
        """Of the labels."""
        return 10


StudyData = Cifar | Photographs | Sleeping
_KINDS: dict[str, type[StudyData]] = {kind.__name__: kind for kind in (Cifar, Photographs, Sleeping)}


def in_batches_of(data: StudyData, batch_size: int) -> StudyData:
    """The same data in other batches; what it has read already, it keeps."""
    other = replace(data, batch_size=batch_size)
    if isinstance(data, Cifar):
        vars(other)["x"], vars(other)["y"] = data.x, data.y
    return other


def data_to_json(data: StudyData) -> str:
    """For another process."""
    return json.dumps({"kind": type(data).__name__, **asdict(data)}, default=str)


def data_from_json(text: str) -> StudyData:
    """Read it there."""
    fields = json.loads(text)
    kind = _KINDS[fields.pop("kind")]
    if "ranges" in fields:
        ranges = fields["ranges"]
        fields["ranges"] = Ranges(**{**ranges, "zoom_range": tuple(ranges["zoom_range"])})
    if fields.get("folder") is not None:
        fields["folder"] = Path(fields["folder"])
    return kind(**fields)

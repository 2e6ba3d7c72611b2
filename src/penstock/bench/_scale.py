"""How much is fed: a full run, or a quick one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.bench._border import Border
from penstock.bench._sequences import Stored
from penstock.bench._workloads import InFiles, InMemory, Ranges


@dataclass(frozen=True)
class FeedScale:
    """How much `feed` is given.

    Attributes:
        wait_s: of a batch that sleeps.
        python_turns: of the loop of a batch that computes.
        stored, images: large batches, of a user's own object and of a flow.
        epochs: over which memory is watched.
        rates_s: to measure what an image costs.
    """

    wait_s: float
    python_turns: int
    stored: Stored
    images: InMemory
    epochs: int
    rates_s: float


@dataclass(frozen=True)
class Scale:
    """How much data is fed.

    Attributes:
        photographs, large_photographs: JPEG files to make, where their folder is empty.
        memory, files: what is fed; `memory_float` is as `memory`, and `large_files` are of 12 million pixels.
        border: the training run.
        feeds: what `feed` is given.
        kernel_pixels: that a kernel makes in a call.
        yardstick: C++ to compare kernels with, or None.
    """

    photographs: int
    large_photographs: int
    memory: InMemory
    memory_float: InMemory
    files: InFiles
    large_files: InFiles
    border: Border
    feeds: FeedScale
    kernel_pixels: int
    yardstick: Path | None = None

    @classmethod
    def full(cls, folder: Path, large_folder: Path | None = None) -> Scale:
        """As the targets are meant; without a folder of large photographs, nothing may be asked of them."""
        return cls(
            512,
            16,
            InMemory(),
            InMemory(dtype="float32"),
            InFiles(folder),
            InFiles(large_folder or folder, batch_size=16),
            Border.of(20, 5, batch_size=128, epochs=21, keras_epochs=5),
            FeedScale(
                0.5, 400_000, Stored(), InMemory(256, 299, 64, ranges=Ranges(rotation_range=45)), epochs=200, rates_s=20
            ),
            16 * 299**2,
        )

    @classmethod
    def quick(cls, folder: Path, large_folder: Path | None = None) -> Scale:
        """Enough to see that everything runs."""
        return cls(
            8,
            1,
            InMemory(64, side_px=16, batch_size=16),
            InMemory(64, side_px=16, batch_size=16, dtype="float32"),
            InFiles(folder, target_px=64, batch_size=4),
            InFiles(large_folder or folder, target_px=64, batch_size=1),
            Border.of(2, 1, batch_size=8, epochs=2, keras_epochs=2),
            FeedScale(0.01, 1000, Stored(8, 16, 4), InMemory(8, 16, 4), epochs=20, rates_s=0.1),
            299**2,
        )

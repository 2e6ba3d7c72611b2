"""What `penstock demo` says on the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

import penstock
from penstock.cli._photographs import CropFolder
from penstock.cli._terminal import TerminalReport, counted
from penstock.cli._training_images import TrainingImages
from penstock.feeding._cpus import usable_cpus

if TYPE_CHECKING:
    from penstock.cli._feed_rates import FeedRate, FeedRates
    from penstock.cli._training import Epoch, Training

_BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}


class DemoReport(TerminalReport):
    """Prints each step's outcome."""

    def heading(self, keras_version: str, backend: str) -> None:
        """Who is at work."""
        self._say(
            f"penstock {penstock.__version__}, Keras {keras_version} on {_BACKENDS.get(backend, backend)}, "
            f"{counted(usable_cpus(), 'CPU')}\n"
        )

    def crops(self, crops: CropFolder) -> None:
        """Where the photographs are."""
        count = crops.training_crops + crops.validation_crops
        done = "were cut before and are used again" if crops.reused else "cut"
        self._say(
            f"{count} crops of {len(crops.classes)} photographs {done}: {crops.training.parent}\n"
            "The question: which photograph is it? Training and validation crops are cut at different places of it."
        )

    def images(self, images: TrainingImages) -> None:
        """What is trained on."""
        self._say(
            f"{images.training_images} images to train on, {images.validation_images} to validate with, "
            f"{len(images.classes)} classes: {_listed(images.classes)}\n"
        )

    def rates(self, rates: FeedRates) -> None:
        """The two feeds."""
        table = Table("feed", box=box.SIMPLE_HEAD)
        for title in ("threads", "images per second", "slowest to fastest round"):
            table.add_column(title, justify="right")
        table.add_row("penstock", *_cells(rates.penstock))
        if rates.keras is not None:
            table.add_row("Keras's own class", *_cells(rates.keras))
        self._console.print(table)
        count, batches = len(rates.penstock.images_per_s), rates.penstock.batches
        rounds = f"{counted(count, 'round')} of {counted(batches, 'batch', 'batches')}"
        if rates.keras is None:
            self._say(f"Median of {rounds}. This Keras has no ImageDataGenerator of its own to compare with.\n")
            return
        if rates.keras.batches != batches:
            rounds += f" (Keras: {rates.keras.batches}, to save time)"
        self._say(
            f"Medians of {rounds}, taken in turns, from the same folder with the same settings.\n"
            f"penstock feeds {rates.times_as_fast:.1f} times as fast.\n"
        )

    def epoch(self, epoch: Epoch) -> None:
        """One line when an epoch is over."""
        self._say(
            f"epoch {epoch.number}: loss {epoch.loss:.3f}, accuracy {_percent(epoch.accuracy)}, "
            f"validation accuracy {_percent(epoch.validation_accuracy)} ({epoch.seconds:.1f} s)"
        )

    def training(self, training: Training, images: TrainingImages) -> None:
        """What the model has learnt, and whether it had to wait."""
        last = training.epochs[-1]
        self._say(
            f"Validation accuracy: {_percent(last.validation_accuracy)} "
            f"(chance, always naming the commonest of {len(images.classes)} classes: {_percent(images.chance)})\n"
            f"Of {training.seconds:.1f} s of training, the model waited {training.wait_s:.1f} s for images.\n"
        )

    def picture(self, path: Path, seconds: float) -> None:
        """Where the picture is."""
        self._say(f"Six images, each as six epochs show it to the model: {path}\nDone in {seconds:.0f} s.")


def _cells(rate: FeedRate) -> tuple[str, str, str]:
    slowest, fastest = min(rate.images_per_s), max(rate.images_per_s)
    return str(rate.threads), f"{rate.median_images_per_s:,.0f}", f"{slowest:,.0f} to {fastest:,.0f}"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.1f} %"


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

"""Which classes a model takes for which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock._types import Array
from penstock.cli._train_state import replacing


@dataclass(frozen=True)
class Confusion:
    """Counts of images.

    Attributes:
        counts: int64, `(classes, classes)`; a row for each true class, a column for each that the model named.
        classes: names.
    """

    counts: Array
    classes: tuple[str, ...]

    @property
    def images(self) -> int:
        """How many there are."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share that the model named right."""
        return float(np.trace(self.counts) / self.images)

    @property
    def recalls(self) -> Array:
        """Of each true class, the share that the model named right; NaN where there is none."""
        of_class = self.counts.sum(axis=1)
        recalls: Array = np.divide(
            np.diag(self.counts), of_class, out=np.full(len(of_class), np.nan), where=of_class > 0
        )
        return recalls

    def most_confused(self, most: int) -> list[tuple[str, str, int]]:
        """The mistakes made most often: true class, the one that the model named, and how often."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(self.classes[t], self.classes[p], int(wrong[t, p])) for t, p in pairs if wrong[t, p]]


def find_confusion(
    model: Any, validation: Any, classes: Sequence[str], on_step: Callable[[int], object] = lambda _: None
) -> Confusion:
    """Have a model name the class of each image of an epoch.

    Args:
        model: `(batch, classes)` out.
        validation: batches of images and one-hot labels, by address.
        classes: names, in the order of their numbers.
        on_step: called after each batch with how many are done.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    for number in range(len(validation)):
        images, labels = validation[number]
        named = np.asarray(model.predict_on_batch(images))
        np.add.at(counts, (labels.argmax(axis=1), named.argmax(axis=1)), 1)
        on_step(number + 1)
    return Confusion(counts, tuple(classes))


def save_confusion(confusion: Confusion, path: Path) -> None:
    """Draw it as a PNG: shares of each true class, with counts where there is room for them.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    count = len(confusion.classes)
    side_in = min(3.0 + 0.45 * count, 16.0)
    figure = Figure(figsize=(side_in + 1.2, side_in), layout="constrained")  # no pyplot, no window, no global state
    axes = figure.subplots()
    of_class = confusion.counts.sum(axis=1, keepdims=True)
    shares = confusion.counts / np.maximum(of_class, 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    if count <= 30:
        for (row, column), images in np.ndenumerate(confusion.counts):
            if images:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, f"{images}", ha="center", va="center", color=colour, fontsize=8)
    if count <= 60:
        names = [name if len(name) <= 24 else f"{name[:23]}…" for name in confusion.classes]
        axes.set_xticks(range(count), names, rotation=90 if count > 6 else 0, fontsize=8, parse_math=False)
        axes.set_yticks(range(count), names, fontsize=8, parse_math=False)
    axes.set_xlabel("named by the model")
    axes.set_ylabel("true class")
    axes.set_title(f"{100 * confusion.accuracy:.1f} % of {confusion.images:,} images right")
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)

"""Some samples in some epochs, as a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from penstock._types import Array, Indices, Step
from penstock.batches._explain import Explanation, explain_row
from penstock.batches._images import ImageBatches
from penstock.batches._tolerance import Tolerance
from penstock.image._picture import Picture, Tile, arrange, reduced
from penstock.image._visible import visible
from penstock.image._words import in_words


def alone(sample: int, epoch: int) -> tuple[Step, int]:
    """A batch of one sample, and its row: for draws that depend on nothing but sample and epoch."""
    return Step(epoch, 0, 1, np.array([sample], np.int64)), 0


def spread(samples: Indices, count: int) -> list[int]:
    """So many of the samples, or all if there are fewer, from all through them."""
    count = min(count, len(samples))
    return [int(samples[int((k + 0.5) * len(samples) / count)]) for k in range(count)]


def preview(
    maker: ImageBatches,
    samples: Sequence[int],
    epochs: Sequence[int],
    find: Callable[[int, int], tuple[Step, int]],
    packed: Callable[[list[Array]], Any],
    *,
    explained: bool,
) -> Picture:
    """Make a row for each sample and a column for each epoch.

    Args:
        maker: of batches.
        find: the batch and the row in it of a sample in an epoch.
        packed: see `explain_row`.
        explained: put the original first, and write under each image what it is, and what was drawn for it.

    Raises:
        BatchError: an image cannot be made. Where such samples would be left out, another one is shown.
    """
    if maker.tolerance is not None:
        maker = replace(maker, tolerance=Tolerance("substitute", maker.tolerance.kinds))
    channels_first = maker.rendering.channels_first

    def shown(sample: int, epoch: int, with_original: bool) -> Explanation:
        one = explain_row(maker, *find(sample, epoch), packed, with_original=with_original)
        # At once: a hundred large images would take gigabytes before the picture is made.
        small = (reduced(image, channels_first=channels_first).copy() for image in (one.original, one.rendered))
        original, rendered = small
        return replace(one, original=original, rendered=rendered)

    rows = [[shown(sample, epoch, explained and k == 0) for k, epoch in enumerate(epochs)] for sample in samples]
    rendered = iter(visible([one.rendered for row in rows for one in row], channels_first=channels_first))
    if not explained:
        return arrange([[Tile(next(rendered)) for _ in row] for row in rows])
    originals = visible([row[0].original for row in rows], channels_first=channels_first)
    return arrange(
        [
            [
                Tile(original, _about(row[0])),
                *(Tile(next(rendered), _drawn(one, epoch)) for one, epoch in zip(row, epochs, strict=True)),
            ]
            for original, row in zip(originals, rows, strict=True)
        ]
    )


def _about(explanation: Explanation) -> tuple[str, ...]:
    words = [f"sample {explanation.index}"]
    if (label := _label_in_words(explanation.label)) is not None:
        words.append(label)
    if explanation.path is not None:
        words.append(os.path.join(*explanation.path.split(os.sep)[-2:]))
    if explanation.replaces is not None:
        words.append(f"in place of {explanation.replaces.index}")
    return tuple(words)


def _label_in_words(label: Any) -> str | None:
    """A number, the place of the only one among zeros, or nothing of anything larger."""
    try:
        values = np.asarray(label)
    except ValueError:  # several outputs of several shapes
        return None
    if label is None or values.dtype.kind not in "iufbU" or values.ndim > 1:
        return None
    if values.ndim == 0:
        return f"label {values}" if values.dtype.kind == "U" else f"label {float(values):g}"
    is_one_hot = values.dtype.kind != "U" and np.count_nonzero(values) == 1 and values.max() == 1 and len(values) > 1
    return f"label {int(values.argmax())}" if is_one_hot else None


def _drawn(explanation: Explanation, epoch: int) -> tuple[str, ...]:
    if explanation.parameters is None:
        return f"epoch {epoch}", "drawn by your own method"
    return f"epoch {epoch}", *(in_words(explanation.parameters) or ["as it is"])

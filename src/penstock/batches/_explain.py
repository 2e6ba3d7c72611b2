"""One row of one batch, taken apart: what it was before, what was drawn for it, what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from penstock._errors import BatchError
from penstock._types import Array, BadSample, Indices, Step
from penstock.batches._images import ImageBatches
from penstock.image._decode import decode_all
from penstock.image._draw import Transforms, as_dict
from penstock.sources._arrays import ArraySource


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where one image of a batch comes from, and what happened to it.

    Attributes:
        index: the sample's number: that of the stand-in where `on_error="substitute"` put one into the row.
        path: the file that it was made of; None for arrays.
        label: what `y` holds for it; for several outputs a list; None without labels.
        parameters: Keras's dict, which `apply_transform` takes; None where the generator's `get_random_transform` is
            the user's own, which draws anew whenever it is called.
        original: the image before anything happened at random: loaded, and resized to the flow's size. Of the array's
            own dtype; for files uint8, or float32 if they are deeper. Height, width and channels in the flow's
            `data_format`.
        rendered: the row as the batch has it.
        replaces: the sample that could not be made, and for which the parameters were drawn; None for none.
    """

    index: int
    path: str | None
    label: Any
    parameters: dict[str, Any] | None
    original: Array = field(repr=False)
    rendered: Array = field(repr=False)
    replaces: BadSample | None = None


@dataclass(frozen=True)
class _AsDrawn:
    """The `Randomness` of a batch whose parameters have been drawn."""

    rows: Transforms
    seed: int
    follows_batches: ClassVar[bool] = True

    def order(self, epoch: int) -> Indices:
        raise NotImplementedError

    def transforms(self, step: Step, height: int, width: int) -> Transforms:
        del step, height, width
        return self.rows


def explain_row(
    maker: ImageBatches, step: Step, row: int, packed: Callable[[list[Array]], Any], *, with_original: bool = True
) -> Explanation:
    """Take one row of a batch apart.

    Args:
        maker: of the batch; the global generators that it seeds, if it does, are left as they were.
        step: who is in the batch.
        row: of the batch as it is delivered, from 0.
        packed: the arrays of a batch in the structure that a user gets: a tuple whose second item is `y`, or no tuple.
        with_original: else that is the rendered one, which saves reading a file again.

    Raises:
        BatchError: the row cannot be made.
        ValueError: there is no such row.
    """
    if maker.tolerance is not None and maker.tolerance.answer == "skip" and not step.fills_up:
        check_number("row", row, len(step.indices), "of the batch's samples")
        rows = _kept(maker, step)
        check_number("row", row, len(rows), f'rows: on_error="skip" has left {len(step.indices) - len(rows)} out')
        row = int(rows[row])
    else:
        check_number("row", row, len(step.indices), f"rows of {step}")
    # Made alone it has the same bytes: what is drawn is drawn for the whole batch, and nothing else is shared.
    drawn = maker.transforms(step)[row : row + 1]
    alone = replace(maker, randomness=_AsDrawn(drawn, maker.randomness.seed))
    is_filler = row >= len(step.indices) - step.fillers
    its_step = replace(step, indices=step.indices[row : row + 1], fillers=int(is_filler))
    arrays, made, bad = _made(alone, its_step)
    complete = alone.assemble(made, arrays)
    index = int(made.indices[0])
    original, path = _original(maker, index) if with_original else (complete[0][0], None)
    draws = getattr(maker.rendering.by_image, "draws", False)
    return Explanation(
        index=index,
        path=path,
        label=_label(packed(complete)),
        parameters=None if draws else as_dict(drawn[0]),
        original=original,
        rendered=complete[0][0],
        replaces=bad[0] if bad else None,
    )


def check_number(name: str, number: int, count: int, what: str) -> None:
    """Refuse what is not from 0 to before `count`.

    Args:
        what: there are `count` of.

    Raises:
        ValueError: it is not.
    """
    if not 0 <= number < count:
        raise ValueError(f"`{name}` should be from 0 to {count - 1}: there are {count} {what}. Received: {number}")


def _kept(maker: ImageBatches, step: Step) -> Indices:
    """The rows of the step that are in its batch."""
    _, _, bad = _made(maker, step)
    return np.flatnonzero(~np.isin(step.indices, [sample.index for sample in bad]))


def _made(maker: ImageBatches, step: Step) -> tuple[list[Array], Step, tuple[BadSample, ...]]:
    """The arrays that hold numbers, who is in them, and who could not be made."""
    arrays: list[Array] = [np.empty(spec.shape, spec.dtype) for spec in maker.spec.with_rows(len(step.indices)).arrays]
    try:
        with _global_generators_kept(maker.seeds_globals):
            report = maker.fill(step, maker.read(step), arrays)
    except BatchError as error:
        error.epoch, error.step = step.epoch, step.number
        raise
    made = step if report.indices is None else replace(step, indices=report.indices)
    return arrays, made, report.bad


@contextmanager
def _global_generators_kept(are_seeded: bool) -> Iterator[None]:
    """Leave `random` and NumPy's global generator as they were."""
    if not are_seeded:  # then what the user's function draws from them moves on, as with any other batch
        yield
        return
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _original(maker: ImageBatches, index: int) -> tuple[Array, str | None]:
    """The image before the random transform, rank 3, and its file."""
    source = maker.source
    if isinstance(source, ArraySource):
        return np.array(source.images[index]), None
    assert maker.loading is not None
    path = source.names[index]
    image = decode_all(source.read(np.array([index])), [path], maker.loading).resized(0)
    return np.ascontiguousarray(np.moveaxis(image, 2, 0) if maker.rendering.channels_first else image), path


def _label(batch: Any) -> Any:
    """What `y` holds for the only row of a batch."""
    if not isinstance(batch, tuple):
        return None
    y = batch[1]
    return [output[0] for output in y] if isinstance(y, list) else y[0]

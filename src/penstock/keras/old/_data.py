"""What `fit_generator` and its sisters took batches from, and Keras 3's `fit` does not take as it is."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from penstock._types import Array
from penstock.keras._asker import Asker
from penstock.keras._passes import Passes

AsBatch = Callable[[Any], Any]


class PlainGenerator(Iterator[Any]):
    """A plain generator or iterator of batches, of which the first can be looked at without taking it.

    Args:
        batches: the user's.

    Example:
        >>> stream = PlainGenerator(iter("abc"))
        >>> stream.first(), list(stream)
        ('a', ['a', 'b', 'c'])
    """

    def __init__(self, batches: Iterator[Any]) -> None:
        self._batches = batches

    def __next__(self) -> Any:
        return next(self._batches)

    def first(self) -> Any:
        """The next batch, which stays the next one.

        Raises:
            ValueError: there is none.
        """
        for batch in self._batches:
            self._batches = itertools.chain([batch], self._batches)
            return batch
        raise ValueError("The generator should yield batches for ever. It ended before the first one.")


class OldSequence(keras.utils.PyDataset):  # type: ignore[misc]
    """Something with a length and batches by number that is no `PyDataset`.

    Args:
        sequence: the user's.
        as_batch: makes each of its batches one that Keras takes.
    """

    def __init__(self, sequence: Any, as_batch: AsBatch) -> None:
        super().__init__()
        self._sequence = sequence
        self._as_batch = as_batch

    @property
    def batch_size(self) -> Any:
        """As the sequence has it, or None."""
        return getattr(self._sequence, "batch_size", None)

    def __len__(self) -> int:
        return len(self._sequence)

    def __getitem__(self, idx: int) -> Any:
        return self._as_batch(self._sequence[idx])

    def on_epoch_begin(self) -> None:
        """Tell the sequence, if it listens."""
        getattr(self._sequence, "on_epoch_begin", _nothing)()

    def on_epoch_end(self) -> None:
        """Tell the sequence, if it listens."""
        getattr(self._sequence, "on_epoch_end", _nothing)()


class Validation(keras.utils.PyDataset):  # type: ignore[misc]
    """So many batches of a stream in each pass; the next pass goes on where this one stops.

    Keras's own adapter would show the first two batches again in each pass.

    Args:
        stream: of batches.
        steps: in a pass.
    """

    def __init__(self, stream: Iterator[Any], steps: int) -> None:
        super().__init__()
        self._stream = stream
        self._steps = steps
        self._looked_at: list[Any] = []
        self._passes = Passes()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, idx: int) -> Any:
        looks = self._passes.of(sys._getframe(1)).asker is Asker.PEEK
        while len(self._looked_at) <= (idx if looks else 0):
            try:
                self._looked_at.append(next(self._stream))
            except StopIteration:
                raise ValueError(
                    "The generator of `validation_data` should yield `validation_steps` batches in every epoch: "
                    f"{self._steps}. It has ended; let it go on for ever (`while True:`)."
                ) from None
        return self._looked_at[idx] if looks else self._looked_at.pop(0)

    def on_epoch_begin(self) -> None:
        """Keras says what it is about to do."""
        self._passes.epoch_begins(sys._getframe(1))


def recognised(data: Any, as_batch: AsBatch, name: str = "generator") -> Any:
    """A `PyDataset` or a `PlainGenerator`; or what it was, for Keras to judge: it takes datasets of other libraries.

    Raises:
        TypeError: arrays, which are no batches.
    """
    if isinstance(data, keras.utils.PyDataset):
        return data
    if isinstance(data, tuple | dict | str) or hasattr(data, "shape"):
        raise TypeError(
            f"`{name}` should be a flow, a keras.utils.PyDataset, something with __len__ and __getitem__ of batches, "
            f"or a generator of batches. Received: {type(data).__name__}. For arrays there are `model.fit`, `evaluate` "
            "and `predict`."
        )
    if hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return OldSequence(data, as_batch)
    if hasattr(data, "__next__"):
        return PlainGenerator(map(as_batch, data))
    return data


def as_batch(batch: Any) -> Any:
    """A batch as Keras 3 takes it: `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    return tuple(_array_or_arrays(part) for part in batch) if isinstance(batch, tuple | list) else (batch,)


def as_batch_to_predict(inputs: int) -> AsBatch:
    """As `as_batch`; but a list of as many arrays as the model has inputs, from two on, is inputs, as in Keras 2."""

    def convert(batch: Any) -> Any:
        return as_batch([batch] if isinstance(batch, list) and len(batch) == inputs > 1 else batch)

    return convert


def batches_of(stream: PlainGenerator, count: int, class_weight: Mapping[int, float] | None = None) -> Generator[Any]:
    """At most `count` batches of a stream, so that no look ahead of Keras's takes more from the user's generator."""
    for batch in itertools.islice(stream, count):
        yield batch if class_weight is None else _weighted(batch, class_weight)


def _array_or_arrays(part: Any) -> Any:
    """Several inputs or outputs as a tuple: TensorFlow takes no lists."""
    return tuple(part) if isinstance(part, list) else part


def _weighted(batch: Any, class_weight: Mapping[int, float]) -> Any:
    """Keras 3 refuses `class_weight` with generators; this is what it does with a `PyDataset`."""
    if len(batch) == 3:
        raise ValueError("You cannot specify `class_weight` and `sample_weight` at the same time.")
    return batch if len(batch) < 2 else (*batch, _weights(keras.ops.convert_to_numpy(batch[1]), class_weight))


def _weights(labels: Array, class_weight: Mapping[int, float]) -> Array:
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else np.argmax(labels, axis=-1)
    numbers = np.round(labels).astype(int)
    return np.array([class_weight.get(int(number), 1.0) for number in numbers], keras.config.floatx())


def _nothing() -> None:
    """For a sequence without hooks."""

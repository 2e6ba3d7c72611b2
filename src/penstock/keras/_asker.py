"""Who asks for a batch: Keras training, Keras evaluating, Keras having a look, or the user."""

from __future__ import annotations

import warnings
from enum import Enum
from types import FrameType
from typing import Any

_ADAPTER = "py_dataset_adapter.py"
_TRAINER = "trainer.py"
_GENERATORS = ("_finite_generator", "_infinite_generator")
_WRAPPERS = 8  # frames of a user's datasets around each other; each look costs 0.1 us
_LOOKS = ("get_tf_dataset", "<listcomp>")


class Asker(Enum):
    """What `flow[i]` means to whoever asks.

    `fit` permutes the order of the batches by itself, from the global `random`, which nobody can foresee. So what it
    asks for by number is taken as a ticket for the flow's next batch, which can be made ahead.
    """

    USER = "user"  # an address
    TRAINING = "training"  # a ticket, in the flow's own order
    SHUFFLED_TRAINING = "shuffled training"  # a ticket, batches in shuffled order if samples are not
    READING = "reading"  # addresses from 0 on, in order: evaluate and predict
    PEEK = "peek"  # a look at shapes, which takes nothing

    @property
    def takes_tickets(self) -> bool:
        """Whether numbers are tickets and not addresses."""
        return self in (Asker.TRAINING, Asker.SHUFFLED_TRAINING)


def is_keras_asking(frame: FrameType | None) -> bool:
    """Whether Keras's own data adapter is the caller."""
    return frame is not None and frame.f_code.co_filename.endswith(_ADAPTER)


def caller_of(dataset: Any, frame: FrameType | None) -> FrameType | None:
    """Who calls `dataset[i]`, past the `__getitem__` of subclasses that call their base class's."""
    while frame is not None and frame.f_code.co_name == "__getitem__" and frame.f_code.co_argcount:
        if frame.f_locals.get(frame.f_code.co_varnames[0]) is not dataset:
            break
        frame = frame.f_back
    return frame


def adapter_around(frame: FrameType | None) -> FrameType | None:
    """The frame of Keras's adapter in which a user's dataset reads another one; None for none."""
    for _ in range(_WRAPPERS):
        if frame is None:
            return None
        if is_keras_asking(frame):
            return frame if frame.f_code.co_name in _GENERATORS + _LOOKS else None
        frame = frame.f_back
    return None


def is_pass(frame: FrameType) -> bool:
    """Whether a frame of Keras's adapter goes through the batches, rather than look at one."""
    name = frame.f_code.co_name
    if name in _GENERATORS or name in _LOOKS:
        return name in _GENERATORS
    warnings.warn(
        f"Keras asks for batches by `{name}`, which this penstock does not know: every epoch will show the first one's "
        "batches. Please use Keras 3.15, or a newer penstock.",
        stacklevel=4,
    )
    return False


def is_look(frame: FrameType) -> bool:
    """Whether a frame of Keras's adapter looks at shapes: TensorFlow does, before its dataset begins."""
    return frame.f_code.co_name in _LOOKS


def is_first_of_pass(frame: FrameType) -> bool:
    """Whether a generator of Keras's adapter asks for its first batch."""
    indices = frame.f_locals.get("indices", (0,))  # the one without an end counts from 0 on
    return len(indices) == 0 or bool(frame.f_locals.get("i") == indices[0])


def find_trainer(frame: FrameType | None) -> Asker | None:
    """What Keras does up the stack, the innermost first; None for nothing: TensorFlow asks from a thread of its own."""
    while frame is not None:
        name = frame.f_code.co_name
        if name in ("_symbolic_build", "_maybe_symbolic_build"):
            return Asker.PEEK
        if is_trainers(frame):
            return _TRAINER_METHODS[name]
        frame = frame.f_back
    return None


def trainer_around(frame: FrameType | None) -> tuple[str, Any]:
    """The innermost of `fit`, `evaluate` and `predict` up the stack, and its model; an empty name and None for none."""
    while frame is not None:
        if is_trainers(frame):
            return frame.f_code.co_name, frame.f_locals.get("self")
        frame = frame.f_back
    return "", None


def is_trainers(frame: FrameType) -> bool:
    """Whether a frame is one of Keras's `fit`, `evaluate` and `predict`."""
    return frame.f_code.co_name in _TRAINER_METHODS and frame.f_code.co_filename.endswith(_TRAINER)


def adapter_of(frame: FrameType) -> Any:
    """The adapter that a frame of Keras's adapter module belongs to."""
    return frame.f_locals.get("self")


_TRAINER_METHODS = {"fit": Asker.TRAINING, "evaluate": Asker.READING, "predict": Asker.READING}

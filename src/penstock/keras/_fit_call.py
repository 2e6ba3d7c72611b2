"""The call of `fit` that a callback is part of; Keras does not tell a callback what it is trained on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from penstock.feeding._running import running
from penstock.keras._endless import Endless
from penstock.keras._generator_feed import GeneratorFeed
from penstock.keras._stream import Stream

Fed = Stream | GeneratorFeed
_LIVES = "epoch_iterator"  # Keras's own, in each of its loops

_SETTINGS = (
    "epochs",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_freq",
    "validation_split",
    "batch_size",
    "shuffle",
    "class_weight",
)


@dataclass(frozen=True, eq=False)
class FitCall:
    """What `fit` was given.

    Attributes:
        data: what is trained on, as it was given; None if that was not found.
        labels, weights: beside it.
        validation: what it is tested with.
        settings: the plain arguments, by name.
        lives: lasts as long as the call, and no longer; None if it was not found.
    """

    data: Any = None
    labels: Any = None
    weights: Any = None
    validation: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    lives: Any = None

    @property
    def flow(self) -> Fed | None:
        """The flow in it, if any: the data themselves, one that a dataset of the user's reads, or the only one."""
        return flow_in(self.data) or next((flow for flow in running() if isinstance(flow, Fed)), None)


def find_fit(model: Any) -> FitCall:
    """The innermost call of `fit` of this model on the caller's stack; an empty one if there is none."""
    known = _locals_of(model, "fit")
    return FitCall(
        known.get("x"),
        known.get("y"),
        known.get("sample_weight"),
        known.get("validation_data"),
        {name: known[name] for name in _SETTINGS if name in known},
        known.get(_LIVES),
    )


def what_lives(model: Any, method: str) -> Any:
    """What lasts as long as the innermost call of "fit", "evaluate" or "predict"; None if there is none."""
    return _locals_of(model, method).get(_LIVES)


def _locals_of(model: Any, method: str) -> Mapping[str, Any]:
    """Of the innermost call of a model's method on the caller's stack; empty if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == method and frame.f_locals.get("self") is model:
            return frame.f_locals
        frame = frame.f_back
    return {}


def flow_in(data: Any) -> Fed | None:
    """What a flow is, or holds as an attribute."""
    if isinstance(data, Endless):
        data = data.flow
    if isinstance(data, Fed):
        return data
    values = vars(data).values() if hasattr(data, "__dict__") else ()
    return next((value for value in values if isinstance(value, Fed)), None)

"""A flow that does not end with its epoch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from penstock.keras._flow import Flow


class Endless(keras.utils.PyDataset):  # type: ignore[misc]
    """A flow's stream without an end; made by `Flow.endless`."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    def __getitem__(self, idx: int) -> Any:
        return self._flow._answer(sys._getframe(1), idx)

    def on_epoch_begin(self) -> None:
        """See `Flow.on_epoch_begin`."""
        self._flow._epoch_begins(sys._getframe(1))

    def on_epoch_end(self) -> None:
        """See `Flow.on_epoch_end`."""
        self._flow._epoch_ends(sys._getframe(1))

"""Callbacks for `fit(callbacks=[...])`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras

from penstock.keras._flow import Flow


class FlowCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves the weights and where the data is, and goes on from there when training starts again.

    A run that is killed in mid-epoch and started again sees the batches that it would have seen. The position is that
    of the batches that were trained, which the callback counts itself: Keras asks for batches ahead of training them.

    Of several ranks the first one saves, since all are at the same place with the same weights, and all of them go on
    from there: give them one folder that all can read. There may be more or fewer of them the next time.

    Args:
        flow: the one given to `fit`.
        folder: where `flow.json` and the weights that it names are kept.
        save_freq: batches between two savings, or "epoch".

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from penstock import ImageDataGenerator
        >>> from penstock.callbacks import FlowCheckpoint
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(flow, verbose=0, callbacks=[FlowCheckpoint(flow, tempfile.mkdtemp(), save_freq=1)])
    """

    def __init__(self, flow: Flow, folder: str | os.PathLike[str], save_freq: int | str = "epoch") -> None:
        super().__init__()
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(f'`save_freq` should be "epoch" or a positive integer. Received: {save_freq!r}')
        self.flow = flow
        self.folder = Path(folder)
        self.save_freq = save_freq
        self._position = self._epoch_start = 0
        self._saved_at: int | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Go on from what the folder holds, if anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._state_path.exists():
            state = json.loads(self._state_path.read_text())
            self.flow.load_state_dict(state["flow"])
            self.model.load_weights(self.folder / state["weights"])
        self._position = self.flow.total_batches_seen
        self._saved_at = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Remember where the epoch begins."""
        self._epoch_start = self._position

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Count; save if it is time. With `steps_per_execution` this comes once for several batches."""
        self._position = self._epoch_start + batch + 1
        since = self._epoch_start if self._saved_at is None else self._saved_at
        if self.save_freq != "epoch" and self._position - since >= int(self.save_freq):
            self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save."""
        self._save()

    @property
    def _state_path(self) -> Path:
        return self.folder / "flow.json"

    def _save(self) -> None:
        """Weights under a new name, then the state that names them in one step: a kill leaves a pair that fits."""
        if self._position == self._saved_at:
            return
        if self.flow.shard.rank or self.flow.shard.partner:
            self._save_nothing()
            return
        weights = f"flow-checkpoint-{self._position}.weights.h5"
        before = json.loads(self._state_path.read_text())["weights"] if self._state_path.exists() else weights
        self.model.save_weights(self.folder / weights, overwrite=True)
        state = {"flow": self.flow.state_dict(position=self._position), "weights": weights}
        half = self._state_path.with_suffix(".tmp")
        half.write_text(json.dumps(state))
        os.replace(half, self._state_path)
        self._saved_at = self._position
        if before != weights:
            (self.folder / before).unlink(missing_ok=True)

    def _save_nothing(self) -> None:
        """What the other ranks do while the first one saves: on JAX, Keras asks all processes for its weights."""
        if keras.backend.backend() == "jax":
            with tempfile.TemporaryDirectory() as folder:
                self.model.save_weights(Path(folder) / "another.weights.h5")
        self._saved_at = self._position

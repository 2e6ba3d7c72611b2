"""Where a run is: in one file, so that weights, optimizer and data fit whatever ends the run."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np

from penstock._types import Array
from penstock.cli._endings import CommandError
from penstock.cli._train_options import Settings

_VERSION = 1
_META = "run.json"
_ARRAYS = ("arrays", "generators")


@dataclass(frozen=True)
class RunState:
    """A place in a run. All but `arrays` is plain values.

    Attributes:
        options: as `TrainOptions.as_dict` keeps them; `epochs` is how many there are to be.
        settings: what has to be the same to go on.
        flow: the training flow's `state_dict`.
        epoch: that the run is in, from 0, or the number of epochs when all are over.
        batch: how many of it are trained.
        seconds: that the epoch has taken.
        logs: of the epoch's training, where only validation is left to do; else None.
        history: a row for each epoch that is over.
        best: highest validation accuracy so far, a share; None for none yet.
        arrays: of model, optimizer and metrics.
        generators: states of PyTorch's own random generators after the last step, of CPU and GPUs, from which its
            `Dropout` draws; empty on other back ends, where each layer has its own among `arrays`.
    """

    options: dict[str, Any]
    settings: Settings
    flow: dict[str, Any]
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    logs: dict[str, float] | None = None
    history: tuple[dict[str, float], ...] = ()
    best: float | None = None
    arrays: tuple[Array, ...] = field(default=(), repr=False)
    generators: tuple[Array, ...] = field(default=(), repr=False)

    def taken(self, model: Any, metrics: bool) -> RunState:
        """With the arrays of a model as it is.

        Args:
            model: compiled, and built with its optimizer.
            metrics: with what has been measured of the epoch, too.
        """
        arrays = tuple(keras.ops.convert_to_numpy(variable.value) for variable in _variables(model, metrics))
        return replace(self, arrays=arrays)

    def without_arrays(self) -> RunState:
        """The rest; arrays take as much memory as the model."""
        return replace(self, arrays=())

    def restore(self, model: Any) -> None:
        """Give a model its weights, states of random generators and optimizer back."""
        _assign(_variables(model, False), self.arrays)

    def restore_metrics(self, model: Any) -> None:
        """Give a model back what it has measured of the epoch; to be called when that has begun again."""
        measured = self.arrays[len(_variables(model, False)) :]
        if len(model.metrics_variables) < len(measured):  # on TensorFlow the first step would make them
            nothing = np.zeros((1, *model.output_shape[1:]), np.float32)
            model.compute_metrics(None, nothing, nothing)
        _assign(list(model.metrics_variables), measured)

    def save(self, path: Path) -> None:
        """Write it in one step: what is read later is all of this, or all of what was there before."""
        meta = {**asdict(replace(self, arrays=(), generators=())), "version": _VERSION}
        meta |= {name: len(getattr(self, name)) for name in _ARRAYS}
        with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_META, json.dumps(meta))
            for name in _ARRAYS:
                for number, array in enumerate(getattr(self, name)):
                    with archive.open(f"{name}/{number}.npy", "w", force_zip64=True) as part:
                        np.lib.format.write_array(part, np.asanyarray(array), allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> RunState:
        """Read what `save` wrote.

        Raises:
            CommandError: it is something else, or damaged.
            OSError: it cannot be read.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                meta = json.loads(archive.read(_META))
                if meta.pop("version") != _VERSION:
                    raise ValueError("another version of penstock wrote it")
                meta |= {name: _read(archive, name, meta[name]) for name in _ARRAYS}
            settings, history = Settings(**meta.pop("settings")), tuple(meta.pop("history"))
            return cls(settings=settings, history=history, **meta)
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError) as error:
            raise CommandError(
                f"{path} should be what `penstock train` saves, and cannot be read: {error}. Choose another --out."
            ) from None


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes another's place when it is complete, and safe on the disk."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _variables(model: Any, metrics: bool) -> list[Any]:
    """All that changes in training: also the states of `Dropout`'s generators, which Keras's own files leave out."""
    return [*model.variables, *model.optimizer.variables, *(model.metrics_variables if metrics else ())]


def _assign(variables: list[Any], arrays: tuple[Array, ...]) -> None:
    for variable, array in zip(variables, arrays, strict=False):
        variable.assign(array)


def _read(archive: zipfile.ZipFile, name: str, count: int) -> tuple[Array, ...]:
    arrays: list[Array] = []
    for number in range(count):
        with archive.open(f"{name}/{number}.npy") as part:
            arrays.append(np.lib.format.read_array(part, allow_pickle=False))
    return tuple(arrays)


def torch_generators() -> tuple[Array, ...]:
    """States of PyTorch's own random generators; none on other back ends."""
    if keras.backend.backend() != "torch":
        return ()
    import torch

    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]
    return tuple(state.numpy().copy() for state in states)


def set_torch_generators(states: tuple[Array, ...]) -> None:
    """Put them back where `torch_generators` found them."""
    if keras.backend.backend() != "torch" or not states:
        return
    import torch

    cpu, *gpus = (torch.from_numpy(state) for state in states)
    torch.set_rng_state(cpu)
    for number, state in enumerate(gpus[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, number)

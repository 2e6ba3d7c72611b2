"""What the user of `penstock train` chose, and what of it makes a run what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from penstock.cli._endings import CommandError

# What a run that goes on has from the one that was stopped, unless it is given.
_OF_THE_RUN = ("model", "weights", "epochs", "batch_size", "augment", "size", "validation", "validation_dir", "seed")

# Tags of a recorded run: the arguments that do it all again, and the run that it goes on with.
TRAIN_COMMAND, TRAIN_CONTINUES = "penstock.train", "penstock.continues"


def _none(flow: Any) -> Sequence[Any]:
    del flow
    return ()


@dataclass(frozen=True)
class TrainOptions:
    """What the user chose.

    Attributes:
        directory: class folders to train on.
        out: the run's folder.
        model: one of `model_names()`.
        weights: a file to begin with; None for random ones.
        epochs: how often training sees every image.
        batch_size: images in a batch.
        workers: that feed, or "auto".
        augment: as `parse_augment` reads it.
        size: `(height, width)` in pixels.
        validation: the share of each class that is held out.
        validation_dir: class folders to validate with instead; None to hold out.
        seed: of weights, order and augmentation.
        resume: go on with the run in `out`.
        on_error: what becomes of images that cannot be read: "raise" or "skip".
        save_minutes: between two savings within an epoch.
        callbacks: called with the training flow once Keras is there; returns further Keras callbacks for the run.
        track: record the run in MLflow.
        store: its address; None for MLflow's default.
        given: names of the options that were typed; of the others, a run that goes on keeps its own.
    """

    directory: Path
    out: Path
    model: str = "small"
    weights: Path | None = None
    epochs: int = 10
    batch_size: int = 32
    workers: int | str = "auto"
    augment: str = ""
    size: tuple[int, int] = (150, 150)
    validation: float = 0.2
    validation_dir: Path | None = None
    seed: int = 0
    resume: bool = False
    on_error: str = "raise"
    save_minutes: float = 5.0
    callbacks: Callable[[Any], Sequence[Any]] = _none
    track: bool = False
    store: str | None = None
    given: Collection[str] = _OF_THE_RUN

    def as_dict(self) -> dict[str, Any]:
        """What a run that goes on has to know, as JSON holds it; paths are absolute."""
        kept = {name: getattr(self, name) for name in _OF_THE_RUN}
        for name in ("weights", "validation_dir"):
            kept[name] = None if kept[name] is None else str(kept[name].resolve())
        return {**kept, "size": list(self.size)}

    def command_line(self) -> list[str]:
        """The arguments of `penstock train` that make the same run from its beginning; --out is left out."""
        kept = self.as_dict()
        kept |= {"size": "x".join(map(str, self.size)), "workers": self.workers, "on_error": self.on_error}
        if kept["validation_dir"] is not None:
            del kept["validation"]
        pairs = [(f"--{name.replace('_', '-')}", str(value)) for name, value in kept.items() if value not in (None, "")]
        return [str(self.directory.resolve()), *(word for pair in pairs for word in pair)]

    def shown(self) -> dict[str, Any]:
        """What is recorded of a run, by the options' names."""
        others = ("workers", "on_error", "save_minutes", "resume")
        paths = {"directory": self.directory.resolve(), "out": self.out.resolve()}
        return {**self.as_dict(), **{name: getattr(self, name) for name in others}, **paths}

    def completed(self, kept: dict[str, Any]) -> TrainOptions:
        """With what `as_dict` kept of a run, where nothing else is given."""
        old = {name: value for name, value in kept.items() if name in _OF_THE_RUN and name not in self.given}
        if "validation_dir" in self.given:
            old.pop("validation", None)
        if "validation" in self.given:
            old.pop("validation_dir", None)
        for name in ("weights", "validation_dir"):
            if old.get(name) is not None:
                old[name] = Path(old[name])
        if "size" in old:
            old["size"] = (int(old["size"][0]), int(old["size"][1]))
        return replace(self, **old)


@dataclass(frozen=True)
class Settings:
    """What decides which batches a run sees and what it makes of them. Plain values, which JSON holds.

    Attributes:
        model, size, batch_size, augment, seed: as the user chose them.
        weights: what training began with.
        validation: the share that is held out, or None for a folder of its own.
        classes: names, in the order of their numbers.
        images, validation_images: marks of both sets' files.
        backend: of Keras: each rounds in its own way.
    """

    model: str
    weights: str | None
    size: list[int]
    batch_size: int
    augment: dict[str, Any]
    validation: float | None
    classes: list[str]
    images: str
    validation_images: str
    seed: int
    backend: str

    def check_same(self, old: Settings, out: Path) -> None:
        """Make sure that a run may go on.

        Raises:
            CommandError: it names what differs.
        """
        now, then = json.loads(json.dumps(vars(self))), json.loads(json.dumps(vars(old)))
        different = [field.name for field in fields(self) if now[field.name] != then[field.name]]
        if not different:
            return
        if {"classes", "validation"} & set(different):  # which change the images
            different = [name for name in different if name not in ("images", "validation_images")]
        texts = [_difference(name, then[name], now[name]) for name in different]
        raise CommandError(
            f"--resume should have the settings of the run in {out}, and differs in {'; '.join(texts)}. "
            "Leave options out to keep the run's, or choose another --out for a new run."
        )


def _difference(name: str, then: Any, now: Any) -> str:
    if name == "images":
        return "the images (names or number of the files in DIR)"
    if name == "validation_images":
        return "the images to validate with (names or number of the files)"
    if name == "classes":
        gone, new = sorted(set(then) - set(now)), sorted(set(now) - set(then))
        changes = [f"{', '.join(names)} {what}" for names, what in ((gone, "gone"), (new, "new")) if names]
        return f"the classes ({'; '.join(changes) or 'their order'})"
    label = "KERAS_BACKEND" if name == "backend" else f"--{name.replace('_', '-')}"
    return f"{label} (was {_shown(then)}, is {_shown(now)})"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={part!r}" for name, part in sorted(value.items())) or "none"
    if isinstance(value, list):
        return "x".join(map(str, value))
    return "none" if value is None else str(value)

"""The folder that a run is written to."""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.cli._endings import CommandError, in_the_way
from penstock.cli._train_state import RunState, replacing


@dataclass(frozen=True)
class RunFolder:
    """Where a run's files are.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def checkpoint(self) -> Path:
        """All that is needed to go on."""
        return self.path / "checkpoint.zip"

    @property
    def best(self) -> Path:
        """The model of the epoch with the best validation accuracy."""
        return self.path / "best.keras"

    @property
    def history(self) -> Path:
        """A table with a row for each epoch."""
        return self.path / "history.csv"

    @property
    def confusion(self) -> Path:
        """A picture of the best model's mistakes."""
        return self.path / "confusion.png"

    @property
    def tracked(self) -> Path:
        """Which run of a store it is."""
        return self.path / "tracked.json"

    def check(self, images: Sequence[Path], *, resume: bool) -> None:
        """Make sure that nothing is overwritten, and nothing is written among images.

        Args:
            images: folders of images.
            resume: whether there should be a run already.

        Raises:
            CommandError: there is none, or there is something else.
        """
        if self.path.exists() and not self.path.is_dir():
            raise CommandError(f"--out should be a folder. {str(self.path)!r} is a file.")
        for folder in images:
            if self.path.resolve().is_relative_to(folder.resolve()):
                raise CommandError(
                    f"--out should not lie among the images, in {str(folder)!r}, and {str(self.path)!r} does. "
                    "Choose another --out."
                )
        if resume and not self.checkpoint.exists():
            raise CommandError(
                f"--resume should go on with the run in --out, and {str(self.path)!r} holds none. "
                "Leave --resume out to begin one."
            )
        if resume:
            return
        if self.checkpoint.exists():
            raise CommandError(
                f"{str(self.path)!r} holds a run already. Add --resume to go on with it, or choose another --out."
            )
        for path in (self.best, self.history, self.confusion, self.tracked):
            if path.exists():
                raise in_the_way(path, "train")

    def save(self, state: RunState) -> None:
        """Write where the run is."""
        self.path.mkdir(parents=True, exist_ok=True)
        state.save(self.checkpoint)

    def save_best(self, model: Any) -> None:
        """Keep a model; until it is complete, the one before."""
        unfinished = self.path / ".unfinished.best.keras"  # Keras goes by how a name ends
        try:
            with warnings.catch_warnings():
                # Raised where Keras saves JAX variables to HDF5; a user can do nothing about it.
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
                model.save(unfinished)
            unfinished.replace(self.best)
        finally:
            unfinished.unlink(missing_ok=True)

    def save_tracked(self, run: str) -> None:
        """Write which run of a store it is."""
        with replacing(self.tracked) as file:
            file.write(f"{json.dumps({'run': run})}\n".encode())

    def save_history(self, history: Sequence[dict[str, float]]) -> None:
        """Write the table."""
        columns = list(dict.fromkeys(name for row in history for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        with replacing(self.history) as file:
            file.write(text.getvalue().encode())

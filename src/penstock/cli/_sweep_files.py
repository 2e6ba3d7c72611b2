"""What a sweep keeps, and what its runs have written; read without Keras."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from penstock.cli._endings import CommandError
from penstock.cli._sweep_grid import Point

_VERSION = 1


@dataclass(frozen=True)
class RunFiles:
    """A run's folder.

    Attributes:
        path: of it.
    """

    path: Path

    @property
    def log(self) -> Path:
        """What `penstock train` says."""
        return self.path / "train.log"

    @property
    def ended(self) -> Path:
        """How it ended, where a cluster ran it."""
        return self.path / "ended.json"

    @property
    def code(self) -> int | None:
        """What it ended with, where a cluster ran it; None where that is not known."""
        try:
            return int(json.loads(self.ended.read_text("utf-8"))["code"])
        except (OSError, KeyError, TypeError, ValueError):
            return None

    @property
    def can_resume(self) -> bool:
        """Whether there is something to go on with."""
        return (self.path / "checkpoint.zip").exists()

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are trained."""
        try:
            with zipfile.ZipFile(self.path / "checkpoint.zip") as archive:
                state = json.loads(archive.read("run.json"))
            return bool(state["epoch"] >= state["options"]["epochs"])
        except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError):
            return False

    @property
    def accuracies(self) -> list[float]:
        """On the validation images, after each epoch."""
        try:
            rows = list(csv.DictReader(io.StringIO((self.path / "history.csv").read_text("utf-8"))))
            return [float(row["val_accuracy"]) for row in rows]
        except (OSError, KeyError, TypeError, ValueError):
            return []

    @property
    def run(self) -> str:
        """The store's word for it; empty where it is not known."""
        try:
            return str(json.loads((self.path / "tracked.json").read_text("utf-8"))["run"])
        except (OSError, KeyError, TypeError, ValueError):
            return ""

    @property
    def last_line(self) -> str:
        """Of what was said."""
        try:
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class SweepFolder:
    """Where a sweep's runs are.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def plot(self) -> Path:
        """A picture of the results."""
        return self.path / "sweep.png"

    def of(self, point: Point) -> RunFiles:
        """A run's folder."""
        return RunFiles(self.path / point.name)

    def begin(self, directory: Path) -> None:
        """Make it, or find it as it was left.

        Raises:
            CommandError: it holds something else, or a sweep over other images; nothing has been written then.
        """
        mark, images = self.path / "sweep.json", str(directory.resolve())
        if self.path.resolve().is_relative_to(directory.resolve()):
            raise CommandError(f"--out should not lie among the images, and {str(self.path)!r} does.")
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            self.path.mkdir(parents=True, exist_ok=True)
            mark.write_text(json.dumps({"version": _VERSION, "directory": images}) + "\n", "utf-8")
            return
        try:
            known = json.loads(mark.read_text("utf-8"))
            version, before = known["version"], known["directory"]
        except (OSError, ValueError, KeyError, TypeError):
            raise CommandError(
                f"--out should be a new folder, or that of a sweep, and {str(self.path)!r} is neither. Choose another."
            ) from None
        if (version, before) != (_VERSION, images):
            raise CommandError(
                f"{str(self.path)!r} holds a sweep over {before} (format {version}). Choose another --out."
            )

"""What `penstock train` says on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

import penstock
from penstock.cli._terminal import TerminalReport, counted, printable
from penstock.feeding._cpus import usable_cpus
from penstock.tracking._store import runs_command

if TYPE_CHECKING:
    from penstock.cli._confusion import Confusion
    from penstock.cli._train_data import TrainData
    from penstock.cli._train_state import RunState

_BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "PyTorch"}
_MOST_COLUMNS = 12  # of a table that a terminal has room for
_MOST_PAIRS = 15
_MOST_NAMED = 10


class TrainReport(TerminalReport):
    """Prints what comes of each step, and is the `Listener` of a `TrainingLoop`."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._epochs = self._steps = self._test_steps = self._number = 0

    def heading(self, keras_version: str, backend: str) -> None:
        """Who is at work."""
        self._say(
            f"penstock {penstock.__version__}, Keras {keras_version} on {_BACKENDS.get(backend, backend)}, "
            f"{counted(usable_cpus(), 'CPU')}"
        )

    def data(self, data: TrainData) -> None:
        """What is trained on."""
        names = ", ".join(map(self._printable, data.classes[:12]))
        more = f" and {len(data.classes) - 12} more" if len(data.classes) > 12 else ""
        self._say(
            f"{counted(sum(data.counts), 'image')} to train on, {sum(data.validation_counts):,} to validate with, "
            f"{len(data.classes)} classes: {names}{more}"
        )

    def model(self, name: str, parameters: int, size: tuple[int, int], batch_size: int, preprocessing: Any) -> None:
        """What is trained."""
        function = preprocessing.get("preprocessing_function")
        asks = "" if function is None else f", made ready by {function.__module__.removeprefix('keras.src.')}"
        self._say(
            f"Model {name}: {parameters:,} parameters; images of {size[0]}x{size[1]}{asks}, in batches of {batch_size}"
        )

    def weights(self, path: Path, left: Sequence[str], arrays: int) -> None:
        """What a file of weights has brought."""
        kept = f"; not in it, or of another shape: {', '.join(left[:4])}{' ...' if len(left) > 4 else ''}"
        self._say(f"Weights from {path}: {arrays - len(left)} of {arrays} arrays{kept if left else ''}")

    def position(self, state: RunState, steps: int) -> None:
        """Where a run goes on."""
        self._say(f"Going on {where(state, steps)}.")

    @contextmanager
    def training(self, state: RunState, steps: int, test_steps: int) -> Iterator[None]:
        """A bar for each epoch, on terminals only."""
        self._epochs, self._steps, self._test_steps = state.options["epochs"], steps, test_steps
        self._number = state.epoch + 1
        self._say("")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[logs]}"),
        )
        disabled = not self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=disabled) as self._progress:
            self._task = self._progress.add_task(f"epoch {self._number}", total=steps, completed=state.batch, logs="")
            yield
        self._progress = None

    def step(self, done: int, logs: dict[str, float]) -> None:
        """See `Listener`."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=self._steps, logs=_figures(logs))

    def test_step(self, done: int) -> None:
        """See `Listener`."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=self._test_steps, logs="validation")

    def epoch(self, row: dict[str, float], is_best: bool, verdict: str) -> None:
        """See `Listener`."""
        best = ", the best so far" if is_best else ""
        self._say(
            f"epoch {row['epoch']:.0f} of {self._epochs}: {_figures(row)}; validation "
            f"{_figures({'loss': row['val_loss'], 'accuracy': row['val_accuracy']})}{best} ({row['seconds']:.1f} s)\n"
            f"  input: {verdict}"
        )
        self._number = int(row["epoch"]) + 1
        if self._progress is not None and self._number <= self._epochs:
            self._progress.reset(self._task, description=f"epoch {self._number}", total=self._steps, logs="")

    def stopping(self) -> None:
        """See `Listener`."""
        if self._progress is not None:
            self._progress.update(self._task, description="Stopping after this batch (Ctrl-C again: at once)")

    def tracked(self, run: str | None, store: str | None) -> None:
        """Which run of the store it is; a warning of the tracker's has said why it is none."""
        if run is not None:
            self._say(f"Recorded as run {run[:8]}; see it with `{runs_command(store)}`")

    @contextmanager
    def evaluating(self, steps: int) -> Iterator[Any]:
        """A bar, and a function that is told how many batches are done."""
        with self.progress("Evaluating", steps) as advance:
            yield lambda _: advance()

    def result(self, state: RunState, data: TrainData, confusion: Confusion) -> None:
        """What the best model does with the images to validate with."""
        best = max(state.history, key=lambda row: row["val_accuracy"])  # the first of them
        self._say(
            f"\nBest: epoch {best['epoch']:.0f}, {_percent(confusion.accuracy)} of "
            f"{counted(confusion.images, 'validation image')} right "
            f"(chance, always naming the commonest class: {_percent(data.chance)})"
        )
        if len(confusion.classes) <= _MOST_COLUMNS:
            self._matrix(confusion)
        else:
            self._pairs(confusion)

    def bad_images(self, reasons: Sequence[str]) -> None:
        """Which were left out, and why."""
        if reasons:
            self._say(f"Left out {counted(len(reasons), 'image')} that could not be read:")
        for reason in reasons[:_MOST_NAMED]:
            self._say(f"  {self._printable(reason)}")
        if len(reasons) > _MOST_NAMED:
            self._say(f"  and {len(reasons) - _MOST_NAMED:,} more, which `penstock check` lists.")

    def files(self, paths: Sequence[Path], picture: bool) -> None:
        """What was written."""
        self._say(f"Written to {paths[0].parent}: {', '.join(path.name for path in paths)}")
        if not picture:
            self._say('No picture of the table: that needs matplotlib. pip install "penstock[plot]"')

    def _matrix(self, confusion: Confusion) -> None:
        table = Table("true class", box=box.SIMPLE_HEAD)
        for number in range(len(confusion.classes)):
            table.add_column(f"{number}", justify="right", no_wrap=True)
        table.add_column("right", justify="right", no_wrap=True)
        rows = zip(confusion.classes, confusion.counts, confusion.recalls, strict=True)
        for number, (name, counts, recall) in enumerate(rows):
            cells = (f"{count:,}" if count else "·" for count in counts)
            table.add_row(f"{number} {self._printable(name)}", *cells, _percent(float(recall)))
        self._console.print(table)
        self._say("A row for each true class, a column for each that the model named.\n")

    def _pairs(self, confusion: Confusion) -> None:
        pairs = confusion.most_confused(_MOST_PAIRS)
        if not pairs:
            self._say("No image was taken for one of another class.\n")
            return
        table = Table("true class", "taken for", box=box.SIMPLE_HEAD)
        table.add_column("images", justify="right")
        for true, named, count in pairs:
            table.add_row(self._printable(true), self._printable(named), f"{count:,}")
        self._console.print(table)
        self._say("The mistakes made most often.\n")

    def _printable(self, text: str) -> str:
        return printable(text, self._console.encoding)


def where(state: RunState, steps: int) -> str:
    """A place in a run, in words."""
    epochs = state.options["epochs"]
    if state.epoch >= epochs:
        return f"after all {counted(epochs, 'epoch')}"
    return f"in epoch {state.epoch + 1} of {epochs}, after {state.batch:,} of {counted(steps, 'batch', 'batches')}"


def _figures(logs: dict[str, float]) -> str:
    if "loss" not in logs:
        return ""
    return f"loss {logs['loss']:.3f}, accuracy {_percent(logs['accuracy'])}"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{100 * share:.1f} %"

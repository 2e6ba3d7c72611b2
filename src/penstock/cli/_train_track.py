"""`penstock train --track`: a run of it in the record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, final

import keras

from penstock.cli._train_options import TRAIN_COMMAND, TRAIN_CONTINUES, TrainOptions
from penstock.keras._tracker import Tracker

if TYPE_CHECKING:
    from penstock.cli._train_files import RunFolder


def check_trackable() -> None:
    """Make sure that a run can be recorded, before there is anything to lose.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
    """
    if find_spec("mlflow") is None:
        raise ModuleNotFoundError("--track needs MLflow", name="mlflow")


def tracker(options: TrainOptions, folder: RunFolder, flow: Any) -> Tracker:
    """Records a run with the command's options; one that goes on names the run before.

    Args:
        options: completed by those of a run that goes on.
        folder: the run's.
        flow: that it trains on, where it begins.
    """
    # The script would be whatever starts penstock here.
    tags = {TRAIN_COMMAND: json.dumps(options.command_line()), "mlflow.source.name": "penstock train"}
    if options.resume and (before := recorded_run(folder)) is not None:
        tags[TRAIN_CONTINUES] = before
    return Tracker(flow, store=options.store, tags=tags, settings=options.shown())


def recorded_run(folder: RunFolder) -> str | None:
    """The store's word for the run in a folder; None for one that was not recorded, or not for long enough."""
    try:
        return str(json.loads(folder.tracked.read_text("utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@final
class RememberRun(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the store's word for a run to its folder, as soon as there is one.

    Args:
        tracker: which stands before this in the list of callbacks.
        folder: the run's.
    """

    def __init__(self, tracker: Tracker, folder: RunFolder) -> None:
        super().__init__()
        self._tracker, self._folder = tracker, folder
        self.run: str | None = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Look, which takes a microsecond."""
        if self.run is None:
            self._look()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """The last chance."""
        self._look()

    def _look(self) -> None:
        run = self._tracker.run_id(0)
        if run is not None and run != self.run:
            self.run = run
            self._folder.save_tracked(run)


def callbacks(options: TrainOptions, folder: RunFolder, flow: Any) -> Sequence[Any]:
    """What records a run, and remembers which; none unless it is asked for."""
    if not options.track:
        return ()
    made = tracker(options, folder, flow)
    return made, RememberRun(made, folder)

"""`Tracker`: a run of `fit`, recorded."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, time
from typing import Any

import keras
import numpy as np

from penstock.keras._fit_call import Fed, FitCall, find_fit, flow_in
from penstock.keras._input_report import InputReport
from penstock.keras._monitor import Monitor
from penstock.keras._notice import notice
from penstock.keras._program import how_it_ends, notebook_cells, script_path
from penstock.keras._ranks import find_ranks
from penstock.keras._run_params import (
    file_names,
    fingerprints,
    fit_params,
    flow_params,
    listed_files,
    model_params,
    model_text,
    words,
)
from penstock.keras._stream import Stream
from penstock.keras._verdict import FeedPeriod
from penstock.monitor._records import TIME, Records
from penstock.tracking._environment import what_counts
from penstock.tracking._messages import Begin, End, Epoch, More
from penstock.tracking._processes import Process
from penstock.tracking._recorder import PATIENCE_S, Recorder
from penstock.tracking._secrets import mask_argv, mask_value
from penstock.tracking._store import NOTEBOOK, Status, runs_command

_DIGEST_BATCHES, _DIGEST_S = 8, 0.5
_MEANS = ("cpu_percent", "memory_mb")  # of the monitor's columns, and those of GPUs


class Tracker(keras.callbacks.Callback):  # type: ignore[misc]
    """Records a run of `fit` in MLflow: settings, data, code, machine, metrics, and how it was fed.

    One line does it: `model.fit(flow, callbacks=[Tracker()])`. `penstock runs` and `penstock compare` read it, and so
    does `mlflow ui` in the same folder. A process beside the program writes, so that MLflow takes no time from
    training; what cannot be recorded is told in one warning, and never stops it.

    A run ends as FINISHED; as FAILED where `fit` ended in an exception; as KILLED after Ctrl-C, where the program was
    killed, or the machine went down. An exception that the program catches, Ctrl-C's too, is seen when `fit` is left.

    Of several processes that train together (ranks), the first records, since all train one model; a line of the others
    says so.

    Passwords, keys and tokens are masked, by the names that they go by, in arguments, settings, the script and the
    diff. See guide/runs.md for what is recorded.

    Args:
        flow: what is given to `fit`; None to find it there.
        store: as MLflow writes it; None for what MLflow uses by default: `MLFLOW_TRACKING_URI`, else a file `mlflow.db`
            in the working folder.
        experiment, name: None for MLflow's.
        tags: what else to record.
        settings: what else the run is made of, by name; `penstock compare` and `penstock runs --where` know them.
        patience_s: how long the end of `fit` waits at most until all is written.
        every_rank: record each rank as a run of its own, as where each trains a model of its own.

    Raises:
        ImportError: MLflow is not installed; `pip install penstock[track]`.

    Example:
        >>> import keras, numpy as np
        >>> from penstock import ImageDataGenerator
        >>> from penstock.callbacks import Tracker
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(flow, verbose=0, callbacks=[Tracker()])  # doctest: +SKIP
        penstock: recorded as run 720d2f83 in sqlite:////home/me/mlflow.db; see it with `penstock runs`
    """

    def __init__(
        self,
        flow: Any = None,
        *,
        store: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        tags: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        patience_s: float = PATIENCE_S,
        every_rank: bool = False,
    ) -> None:
        super().__init__()
        if find_spec("mlflow") is None:
            raise ImportError('Tracker needs MLflow: pip install "penstock[track]"', name="mlflow")
        if flow is not None and flow_in(flow) is None:
            raise TypeError(f"`flow` should be made by penstock, or None. Received: {type(flow).__name__}")
        self._given, self._address, self._experiment, self._name = flow, store, experiment, name
        self._tags = {str(key): mask_value(str(key), str(value)) for key, value in (tags or {}).items()}
        self._settings = words("settings", settings or {})
        self._patience_s = patience_s
        self._every_rank = every_rank
        self._ending: tuple[Status, str] = ("FINISHED", "")
        self._recorder: Recorder | None = None
        self._report: _Figures | None = None
        self._monitor: Monitor | None = None
        self._flow: Fed | None = None
        self._samples = 0
        self._began_s = 0.0
        self._has_warned = False
        self._ranks: dict[str, str] = {}
        self._left: weakref.finalize[[weakref.ref[Recorder], weakref.ref[Monitor]], Any] | None = None

    def run_id(self, timeout_s: float = 30.0) -> str | None:
        """The store's word for the run, once there is one; None where there was none in time."""
        return None if self._recorder is None else self._recorder.run_id(timeout_s)

    def ends_as(self, status: Status, reason: str) -> None:
        """How the run will have ended, for a loop that calls the hooks itself and leaves it early.

        Keras tells no callback of that. The next `on_train_end` records it.
        """
        self._ending = (status, mask_value("", reason[:1000]))

    # --- Keras's hooks: whatever fails in them is told, and training goes on ---

    def on_train_begin(self, logs: Any = None) -> None:
        """Look at everything that is known by now, and begin to record."""
        self._leave("another `fit` began before this one had ended")
        self._has_warned = False
        self._ending = ("FINISHED", "")
        with self._safely():
            call = find_fit(self.model)
            if self._given is not None:
                call = FitCall(self._given, None, None, call.validation, call.settings, call.lives)
            self._flow = call.flow
            if not self._records():
                self._flow = None
                return
            begin, found = self._begun(call)
            self._recorder = Recorder(begin, how_it_ends, self._patience_s)
            self._recorder.send(lambda: More(params=found()))
            self._monitor = Monitor().start()
            if call.lives is not None:
                # Keras tells no callback of an exception; but then this is left over by a call that is no more.
                recorder, monitor = weakref.ref(self._recorder), weakref.ref(self._monitor)
                self._left = weakref.finalize(call.lives, _lose, recorder, monitor)
                self._left.atexit = False
            if self._flow is not None:
                self._report = _Figures(self._flow)
                self._report.on_train_begin()
        with self._safely():
            self._send_digest()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Look at the counts."""
        with self._safely():
            self._began_s = perf_counter()
            if self._monitor is not None:
                self._monitor.on_epoch_begin(epoch)
            if self._report is not None and self._flow is not None:
                self._report.on_epoch_begin(epoch)
                self._samples = self._flow.stats.samples

    def on_test_begin(self, logs: Any = None) -> None:
        """Validation within an epoch is no training."""
        for watcher in (self._monitor, self._report):
            if watcher is not None:
                watcher.on_test_begin()

    def on_test_end(self, logs: Any = None) -> None:
        """It is over."""
        for watcher in (self._monitor, self._report):
            if watcher is not None:
                watcher.on_test_end()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Send Keras's figures, and those of the feed and the machine."""
        with self._safely():
            figures = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
            seconds = perf_counter() - self._began_s
            figures["epoch_s"] = seconds
            if self._report is not None and self._flow is not None:
                samples = self._flow.stats.samples - self._samples
                self._report.on_epoch_end(epoch, {})
                period = self._report.periods[-1]
                figures |= {"input_wait_s": period.wait_s, "input_wait_share": period.wait_share}
                if samples and period.seconds > 0:
                    figures["images_per_s"] = samples / period.seconds
            if self._monitor is not None:
                self._monitor.on_epoch_end(epoch)
                figures |= _means(self._monitor.records, self._monitor.duration - seconds)
            if self._recorder is not None:
                self._recorder.send(Epoch(epoch, figures, time()))
        self._warn()

    def on_train_end(self, logs: Any = None) -> None:
        """Send the verdict and the picture, and wait until all is written."""
        ended_s = time()  # the picture is no part of training
        with self._safely():
            self._close_watchers()
            if self._recorder is not None:
                self._recorder.send(self._summed_up())
        status, reason = self._ending
        self._end(End(status, ended_s, reason))
        self._warn()
        recorder = self._recorder
        if recorder is not None and not self._has_warned and (run := recorder.run_id(0)) is not None:
            see = runs_command(self._address)
            notice(f"penstock: recorded as run {run[:8]} in {recorder.store}; see it with `{see}`")

    # --- inside ---

    def _records(self) -> bool:
        """Whether this process does; what others do is noted, and that it does not is told."""
        ranks = find_ranks()
        shard = ranks.shard if ranks.are_several or not isinstance(self._flow, Stream) else self._flow.shard
        rank, world = shard.rank * shard.partners + shard.partner, shard.world * shard.partners
        if world > 1:
            self._ranks = {"penstock.rank": f"{rank} of {world}"}
        if rank and not self._every_rank:
            notice(
                f"penstock: rank {rank} of {world} records nothing, since the first does (Tracker(every_rank=True) "
                "records each)"
            )
            return False
        return True

    def _begun(self, call: FitCall) -> tuple[Begin, Any]:
        """The first message, and a function for what takes longer to find out."""
        flow, model = self._flow, self.model
        params, files = dict(self._settings), dict[str, bytes]()
        parts: list[Callable[[], dict[str, str]]] = [lambda: model_params(model), lambda: fit_params(call)]
        if flow is not None:
            parts.append(lambda: flow_params(flow))
        for part in parts:
            with self._safely():
                params |= part()
        with self._safely():
            files["model.txt"] = model_text(model).encode()
        tags, script = {**self._ranks, **self._tags}, script_path()
        with self._safely():
            if script is None and (cells := notebook_cells()) is not None:
                files[f"script/{NOTEBOOK}"] = cells.encode()
                tags.setdefault("mlflow.source.name", NOTEBOOK)
        with suppress(Exception):  # Keras's name for them is young
            params["machine.devices"] = ", ".join(keras.distribution.list_devices())
        paths, names = ((), ()) if flow is None else file_names(flow)
        begin = Begin(
            store=self._address,
            experiment=self._experiment,
            name=self._name,
            params=params,
            tags=tags,
            files=files,
            argv=mask_argv(sys.argv),
            script=script,
            folder=os.getcwd(),
            environment={name: mask_value(name, value) for name, value in what_counts(os.environ).items()},
            process=Process.this(),
            time_s=time(),
            paths=paths,
            names=names,
            listed=() if flow is None else listed_files(flow),
        )
        return begin, fingerprints(call)

    def _send_digest(self) -> None:
        """Of the first batches of the epoch that begins: what `reproduce` can compare without training."""
        flow, recorder = self._flow, self._recorder
        if recorder is None or not isinstance(flow, Stream):
            return
        epoch = -(-flow.total_batches_seen // max(1, len(flow)))
        try:
            digests = flow.digests_of_first(epoch, _DIGEST_BATCHES, _DIGEST_S)
        except Exception as error:  # a batch that fails now fails in training, too, which tells better
            recorder.send(More(tags={"penstock.no_digest": f"{type(error).__name__}: {error}"[:1000]}))
            return
        told = {"digest": digests[-1], "digest_batches": len(digests), "digest_epoch": epoch}
        # Another machine may come to fewer batches in that time: it can compare what it has.
        told["digests"] = " ".join(digests)
        recorder.send(More(params={f"stream.{name}": str(value) for name, value in told.items()}))

    def _summed_up(self) -> More:
        tags, files = dict[str, str](), dict[str, bytes]()
        if self._report is not None and self._report.periods:
            periods = self._report.periods
            what = "the epoch" if len(periods) == 1 else f"all {len(periods)} epochs"
            tags["penstock.verdict"] = FeedPeriod.total(periods).line(what)
            files["verdict.txt"] = "".join(f"{each.line()}\n" for each in periods).encode()
        if self._flow is not None:
            tags["penstock.workers"] = str(self._flow.workers)
            tags["penstock.bad_samples"] = str(self._flow.stats.bad_samples)
        if self._monitor is not None:
            with tempfile.TemporaryDirectory(prefix="penstock-track-") as folder:
                for name in ("utilisation.png", "utilisation.csv"):
                    try:
                        files[name] = self._monitor.save(Path(folder, name)).read_bytes()
                    except ImportError:
                        tags["penstock.no_plot"] = "matplotlib is not installed: pip install penstock[plot]"
                    except ValueError as error:  # a run too short to measure anything
                        tags["penstock.no_plot"] = str(error)
        return More(tags=tags, files=files)

    def _close_watchers(self) -> None:
        if self._monitor is not None:
            self._monitor.on_train_end()
            self._monitor.stop()
        if self._report is not None:
            self._report.on_train_end()

    def _end(self, end: End) -> None:
        recorder = self._recorder
        if recorder is not None:
            if self._left is not None:
                self._left.detach()
            with self._safely():
                recorder.end(end)

    def _leave(self, why: str) -> None:
        """An earlier run, of which Keras did not tell the end."""
        if self._recorder is not None and not self._recorder.has_ended:
            with self._safely():
                self._close_watchers()
            self._end(End("FAILED", time(), why))
        self._recorder = self._report = self._monitor = self._flow = None
        self._ranks = {}

    def _safely(self) -> _Safely:
        return _Safely(self)

    def _warn(self) -> None:
        """Once a run, of whatever has not been recorded by now."""
        if self._recorder is not None and self._recorder.troubles:
            self.warn_once(self._recorder.troubles[0])

    def warn_once(self, trouble: str) -> None:
        """Say that the record is not complete; again only of another run."""
        if not self._has_warned:
            self._has_warned = True
            with suppress(RuntimeWarning):  # where warnings are errors: training goes on
                warnings.warn(
                    f"penstock: this run is not recorded as it should be: {trouble}", RuntimeWarning, stacklevel=2
                )

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("A tracker belongs to the process that trains, and cannot be pickled.")


class _Safely:
    """A block in which an error is a warning."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if not isinstance(error, Exception):
            return False
        self._tracker.warn_once(f"{type(error).__name__}: {error}")
        return True


class _Figures(InputReport):
    """The report's figures, without its words."""

    def _say(self, text: str) -> None:
        pass


def _lose(recorder: weakref.ref[Recorder], monitor: weakref.ref[Monitor]) -> None:
    """From a finalizer, which may run anywhere: nothing is waited for."""
    if (found := recorder()) is not None:
        found.lose()
    if (running := monitor()) is not None:
        running.abandon()


def _means(records: Records, since_s: float) -> dict[str, float]:
    """Of the machine's use since then."""
    if not len(records):
        return {}
    within = records[TIME] >= min(since_s, float(records[TIME][-1]))
    means = {}
    for name in records:
        values = records[name][within]
        if (name in _MEANS or name.startswith("gpu_")) and np.isfinite(values).any():
            means[name] = float(np.nanmean(values))
    return means

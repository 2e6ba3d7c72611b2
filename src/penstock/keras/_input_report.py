"""A verdict on the feed after every epoch."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import keras
import numpy as np

from penstock.feeding._cpus import usable_cpus
from penstock.feeding._stats import FeedStats
from penstock.keras._endless import Endless
from penstock.keras._generator_feed import GeneratorFeed
from penstock.keras._notice import notice
from penstock.keras._stream import Stream
from penstock.keras._verdict import FeedPeriod
from penstock.monitor._gpu_probe import gpu_probe
from penstock.monitor._records import TIME, Recorder
from penstock.monitor._sampler import Sampler

_GPU_INTERVAL_S = 0.2


class InputReport(keras.callbacks.Callback):  # type: ignore[misc]
    """Says after each epoch how long training waited for data, what a perfect feed would save, and what to try.

    The figures are measured: the time that the consumer of the flow spent waiting for a batch. It bounds what a faster
    feed would save from above, since a device may have been at work meanwhile. Validation is left out. Epochs' figures
    reach Keras's logs as `input_wait_s` and `input_wait_share`, and so the history and the callbacks that come after
    this one, such as `keras.callbacks.TensorBoard`. On TensorFlow, whose own thread asks for batches ahead, its waiting
    counts.

    Args:
        flow: the one given to `fit`.

    Attributes:
        periods: what was measured, epoch by epoch; `periods[-1].as_dict()` has the last one's figures for a logger.

    With a GPU and nvidia-ml-py the line says how busy that was, too.

    Example:
        >>> import keras, numpy as np
        >>> from penstock import ImageDataGenerator
        >>> from penstock.callbacks import InputReport
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = model.fit(flow, verbose=0, callbacks=[InputReport(flow)])  # doctest: +ELLIPSIS
        input: waited ...
    """

    def __init__(self, flow: Stream | GeneratorFeed | Endless) -> None:
        super().__init__()
        if not isinstance(flow, Stream | GeneratorFeed | Endless):
            raise TypeError(
                f"`flow` should be what is given to `fit`, made by penstock. Received: {type(flow).__name__}"
            )
        self.flow: Stream | GeneratorFeed = flow.flow if isinstance(flow, Endless) else flow
        self.periods: list[FeedPeriod] = []
        self._began_s = 0.0
        self._tested_s = 0.0
        self._before = FeedStats()
        self._gpus: Recorder | None = None
        self._sampler: Sampler | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget an earlier run."""
        self.periods = []
        self._stop_sampling()  # of a run that failed, of which Keras does not tell
        gpus = gpu_probe()
        if gpus is not None:
            self._gpus = Recorder()
            self._sampler = Sampler({"GPUs": gpus}, _GPU_INTERVAL_S, self._gpus.add)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Look at the clock and at the counts."""
        self._before, self._began_s, self._tested_s = self.flow.stats, perf_counter(), 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        """Validation within an epoch is no training."""
        self._tested_s -= perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        """It is over."""
        self._tested_s += perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Say what it was like."""
        before, after = self._before, self.flow.stats
        period = FeedPeriod(
            perf_counter() - self._began_s - self._tested_s,
            after.wait_s - before.wait_s,
            sum(after.make_s.values()) - sum(before.make_s.values()),
            after.batches - before.batches,
            self.flow.workers,
            usable_cpus(),
            self.flow.waits_for_lock,
            self.flow.most_workers,
            self.flow.is_auto,
            self._gpu_percent(),
        )
        self.periods.append(period)
        if logs is not None:
            logs |= {"input_wait_s": period.wait_s, "input_wait_share": period.wait_share}
            if period.gpu_percent is not None:
                logs["input_gpu_percent"] = period.gpu_percent
        self._say(f"input: {period.line()}")

    def on_train_end(self, logs: Any = None) -> None:
        """Say what all of it was like."""
        self._stop_sampling()
        if len(self.periods) < 2:
            return
        total = FeedPeriod.total(self.periods)
        self._say(f"input: {total.line(f'all {len(self.periods)} epochs')}")

    def _say(self, text: str) -> None:
        notice(text)

    def _stop_sampling(self) -> None:
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None

    def _gpu_percent(self) -> float | None:
        """Mean use of the busiest GPU since the epoch began."""
        if self._gpus is None or self._sampler is None:
            return None
        records = self._gpus.records()
        if not len(records):
            return None
        # The last one at least: an epoch may be shorter than it takes to the next.
        within = records[TIME] >= min(self._began_s - self._sampler.began_s, float(records[TIME][-1]))
        means = [
            float(np.nanmean(records[name][within]))
            for name in records
            if name.endswith("_percent") and np.isfinite(records[name][within]).any()
        ]
        return max(means, default=None)

"""What an epoch's figures say about its feed, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

_MODEL_IS_BOTTLENECK = 0.05  # waiting for less than this share of the time, nobody gains by a faster feed
_BUSY = 0.8  # of the workers; what is left, they wait for a free slot


@dataclass(frozen=True)
class FeedPeriod:
    """A time of training, and what its feed did meanwhile.

    Attributes:
        seconds: of training, validation aside.
        wait_s: how much of it the consumer waited for batches.
        make_s: what workers spent on the batches that were delivered, summed over workers.
        batches: delivered.
        workers: threads or processes that make batches; 0 for the caller's thread.
        cpus: that the process may use.
        waits_for_lock: whether threads wait for the interpreter lock most of the time.
        most_workers: that there can be; None for no limit.
        is_auto: whether the number of workers is chosen by what is measured.
        gpu_percent: use of the busiest GPU, from 0 to 100; None without one.
    """

    seconds: float
    wait_s: float
    make_s: float
    batches: int
    workers: int
    cpus: int
    waits_for_lock: bool = False
    most_workers: int | None = None
    is_auto: bool = False
    gpu_percent: float | None = None

    @classmethod
    def total(cls, periods: Sequence[FeedPeriod]) -> FeedPeriod:
        """Several in a row as one, with the last one's workers."""
        last = periods[-1]
        return replace(
            last,
            seconds=sum(period.seconds for period in periods),
            wait_s=sum(period.wait_s for period in periods),
            make_s=sum(period.make_s for period in periods),
            batches=sum(period.batches for period in periods),
            gpu_percent=None if last.gpu_percent is None else fmean(period.gpu_percent or 0.0 for period in periods),
        )

    @property
    def wait_share(self) -> float:
        """Share of the time that the consumer waited, from 0 to 1."""
        return min(1.0, self.wait_s / self.seconds) if self.seconds > 0 else 0.0

    @property
    def busy_workers(self) -> float:
        """How many workers were at a batch, on average."""
        return min(float(self.workers), self.make_s / self.seconds) if self.seconds > 0 else 0.0

    @property
    def workers_needed(self) -> int:
        """How many would keep up with the model, if each makes batches as fast as now."""
        own_s = self.seconds - self.wait_s
        return max(1, math.ceil(self.make_s / own_s)) if own_s > 0 else max(1, 2 * self.workers)

    def as_dict(self) -> dict[str, float]:
        """The figures for a logger, by name with their unit."""
        figures = {
            "input_seconds": self.seconds,
            "input_wait_s": self.wait_s,
            "input_wait_share": self.wait_share,
            "input_busy_workers": self.busy_workers,
            "input_workers": float(self.workers),
            "input_batches_per_s": self.batches / self.seconds if self.seconds > 0 else 0.0,
        }
        return figures if self.gpu_percent is None else {**figures, "input_gpu_percent": self.gpu_percent}

    def advice(self) -> str:
        """What to do about it, one clause."""
        if self.wait_share < _MODEL_IS_BOTTLENECK:
            return "the model is the bottleneck: more workers will not help"
        if self.is_auto and self.workers != self.most_workers:
            return 'workers="auto" has found no better number: make batches cheaper'
        if self.waits_for_lock:
            return "batches are made in Python: try use_multiprocessing=True"
        if self.workers and self.busy_workers < _BUSY * self.workers:
            return "workers were idle at times: try a larger max_queue_size"
        if self.workers and self.workers == self.most_workers:
            return f"{'it is' if self.workers == 1 else 'these are'} all the workers there can be: make batches cheaper"
        wanted = min(max(self.workers_needed, self.workers + 1), max(self.cpus, self.workers))
        if self.most_workers is not None:
            wanted = min(wanted, self.most_workers)
        if wanted > self.workers:
            return f"try workers={wanted}"
        cores = f"all {self.cpus} cores are taken" if self.cpus > 1 else "the only core is taken"
        return f"{cores}: make batches cheaper, or try more workers if they wait for slow storage"

    def line(self, what: str = "the epoch") -> str:
        """One line that a person understands.

        Example:
            >>> for part in FeedPeriod(33.1, 12.4, 64.0, 100, workers=2, cpus=8).line().split(" · "):
            ...     print(part)
            waited 37 % of the epoch (12.4 s of 33.1 s)
            workers 2 of 2 busy
            a perfect feed would save at most 12 s
            try workers=4
        """
        parts = [f"waited {100 * self.wait_share:.0f} % of {what} ({self.wait_s:.1f} s of {self.seconds:.1f} s)"]
        if self.workers:
            parts.append(f"workers {self.busy_workers:.0f} of {self.workers} busy")
        if self.gpu_percent is not None:
            parts.append(f"GPU {self.gpu_percent:.0f} %")
        if self.wait_share >= _MODEL_IS_BOTTLENECK:
            parts.append(f"a perfect feed would save at most {self.wait_s:.{0 if self.wait_s >= 10 else 1}f} s")
        return " · ".join([*parts, self.advice()])

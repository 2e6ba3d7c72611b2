"""What a piece of work has cost: time, and CPU time of the whole tree of processes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self, final

import numpy as np
import psutil  # type: ignore[import-untyped]

from penstock.bench._load import LoadMeter
from penstock.monitor._gpu_probe import gpu_probe
from penstock.monitor._probes import MachineProbe
from penstock.monitor._records import Recorder
from penstock.monitor._sampler import Sampler

_GPU_INTERVAL_S = 0.2
_LEAST_LOAD_S = 0.1  # the processor's clocks tick every 10 ms


@dataclass(frozen=True)
class PieceReading:
    """One setting in one round.

    Attributes:
        images: delivered, or trained on.
        wall_s: that it took.
        user_s, system_s: CPU time of this process and all below it.
        wait_s: how much of `wall_s` the model waited for data; None where no model did.
        cpu_percent: use of all CPUs of the machine, whoever uses them; None where the system does not tell.
        gpu_percent: mean use of the busiest GPU; None without one.
        others_cores: that other programs used meanwhile.
        extra_s: what opening, warming up and closing took.
        cached_share: of files that were still in the cache though they had been dropped from it; None if that cannot
            be told, or was not asked for.
    """

    images: int
    wall_s: float
    user_s: float
    system_s: float
    wait_s: float | None = None
    cpu_percent: float | None = None
    gpu_percent: float | None = None
    others_cores: float = 0.0
    extra_s: float = 0.0
    cached_share: float | None = None

    @property
    def images_per_s(self) -> float:
        """The rate."""
        return self.images / self.wall_s


@final
class Gauges:
    """Looks at clocks and counters now, and again when it is asked what has been since.

    A tree's processes may end meanwhile, if they are waited for; their time is then in their parent's.
    """

    def __init__(self) -> None:
        self._gpus: Recorder | None = None
        self._sampler: Sampler | None = None
        gpus = gpu_probe()
        if gpus is not None:
            self._gpus = Recorder()
            self._sampler = Sampler({"GPUs": gpus}, _GPU_INTERVAL_S, self._gpus.add)
        self._machine = MachineProbe()
        self._machine()
        self._load = LoadMeter()
        self._cpu_s = tree_cpu_s()
        self._began_s = perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None

    def reading(self, images: int, wait_s: float | None = None) -> PieceReading:
        """What has been since this was made."""
        wall_s = perf_counter() - self._began_s
        user_s, system_s = (after - before for after, before in zip(tree_cpu_s(), self._cpu_s, strict=True))
        machine = self._machine()
        # Everybody's time less this process's; that of workers, which have not ended yet, is in neither.
        load = self._load.load()
        own_cores = (user_s + system_s) / wall_s
        others = max(0.0, load.own_cores + load.others_cores - own_cores) if wall_s >= _LEAST_LOAD_S else 0.0
        return PieceReading(
            images=images,
            wall_s=wall_s,
            user_s=user_s,
            system_s=system_s,
            wait_s=wait_s,
            cpu_percent=machine.get("cpu_percent"),
            gpu_percent=self._gpu_percent(),
            others_cores=round(others, 3),
        )

    def _gpu_percent(self) -> float | None:
        if self._gpus is None:
            return None
        records = self._gpus.records()
        columns: Mapping[str, Any] = {name: records[name] for name in records if name.endswith("_percent")}
        means = [float(np.nanmean(values)) for values in columns.values() if np.isfinite(values).any()]
        return max(means, default=None)


def tree_cpu_s(root: int | None = None) -> tuple[float, float]:
    """Seconds of user and of system time of a process and of all below it, those that have ended among them.

    Args:
        root: its number; None for this process.
    """
    top = psutil.Process(root)
    user_s = system_s = 0.0
    for process in (top, *top.children(recursive=True)):
        with suppress(psutil.Error):  # one that ends just now
            times = process.cpu_times()
            user_s += times.user + times.children_user
            system_s += times.system + times.children_system
    return user_s, system_s

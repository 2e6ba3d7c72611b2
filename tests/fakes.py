"""Fakes: a maker whose batches say which they are and can be held at a gate, a clock that never ticks, and GPUs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from penstock._types import ArraySpec, BatchSpec, Blobs, FillReport, Step


@dataclass
class FakeMaker:
    """Fills a batch with its sample numbers, times 1000 by epoch."""

    batch_size: int = 2
    is_joinable: bool = False
    make_s: float = 1.0
    broken: set[tuple[int, int]] = field(default_factory=set)
    gates: dict[tuple[int, int], threading.Event] = field(default_factory=dict)
    made: list[tuple[int, int]] = field(default_factory=list)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def spec(self) -> BatchSpec:
        return BatchSpec(
            (ArraySpec((self.batch_size, 3), np.dtype("f4")), ArraySpec((self.batch_size,), np.dtype("i8")))
        )

    def alone(self) -> FakeMaker:
        return self

    def read(self, step: Step) -> Blobs:
        return None

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Any]) -> FillReport:
        key = (step.epoch, step.number)
        self.started.release()
        if key in self.gates:
            assert self.gates[key].wait(60)
        if key in self.broken:
            raise ZeroDivisionError(f"batch {key} is broken")
        out[0][...] = (step.indices + 1000 * step.epoch)[:, None]
        out[1][...] = step.indices
        self.made.append(key)
        return FillReport(len(step.indices), {"transform": self.make_s})


class FakeClock:
    """Time that passes only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps += 1


def fake_nvml(gpus: int) -> Any:
    """NVIDIA's library, on a machine with so many."""
    nvml: Any = ModuleType("pynvml")
    nvml.NVMLError = type("NVMLError", (Exception,), {})

    def init() -> None:
        if not gpus:
            raise nvml.NVMLError("Driver Not Loaded")

    nvml.nvmlInit = init
    nvml.nvmlDeviceGetCount = lambda: gpus
    nvml.nvmlDeviceGetHandleByIndex = lambda number: number
    nvml.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=90 + handle, memory=10)
    nvml.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(total=10**10, free=0, used=10**9 * (handle + 1))
    return nvml

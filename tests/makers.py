"""A maker for worker processes, and trouble that it gets into there.

In a module of its own, since a worker imports where a class comes from.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penstock._types import Array, ArraySpec, BatchSpec, Blobs, FillReport, Step

ROWS = 4


@dataclass(frozen=True)
class Maker:
    """Writes sample numbers, and calls `trouble(step)` first."""

    trouble: Callable[[Step], Any] = bool
    table: Any = None

    @property
    def spec(self) -> BatchSpec:
        return BatchSpec((ArraySpec((ROWS, 3), np.dtype("f4")), ArraySpec((ROWS,), np.dtype("i8"))))

    @property
    def is_joinable(self) -> bool:
        return False

    def alone(self) -> Maker:
        return self

    def read(self, step: Step) -> Blobs:
        return None

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        self.trouble(step)
        out[0][...] = (step.indices if self.table is None else self.table[step.indices])[:, None]
        out[1][...] = step.indices + 1000 * step.epoch
        return FillReport(len(step.indices), {"transform": 1.0})


def once(folder: Path, then: Callable[[], Any], at: tuple[int, int] = (0, 2)) -> Callable[[Step], None]:
    """Trouble at one step, the first time that it is made."""
    flag = str(folder / "happened")

    def trouble(step: Step) -> None:
        if (step.epoch, step.number) == at and not os.path.exists(flag):
            open(flag, "w").close()
            then()

    return trouble


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    import threading

    threading.Event().wait()


def check_that_this_is_a_lean_process(step: Step) -> None:
    heavy = {"keras", "jax", "tensorflow", "torch", "matplotlib", "pandas", "pytest"} & set(sys.modules)
    assert not heavy, heavy
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["OMP_NUM_THREADS"] == "1"


def ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def say_and_hang(window: str, step: Step) -> None:
    """Write to another process's memory that it has begun, and never end."""
    with open(window, "r+b") as file:
        file.write(b"1")
    hang()


class Heavy:
    """No trouble, and more than a socket takes at once."""

    def __init__(self) -> None:
        self.names = [f"{k:09}.jpg" for k in range(100_000)]

    def __call__(self, step: Step) -> None:
        """Nothing."""

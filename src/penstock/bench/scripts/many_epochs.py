"""Whether memory stays as it is while epochs go by; see `penstock.bench._costs`. For Linux.

python -m penstock.bench.scripts.many_epochs WORKERS EPOCHS WARM_UP
"""

from __future__ import annotations

import gc
import json
import sys

import keras
import numpy as np
import psutil  # type: ignore[import-untyped]

from penstock import feed
from penstock._types import Array

_BATCHES = 16


class Noise(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of 786 kB."""

    def __len__(self) -> int:
        return _BATCHES

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        random = np.random.default_rng(number)
        return random.random((64, 32, 32, 3), np.float32), random.integers(10, size=64)


def main(workers: int, epochs: int, warm_up: int) -> dict[str, float]:
    """Take all batches of so many epochs.

    Returns:
        Megabytes after the warm-up and in the end; the latter in percent of the former.
    """
    with feed(Noise(), workers=workers, use_multiprocessing=True) as batches:
        for _ in range(warm_up * _BATCHES):
            next(batches)
        warm_mb = used_mb()
        for _ in range((epochs - warm_up) * _BATCHES):
            next(batches)
        end_mb = used_mb()
    return {"warm_mb": warm_mb, "end_mb": end_mb, "share": end_mb / warm_mb * 100}


def used_mb() -> float:
    """Of this process and of those that it started; what several of them map counts once (PSS, smaps_rollup)."""
    gc.collect()
    here = psutil.Process()
    return float(sum(process.memory_full_info().pss for process in (here, *here.children(recursive=True)))) / 1e6


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(int, sys.argv[1:]))) + "\n")

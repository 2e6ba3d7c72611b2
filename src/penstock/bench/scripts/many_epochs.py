"""Whether memory stays as it is while epochs go by; see `penstock.bench._costs`. For Linux.

python -m penstock.bench.scripts.many_epochs WORKERS EPOCHS WARM_UP
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

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
    """Of this process and of those that it started; what several of them map counts once.

    Without the pages of files: the libraries' are shared with whatever else of Python runs on the machine, and our part
    of them went up and down by 3 % as others came and went.
    """
    gc.collect()
    here = psutil.Process()
    return sum(_used_kib(process.pid) for process in (here, *here.children(recursive=True))) * 1024 / 1e6


def _used_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(int, sys.argv[1:]))) + "\n")

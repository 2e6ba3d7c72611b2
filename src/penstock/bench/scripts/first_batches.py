"""How long a script waits for its first batches from processes; see `penstock.bench._costs`.

python -m penstock.bench.scripts.first_batches WORKERS
"""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter

import keras
import numpy as np

from penstock import feed
from penstock._types import Array

_BATCHES = 32


class Small(keras.utils.PyDataset):  # type: ignore[misc]
    """Of `__main__`, as users define theirs: worker processes get its code by value."""

    def __len__(self) -> int:
        return _BATCHES

    def __getitem__(self, number: int) -> tuple[Array, Array]:
        return np.full((4, 8), number, np.float32), np.full(4, os.getpid())


def main(workers: int) -> dict[str, float]:
    """Take an epoch and one batch more.

    Returns:
        Seconds to the first batch, and to the first that shows that every worker has made one; milliseconds to the
        second epoch's first batch, once it was asked for.
    """
    with feed(Small(), workers=workers, use_multiprocessing=True) as batches:
        began = perf_counter()
        makers = {int(next(batches)[1][0])}
        first_s, taken = perf_counter() - began, 1
        while len(makers) < workers:
            makers.add(int(next(batches)[1][0]))
            taken += 1
        all_s = perf_counter() - began
        while taken % _BATCHES:
            next(batches)
            taken += 1
        asked = perf_counter()
        next(batches)
        return {"first_s": first_s, "all_s": all_s, "next_epoch_ms": (perf_counter() - asked) * 1000}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))) + "\n")

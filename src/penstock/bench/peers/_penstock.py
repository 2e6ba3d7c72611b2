"""Ours, as a peer among peers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from penstock import feed
from penstock.bench._sequences import Stored
from penstock.bench._workloads import QUEUE_BATCHES, WORKERS, InFiles, InMemory


@contextmanager
def memory(data: InMemory, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From an array."""
    with data.penstock_flow(workers) as flow:
        yield iter(flow)


@contextmanager
def files(data: InFiles, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From class folders; from a cache once it holds them all."""
    keras.utils.disable_interactive_logging()  # it would say how many files it found
    with data.penstock_flow(workers) as flow:
        for _ in range(len(flow) if data.cache else 0):
            next(flow)
        yield iter(flow)


@contextmanager
def stored(data: Stored, workers: int = WORKERS) -> Iterator[Iterator[Any]]:
    """From a user's own object, by processes."""
    with feed(data, workers=workers, use_multiprocessing=True, max_queue_size=QUEUE_BATCHES) as batches:
        yield iter(batches)

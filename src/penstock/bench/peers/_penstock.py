"""Ours, as a peer among peers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from penstock.bench._workloads import WORKERS, InFiles, InMemory


@contextmanager
def memory(data: InMemory) -> Iterator[Iterator[Any]]:
    """From an array."""
    with data.penstock_flow(WORKERS) as flow:
        yield iter(flow)


@contextmanager
def files(data: InFiles) -> Iterator[Iterator[Any]]:
    """From class folders."""
    keras.utils.disable_interactive_logging()  # it would say how many files it found
    with data.penstock_flow(WORKERS) as flow:
        yield iter(flow)

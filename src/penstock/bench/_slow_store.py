"""Starts a store that answers late; see `scripts/slow_store.py`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.bench._errors import BenchError


@contextmanager
def slow_store(folder: Path, latency_s: float) -> Iterator[str]:
    """Its address. A process of its own, so that its work is not counted; it ends with our pipe, however we end.

    Args:
        folder: what it serves.
        latency_s: from a request to its answer.

    Raises:
        BenchError: it did not start.
    """
    command = [sys.executable, "-m", "penstock.bench.scripts.slow_store", str(folder), str(latency_s)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port.isdecimal():
            raise BenchError("the store did not start")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()

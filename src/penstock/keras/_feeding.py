"""The feeding keywords, checked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from penstock._types import Executor
from penstock.feeding._cpus import usable_cpus
from penstock.feeding.executors._serial import SerialExecutor
from penstock.feeding.executors._threads import ThreadExecutor
from penstock.keras._notice import notice

DEFAULT_TIMEOUT_S = 300.0
DEFAULT_QUEUE_SIZE = 10  # Keras's, too

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {f"{unit[0]}IB": 1024**power for power, unit in enumerate(("KB", "MB", "GB", "TB"), 1)}


@dataclass(frozen=True)
class Feeding:
    """How a flow makes its batches.

    Attributes:
        workers: threads or processes that make batches; 0 for the caller's thread.
        max_queue_size: batches ready ahead.
        max_queue_bytes: bound on their memory; None for none.
        use_multiprocessing: True for processes; None and False for threads.
        timeout_s: for one batch; None for no limit.
    """

    workers: int
    max_queue_size: int = 10
    max_queue_bytes: int | None = None
    use_multiprocessing: bool | None = None
    timeout_s: float | None = DEFAULT_TIMEOUT_S

    @classmethod
    def parse(
        cls, workers: Any, max_queue_size: Any, max_queue_bytes: Any, use_multiprocessing: Any, timeout: Any
    ) -> Feeding:
        """Check the keywords as the user gave them."""
        return cls(
            parse_workers(workers),
            parse_queue_size(max_queue_size),
            parse_bytes(max_queue_bytes),
            parse_multiprocessing(use_multiprocessing),
            parse_timeout(timeout),
        )

    @property
    def patience_s(self) -> float | None:
        """How long a consumer waits for a batch; processes are watched by what attends them, and replaced."""
        return None if self.use_multiprocessing else self.timeout_s

    def executor(self, beside: Executor | None = None) -> Executor:
        """A new executor that makes batches this way.

        Args:
            beside: another one, already started, that ends together with it; of processes they share large arrays.
        """
        if not self.workers:
            return SerialExecutor()
        if self.use_multiprocessing and os.name == "posix":
            # Here, since elsewhere some of what it imports is not there.
            from penstock.feeding.executors._processes import ProcessExecutor

            sharing = beside if isinstance(beside, ProcessExecutor) else None
            return ProcessExecutor(self.workers, self.timeout_s, sharing)
        if self.use_multiprocessing:
            notice("penstock: worker processes need Linux or macOS; threads make the batches.")
        return ThreadExecutor(self.workers)


def parse_workers(workers: Any) -> int:
    """Threads; "auto" is the usable CPUs: affinity and container quota count."""
    if workers == "auto":
        return usable_cpus()
    if not isinstance(workers, int | np.integer) or isinstance(workers, bool) or workers < 0:
        raise ValueError(f'`workers` should be "auto" or an integer from 0 on. Received: {workers!r}')
    return int(workers)


def parse_queue_size(max_queue_size: Any) -> int:
    """Batches, at least 1."""
    if not isinstance(max_queue_size, int | np.integer) or isinstance(max_queue_size, bool) or max_queue_size < 1:
        raise ValueError(f"`max_queue_size` should be an integer from 1 on. Received: {max_queue_size!r}")
    return int(max_queue_size)


def parse_bytes(size: Any) -> int | None:
    """Bytes from an integer or a text such as "2GB" or "512 MiB"."""
    if size is None:
        return None
    if isinstance(size, str) and (found := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?B)?\s*", size.upper())):
        unit = found[2] or ""
        return int(float(found[1]) * _UNITS["" if unit == "B" else unit])
    if isinstance(size, int | np.integer) and not isinstance(size, bool) and size > 0:
        return int(size)
    raise ValueError(f'`max_queue_bytes` should be a positive integer or a text like "2GB". Received: {size!r}')


def parse_multiprocessing(use_multiprocessing: Any) -> bool | None:
    """None, True or False."""
    if use_multiprocessing is not None and not isinstance(use_multiprocessing, bool | np.bool_):
        raise ValueError(f"`use_multiprocessing` should be None, True or False. Received: {use_multiprocessing!r}")
    return None if use_multiprocessing is None else bool(use_multiprocessing)


def parse_timeout(timeout: Any) -> float | None:
    """Seconds; None for no limit."""
    if timeout is None:
        return None
    if isinstance(timeout, int | float | np.number) and not isinstance(timeout, bool) and timeout > 0:
        return float(timeout)
    raise ValueError(f"`timeout` should be a positive number of seconds, or None. Received: {timeout!r}")


def check_batch_size(batch_size: Any) -> None:
    """A positive integer."""
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"`batch_size` should be a positive integer. Received: {batch_size!r}")

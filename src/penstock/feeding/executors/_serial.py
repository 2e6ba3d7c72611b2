"""Batches made in the caller's thread; nothing is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from penstock._pending import Pending
from penstock._types import Array, BatchMaker, FillReport, Step
from penstock.feeding._memory import private_memory
from penstock.feeding.executors._make import make


@final
class SerialExecutor:
    """Makes each batch when it is submitted, and leaves an interrupt to the caller."""

    workers = 0
    is_elsewhere = False
    why_silent = "its worker is still at it, or stuck in a function of yours."
    waits_for_lock = False
    worker_ids = ()

    def __init__(self) -> None:
        self._maker: BatchMaker | None = None

    def is_worker(self) -> bool:
        """See `Executor.is_worker`; there are none."""
        return False

    def start(self, maker: BatchMaker) -> None:
        """See `Executor.start`."""
        self._maker = maker

    def resize(self, workers: int) -> None:
        """See `Executor.resize`."""
        raise NotImplementedError

    def renew(self, maker: BatchMaker) -> None:
        """See `Executor.renew`."""
        self._maker = maker

    def is_outdated(self, maker: BatchMaker) -> bool:
        """See `Executor.is_outdated`."""
        del maker
        return False

    def allocate(self, nbytes: int) -> Array:
        """See `Executor.allocate`."""
        return private_memory(nbytes)

    def submit(self, step: Step, out: Sequence[Array]) -> Pending[FillReport]:
        """See `Executor.submit`."""
        assert self._maker is not None, "start() comes first"
        future: Pending[FillReport] = Pending()
        try:
            future.set_result(make(self._maker, step, out))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """See `Executor.close`."""
        self._maker = None

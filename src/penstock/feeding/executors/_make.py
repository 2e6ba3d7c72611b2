"""Making one batch, timed, wherever an executor does it."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from time import perf_counter, thread_time

from penstock._errors import BatchError
from penstock._types import Array, BatchMaker, FillReport, Step


def make(maker: BatchMaker, step: Step, out: Sequence[Array]) -> FillReport:
    """Read and fill one batch.

    Raises:
        BatchError: anything went wrong; it says where, and carries the traceback as text.
    """
    try:
        began, computed_s = perf_counter(), thread_time()
        blobs = maker.read(step)
        read_s = perf_counter() - began
        report = maker.fill(step, blobs, out)
    except BatchError as error:
        error.epoch, error.step = step.epoch, step.number
        error.traceback_text = traceback.format_exc()
        raise
    except Exception as error:
        raise BatchError(
            f"{step} could not be made: {type(error).__name__}: {error}",
            epoch=step.epoch,
            step=step.number,
            traceback_text=traceback.format_exc(),
        ) from error
    return report.timed(read_s, thread_time() - computed_s)

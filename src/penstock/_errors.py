"""The error tree.

    PenstockError
    ├── BatchError(RuntimeError)      a batch or a sample could not be made
    │   └── ImageError                a file that is gone, no image, cut short, or too large
    ├── WorkerError(RuntimeError)     a worker died or stalled
    ├── FlowClosed(RuntimeError)      you closed it
    └── StoreError(RuntimeError)      a store of runs is not there, of another version, or does not answer

Bad arguments are plain `ValueError` and `TypeError`. Running out is `StopIteration`.
"""

from __future__ import annotations


class PenstockError(Exception):
    """Everything penstock raises on its own account, bad arguments aside."""


class BatchError(PenstockError, RuntimeError):
    """A batch could not be made.

    Attributes:
        epoch: the epoch of the batch, from 0; None where it is not known yet.
        step: the batch's number within its epoch, from 0.
        index: the sample's number in its source; None if no single sample is to blame.
        path: the sample's file; None for arrays.
        traceback_text: the worker's traceback.
    """

    def __init__(
        self,
        message: str,
        *,
        epoch: int | None = None,
        step: int | None = None,
        index: int | None = None,
        path: str | None = None,
        traceback_text: str = "",
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.index = index
        self.path = path
        self.traceback_text = traceback_text


class ImageError(BatchError):
    """A file is gone, may not be read, is no image, is cut short, or holds more pixels than Pillow's limit allows."""


class WorkerError(PenstockError, RuntimeError):
    """A worker died or made no progress in time."""


class FlowClosed(PenstockError, RuntimeError):
    """The flow was closed; make a new one to go on."""


class StoreError(PenstockError, RuntimeError):
    """A store of runs is not there, not to be written to, of another version, or does not answer."""

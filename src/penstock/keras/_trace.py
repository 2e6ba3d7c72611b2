"""Spans by which a back end's own profiler shows what a feed does."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras

from penstock._types import Trace


def trace_for_backend() -> Trace:
    """A span by its name, for the profiler of Keras's back end; nothing where it has none.

    While no profiler runs, one costs 0.25 us with JAX, 0.29 us with TensorFlow and 0.4 us with torch, about as much as
    nothing does in Python (0.26 us). A batch has two: one where it is waited for, and one where a thread makes it.
    """
    trace: Trace = nullcontext
    backend = keras.backend.backend()
    if backend == "jax":
        from jax.profiler import TraceAnnotation

        trace = TraceAnnotation
    elif backend == "tensorflow":
        import tensorflow as tf

        trace = tf.profiler.experimental.Trace
    elif backend == "torch":
        trace = _trace_for_torch()
    return trace


def _trace_for_torch() -> Trace:
    import torch
    from torch.autograd import profiler

    span = torch.profiler.record_function

    def trace(name: str) -> AbstractContextManager[Any]:
        # A span of torch's takes 7 us, whether anybody profiles or not.
        made: AbstractContextManager[Any] = span(name) if profiler._is_profiler_enabled else nullcontext()
        return made

    return trace

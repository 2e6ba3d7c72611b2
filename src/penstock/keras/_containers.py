"""Batches in containers that Keras's back ends take."""

from __future__ import annotations

from typing import Any

import keras


def for_keras(batch: Any) -> Any:
    """The batch as Keras is to get it: TensorFlow's datasets know tuples and dicts, but no lists."""
    return _without_lists(batch) if keras.backend.backend() == "tensorflow" else batch


def _without_lists(batch: Any) -> Any:
    if isinstance(batch, dict):
        return {key: _without_lists(part) for key, part in batch.items()}
    return tuple(map(_without_lists, batch)) if isinstance(batch, tuple | list) else batch

"""Keras, loaded for a command: on a back end that is there, and quiet."""

from __future__ import annotations

import os
from typing import Any

from penstock.cli._ctrl_c import deferred_ctrl_c
from penstock.cli._endings import CommandError


def load_keras() -> Any:
    """Import Keras, which takes seconds, and set it up as penstock's commands count on it.

    Returns:
        The module.

    Raises:
        CommandError: KERAS_BACKEND names no back end.
        ModuleNotFoundError: the back end is not installed.
        KeyboardInterrupt: on Ctrl-C, once Keras is imported.
    """
    # Keras reads its back end's name when it is imported; hence not at the top.
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with deferred_ctrl_c():
            import keras
    except ValueError:
        backend = os.environ["KERAS_BACKEND"]
        raise CommandError(f"KERAS_BACKEND should be a back end that Keras has. Received: {backend!r}") from None

    keras.config.disable_interactive_logging()  # or every flow would say how many images it found
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    return keras

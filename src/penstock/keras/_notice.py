"""One line to the user, where Keras would print its own."""

from __future__ import annotations

import logging
import sys

import keras


def notice(text: str, *, aloud: bool | None = None) -> None:
    """Print a line, or log it where the user has turned Keras's printing off.

    Args:
        aloud: whether to print; None to ask Keras, which knows it for the calling thread alone.
    """
    if keras.config.is_interactive_logging_enabled() if aloud is None else aloud:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    else:
        logging.getLogger("penstock").info(text)

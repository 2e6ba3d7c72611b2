"""One line to the user, where Keras would print its own."""

from __future__ import annotations

import logging
import sys

import keras


def notice(text: str) -> None:
    """Print a line, or log it where the user has turned Keras's printing off."""
    if keras.config.is_interactive_logging_enabled():
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    else:
        logging.getLogger("penstock").info(text)

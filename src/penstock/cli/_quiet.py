"""Decoders that keep what they think of a file to themselves."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Show neither warnings nor what is written to the process's standard error.

    Pillow warns of many files that it reads. libtiff writes its words from C, a hundred lines for a damaged file, into
    whatever else a terminal shows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kept = os.dup(2)
        except OSError:  # there is none
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, 2)
            finally:
                os.close(nowhere)
            yield
        finally:
            with suppress(OSError):
                os.dup2(kept, 2)
            os.close(kept)

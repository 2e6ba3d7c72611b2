"""Read first by every program that tests start: Keras loads in two thirds of the time, and TensorFlow not beside JAX.

Keras and TensorFlow import what is installed of these, for parts that nothing here uses, and do without where it is
not. Everybody else finds them.
"""

from __future__ import annotations

import os
import sys
from typing import Any

SPARED = {"keras": ("sklearn", "matplotlib", "tensorflow"), "tensorflow": ("jax",)}


class Spared:
    """A finder that finds nothing, and says so to those who need not know better."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if not any(name in names for names in SPARED.values()):
            return
        if name == "tensorflow" and os.environ.get("KERAS_BACKEND") not in ("jax", "torch"):
            return
        if name in SPARED.get(importer(), ()):
            raise ModuleNotFoundError(f"No module named {name!r}, for {importer()}", name=name)


def importer() -> str:
    """The package that imports something now."""
    name, frame = "importlib", sys._getframe(1)
    while frame and name in ("importlib", "_frozen_importlib", __name__):
        name, frame = frame.f_globals.get("__name__", "").partition(".")[0], frame.f_back
    return name


sys.meta_path.insert(0, Spared())

"""The same warp in C++, compiled here and now: what the kernels are measured against."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from penstock._types import Array
from penstock.bench._errors import BenchError

COMPILER = ("g++", "-O3", "-march=native", "-fno-trapping-math", "-shared", "-fPIC")

Warp = Callable[[Array, Array, Array], None]
"""Warps uint8 `(images, height, width, 3)` by `(images, 8)` rows of `affine_rows` into float32."""


def yardstick(source: Path) -> Warp:
    """Compile `benchmarks/yardstick/warp.cpp`, and load it.

    Raises:
        BenchError: there is no compiler, or it refuses the file.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-yardstick-") as folder:
        library = Path(folder, "warp.so")
        try:
            done = subprocess.run([*COMPILER, "-o", library, source], capture_output=True, text=True)
        except FileNotFoundError as error:
            raise BenchError(f"the yardstick {source} is compiled by {COMPILER[0]}, which is not installed") from error
        if done.returncode:
            raise BenchError(f"{' '.join(COMPILER)} {source} should make a library, and says:\n{done.stderr}")
        function = ctypes.CDLL(str(library)).warp_rgb  # it stays loaded when the file is gone
    function.restype = None
    zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)

    def warp(images: Array, affines: Array, out: Array) -> None:
        count, height, width, _ = images.shape
        function(
            ctypes.c_void_p(images.ctypes.data),
            count,
            height,
            width,
            ctypes.c_void_p(affines.ctypes.data),
            ctypes.c_float(1),
            ctypes.c_void_p(zeros.ctypes.data),
            ctypes.c_void_p(ones.ctypes.data),
            ctypes.c_void_p(out.ctypes.data),
        )

    return warp

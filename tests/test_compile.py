"""Kernels, compiled and cached."""

from __future__ import annotations

from typing import Any

import numba
import pytest

from penstock._compile import compiled
from penstock.image import _huffman, _jpeg_eighth, _jpeg_means, _kernels
from penstock.sources import _read


def test_where_no_cache_can_be_written_kernels_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def njit(*arguments: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*arguments, **options)

    monkeypatch.setattr(numba, "njit", njit)
    with pytest.warns(UserWarning, match=r"cannot be cached \(cannot cache function.* Set NUMBA_CACHE_DIR"):

        @compiled()
        def double(x: Any) -> Any:
            return 2 * x

    assert double(3) == 6


def test_every_kernel_has_the_same_options_and_none_has_fastmath() -> None:
    modules = (_kernels, _huffman, _jpeg_eighth, _jpeg_means, _read)
    kernels = {value for module in modules for value in vars(module).values() if hasattr(value, "targetoptions")}
    assert len(kernels) > 20
    for kernel in kernels:
        options = dict(kernel.targetoptions)
        options.pop("nogil")
        options.pop("inline", None)
        assert options == {"nopython": True, "boundscheck": None, "error_model": "numpy"}, kernel

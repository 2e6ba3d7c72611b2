"""The one door to Numba, with the compile options and their reasons."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba


def compiled(*, nogil: bool = True) -> Callable[[Any], Any]:
    """Compile a function on its first call.

    Cached on disk, so that only the first process waits; C division, since a zero divisor is data and no error; no
    fastmath, with which results differ between x86-64 levels; no `parallel`, which aborts the process when several
    Python threads call in.

    Args:
        nogil: give up the interpreter lock while it runs. What takes microseconds keeps it: beside a busy Python
            thread it takes up to 5 ms to get it back.
    """

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(nogil=nogil, cache=True, error_model="numpy")(function)
        except RuntimeError as error:  # Numba found no folder that it may write its cache to
            warnings.warn(
                f"penstock compiles its kernels anew in every process, since they cannot be cached ({error}). "
                "Set NUMBA_CACHE_DIR to a folder that can be written.",
                stacklevel=2,
            )
            return numba.njit(nogil=nogil, error_model="numpy")(function)

    return decorate


def external(name: str, result: str, *arguments: str) -> Any:
    """A function of the C library, to be called from compiled code.

    Args:
        name: of the symbol.
        result, arguments: Numba's names of the types, such as "int32" or "voidptr".
    """
    return numba.types.ExternalFunction(
        name, getattr(numba.types, result)(*(getattr(numba.types, argument) for argument in arguments))
    )

"""The one door to Numba, with the compile options and their reasons."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic


def compiled(*, nogil: bool = True, inline: bool = False) -> Callable[[Any], Any]:
    """Compile a function on its first call.

    Cached on disk, so that only the first process waits; C division, since a zero divisor is data and no error; no
    fastmath, with which results differ between x86-64 levels; no `parallel`, which aborts the process when several
    Python threads call in.

    Args:
        nogil: give up the interpreter lock while it runs. What takes microseconds keeps it: beside a busy Python
            thread it takes up to 5 ms to get it back.
        inline: put it where it is called, `nogil` or not. A call counts references to its arrays, 10 ns for each.
    """
    options = {"nogil": nogil, "error_model": "numpy"} | ({"inline": "always"} if inline else {})

    def decorate(function: Any) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:  # Numba found no folder that it may write its cache to
            warnings.warn(
                f"penstock compiles its kernels anew in every process, since they cannot be cached ({error}). "
                "Set NUMBA_CACHE_DIR to a folder that can be written.",
                stacklevel=2,
            )
            return numba.njit(**options)(function)

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


def _word_at(_context: Any, address: Any, offset: Any) -> Any:
    """The eight bytes from a place in memory on, the first one uppermost; two instructions, where shifts take 15.

    Whoever calls it sees to it that there are eight. Bytes are turned round, as little-endian machines need it, which
    are all that Numba compiles for.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(builder.add(*arguments), ir.IntType(64).as_pointer())
        return builder.bswap(builder.load(place, align=1))

    return numba.types.uint64(address, offset), generate


word_at: Any = intrinsic(_word_at)

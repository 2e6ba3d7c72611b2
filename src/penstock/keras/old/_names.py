"""Keras 1's names of arguments."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Samples:
    """A number of samples where steps are due: Keras 1 counted samples.

    Attributes:
        count: how many.
    """

    count: Any


def with_old_names(names: Mapping[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function be called by other names of its arguments as well, which is noted with a `DeprecationWarning`.

    What comes by an old name with "samples" in it is handed on as `Samples`.

    Args:
        names: old name to the function's own.

    Example:
        >>> @with_old_names({"nb_epoch": "epochs"})
        ... def train(epochs=1):
        ...     return epochs
        >>> train(epochs=3)
        3
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = list(inspect.signature(function).parameters)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            new: Any = _renamed(function.__name__, parameters, names, len(args), kwargs)
            return function(*args, **new)

        return called

    return decorate


def _renamed(
    function: str, parameters: Sequence[str], names: Mapping[str, str], positional: int, given: Mapping[str, Any]
) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    used = []
    for name, value in given.items():
        if name in parameters:
            renamed[name] = value
            continue
        if name not in names:
            known = [*parameters[1:], *names]
            nearest = get_close_matches(name, known, n=1, cutoff=0)[0]
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}. Did you mean {nearest!r}? "
                f"It takes: {', '.join(parameters)}"
            )
        own = names[name]
        if own in given or own in parameters[:positional]:
            raise TypeError(f"{function}() got both `{own}` and `{name}`, its name in Keras 1. Give `{own}` only.")
        renamed[own] = Samples(value) if "samples" in name and value is not None else value
        used.append(f"`{own}` for `{name}`" + (", in batches" if isinstance(renamed[own], Samples) else ""))
    if used:
        warnings.warn(
            f"{function}() was called by names of Keras 1. Use {'; '.join(used)}.", DeprecationWarning, stacklevel=3
        )
    return renamed

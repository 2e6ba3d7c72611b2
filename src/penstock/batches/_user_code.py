"""A user's function, with what it draws from made to follow from seed, epoch and number."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from penstock.image._draw import Domain, philox


def seed_globals(seed: int, epoch: int, number: int, pipelines: tuple[Any, ...] = ()) -> None:
    """Seed what a user's code may draw from; about 15 us.

    Only for a process that makes one batch at a time: threads share these generators.

    Args:
        number: of the sample or the batch.
        pipelines: generators of the code's own, as `pipelines_in` finds them.
    """
    word = int(philox(seed, Domain.user_seeds, epoch, number).random_raw())
    random.seed(word)
    np.random.seed([word & 0xFFFFFFFF, word >> 32])
    for pipeline in pipelines:
        if isinstance(pipeline, random.Random):
            pipeline.seed(word)
        elif isinstance(pipeline, np.random.RandomState):
            pipeline.seed([word & 0xFFFFFFFF, word >> 32])
        elif isinstance(pipeline, np.random.Generator):
            pipeline.bit_generator.state = type(pipeline.bit_generator)(word).state
        else:
            pipeline.set_random_seed(word & 0x7FFFFFFF)


def pipelines_in(function: Any) -> tuple[Any, ...]:
    """Random generators, and Albumentations pipelines or whatever has a `set_random_seed`, that a function refers to.

    Found in what it closes over, the globals that its code names, the arguments of a `partial`, and the attributes of
    an object that is called or that a method belongs to.
    """
    found: list[Any] = []
    for value in _references(function):
        is_generator = isinstance(value, random.Random | np.random.RandomState | np.random.Generator)
        if (is_generator or callable(getattr(value, "set_random_seed", None))) and not any(
            value is one for one in found
        ):
            found.append(value)
    return tuple(found)


def _references(function: Any) -> Iterator[Any]:
    yield function
    if isinstance(function, partial):
        for part in (function.func, *function.args, *function.keywords.values()):
            yield from _references(part)
        return
    owner = getattr(function, "__self__", None)
    code = getattr(function, "__code__", None)
    if code is None:
        owner, function = function, vars(type(function)).get("__call__")
        code = getattr(function, "__code__", None)
    if owner is not None:
        yield from vars(owner).values() if hasattr(owner, "__dict__") else ()
    if code is None:
        return
    yield from (getattr(function, "__defaults__", None) or ())
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    for name in code.co_names:
        if name in function.__globals__:
            yield function.__globals__[name]


def seeded_by_sample(function: Callable[..., Any], seed: int, epoch: int, indices: Iterator[int]) -> Any:
    """The function for one batch: before each call, generators are seeded for the next of the samples."""
    pipelines = pipelines_in(function)

    def call(*arguments: Any) -> Any:
        seed_globals(seed, epoch, next(indices), pipelines)
        return function(*arguments)

    return call

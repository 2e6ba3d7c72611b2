"""What one generator yields, one after the other, and begun again."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, final

import numpy as np

from penstock._errors import BatchError
from penstock.batches._sequence import check_batch
from penstock.batches._structure import Structure, flatten
from penstock.batches._user_code import pipelines_in, seed_globals


class Item(NamedTuple):
    """A batch, taken apart; or the end of a generator."""

    structure: Structure
    leaves: list[Any]


END = Item(Structure(type(None)), [])
"""What follows a generator's last batch."""


@final
class Part:
    """Item number n is the n-th that a generator gives: its batches, END, the batches of the next one, END...

    Args:
        start: makes the generator.
        arguments: that it is called with: a part's number and how many parts there are, or nothing.
        again: call `start` anew when a generator has ended; else END follows for ever.
        seed: for what the code draws from global generators.
    """

    def __init__(
        self, start: Callable[..., Iterator[Any]], arguments: tuple[int, ...] = (), *, again: bool, seed: int
    ) -> None:
        self.again = again
        self._start = start
        self._arguments = arguments
        self._seed = seed
        self._is_alone = False
        # A worker that is being replaced may still wait for the user's code, which two must not run.
        self._lock = threading.RLock()
        self._batches: Iterator[Any] | None = None
        self._made = 0
        self._yielded = 0  # by this generator
        # Asked for again, as after an interrupt or by other workers, an item has to be the same one.
        self._kept: dict[int, Item] = {}
        self._failure: BatchError | None = None

    def __getstate__(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"_batches": None, "_made": 0, "_yielded": 0, "_kept": {}, "_failure": None}
        return {**self.__dict__, **fresh}

    def alone(self) -> Part:
        """The same for a process of its own, where it seeds global generators, and is asked for each item once."""
        part = Part(self._start, self._arguments, again=self.again, seed=self._seed)
        part._is_alone = True
        return part

    def __str__(self) -> str:
        if not self.again:
            return "the generator"
        name = getattr(self._start, "__qualname__", type(self._start).__name__)
        return f"part {self._arguments[0]} of `{name}`" if self._arguments else f"`{name}`"

    def item(self, number: int) -> Item:
        """An item. A generator that is new, as in a process that replaces another, is asked for those before it, too.

        Raises:
            BatchError: the generator has failed, here or at an item before; it cannot go on.
        """
        with self._lock:
            if number in self._kept:
                return self._kept[number]
            if number < self._made:  # after one that took too long, a new process began with a later one
                self._begin_anew()
            item = END
            while self._made <= number:
                item = self._next()
                if self._made == number and not self._is_alone:
                    self._kept[number] = item
                self._made += 1
            return item

    def forget(self, number: int) -> None:
        """An item has been delivered. Takes no lock, which the user's code may hold for long."""
        self._kept.pop(number, None)

    def _next(self) -> Item:
        if self._failure is not None:  # a generator that has failed ends, and that would pass for its end
            raise copy.copy(self._failure)
        if self._is_alone:
            seed_globals(
                self._seed, self._arguments[0] if self._arguments else 0, self._made, pipelines_in(self._start)
            )
        try:
            if self._batches is None:
                self._batches = iter(self._start(*self._arguments))
            batch = next(self._batches)
            check_batch(batch, f"batch {self._yielded} of {self}")
        except StopIteration:
            if self.again:
                self._batches, self._yielded = None, 0
            return END
        except KeyboardInterrupt as interrupt:  # nothing is wrong, but a generator has ended by this
            if self.again:
                self._begin_anew()
            elif isinstance(self._batches, Generator):
                self._failure = self._failed(interrupt)
            raise
        except BaseException as error:
            failed = self._failed(error)
            self._failure = copy.copy(failed)  # without the traceback, whose frames hold the batch's memory
            raise failed from error
        self._yielded += 1
        structure, leaves = flatten(batch)
        if not self._is_alone:  # old recipes refill one array for each batch, and would overwrite what is kept
            leaves = [np.array(leaf) if isinstance(leaf, np.ndarray) else leaf for leaf in leaves]
        return Item(structure, leaves)

    def _begin_anew(self) -> None:
        self._batches, self._made, self._yielded, self._failure = None, 0, 0, None

    def _failed(self, error: BaseException) -> BatchError:
        """What went wrong; a new error each time, since each is told where it was raised."""
        if isinstance(error, BatchError) and type(error).__module__ == BatchError.__module__:
            again = copy.copy(error)
            if str(self) not in str(error):
                again.add_note(f"This was batch {self._yielded} of {self}.")
            return again
        return BatchError(f"batch {self._yielded} of {self} could not be made: {type(error).__name__}: {error}")

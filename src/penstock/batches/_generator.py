"""Batches that generators yield, in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import final

from penstock._types import Array, Blobs, FillReport, Step
from penstock.batches._part import END, Item, Part
from penstock.batches._rotation import Rotation
from penstock.batches._sequence import report_of


@final
class GeneratorBatches:
    """Item number n is the n-th that parts give in rotation; one worker at a time can make them, in their order.

    Args:
        parts: by number.
        rotation: of these parts, at item 0.
    """

    spec = None
    is_joinable = False

    def __init__(self, parts: Mapping[int, Part], rotation: Rotation) -> None:
        self._parts = parts
        self._first = rotation
        self._rotation = rotation
        self._made = 0
        self._places: dict[int, tuple[Part, int]] = {}  # where items not delivered yet are kept
        self._is_alone = False

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_rotation": self._first, "_made": 0, "_places": {}}

    def alone(self) -> GeneratorBatches:
        """See `BatchMaker.alone`. The generators begin anew, and what they yielded before is passed over."""
        maker = GeneratorBatches({number: part.alone() for number, part in self._parts.items()}, self._first)
        maker._is_alone = True
        return maker

    def read(self, step: Step) -> Blobs:
        """See `BatchMaker.read`; a generator does both."""
        return None

    def fill(self, step: Step, blobs: Blobs, out: Sequence[Array]) -> FillReport:
        """See `BatchMaker.fill`. What does not fit into `out` is returned as it is."""
        began = perf_counter()
        item = self._item(step.number)
        if item is END:
            return FillReport(0, {}, objects=[], structure=END.structure)
        return report_of(item.structure, item.leaves, out, began)

    def forget(self, number: int) -> None:
        """An item has been delivered, and will not be asked for again."""
        place = self._places.pop(number, None)
        if place is not None:
            part, its_number = place
            part.forget(its_number)

    def _item(self, number: int) -> Item:
        if number in self._places:
            part, its_number = self._places[number]
            return part.item(its_number)
        if number < self._made:  # see `Part.item`
            self._rotation, self._made = self._first, 0
        item = END
        while self._made <= number:
            rotation = self._rotation
            part, its_number = self._parts[rotation.part], rotation.given[rotation.part]
            item = part.item(its_number)
            if not self._is_alone:
                self._places[self._made] = part, its_number
            self._rotation = rotation.after_end() if item is END else rotation.after_batch()
            self._made += 1
        return item

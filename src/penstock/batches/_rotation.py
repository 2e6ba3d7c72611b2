"""Parts that take turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rotation:
    """Whose turn it is among parts that give one item after the other: their batches, and word of their end.

    In a pass each part gives one batch in its turn. One that has ended is left out; when all have, the next pass begins
    with all of them. Of this order some of the parts make their own by leaving out the others.

    Attributes:
        given: items that each part has given so far, by the part's number.
        live: the parts that have not ended in this pass, in order.
        turn: whose turn it is, among `live`.
        batches: given in this pass.

    Example:
        >>> three = Rotation.of(range(3)).after_batch().after_end()
        >>> three.part, three.live, three.among([0, 1]).part
        (2, (0, 2), 0)
    """

    given: Mapping[int, int]
    live: tuple[int, ...]
    turn: int = 0
    batches: int = 0

    @classmethod
    def of(cls, parts: Iterable[int]) -> Rotation:
        """The first part's turn; none has given anything."""
        given = dict.fromkeys(parts, 0)
        return cls(given, tuple(given))

    @property
    def part(self) -> int:
        """The part whose turn it is."""
        return self.live[self.turn]

    @property
    def is_at_last_part(self) -> bool:
        """Whether the pass ends with the part whose turn it is."""
        return len(self.live) == 1

    def after_batch(self) -> Rotation:
        """Once the part has given a batch."""
        turn = (self.turn + 1) % len(self.live)
        return replace(self, given=self._given_one_more(), turn=turn, batches=self.batches + 1)

    def after_end(self) -> Rotation:
        """Once the part has said that it has ended."""
        given = self._given_one_more()
        if self.is_at_last_part:
            return Rotation(given, tuple(given))
        live = self.live[: self.turn] + self.live[self.turn + 1 :]
        return replace(self, given=given, live=live, turn=self.turn % len(live))

    def among(self, parts: Iterable[int]) -> Rotation:
        """The same order with some of the parts only; if all of these have ended, they wait for the next pass."""
        given = {part: self.given[part] for part in parts}
        live = tuple(part for part in self.live if part in given)
        following = next((k for k, part in enumerate(live) if part >= self.part), 0)
        return Rotation(given, live or tuple(given), following)

    def since(self, before: Rotation) -> int:
        """Items that the parts of an earlier one have given since then."""
        return sum(self.given[part] - given for part, given in before.given.items())

    def _given_one_more(self) -> dict[int, int]:
        return {**self.given, self.part: self.given[self.part] + 1}

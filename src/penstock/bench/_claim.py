"""What a row is to show: two sides compared, or the cost of one."""

from __future__ import annotations

from dataclasses import dataclass

SPEED_UP, PEER, SHARE, EXTRA, COST = "speed-up", "peer", "share", "extra", "cost"
KINDS = (SPEED_UP, PEER, SHARE, EXTRA, COST)
LESS_IS_BETTER = frozenset({EXTRA, COST})


@dataclass(frozen=True)
class Claim:
    """Two sides of a row compared, or one side's cost.

    Attributes:
        title: what is compared, in words.
        side, against: names of the sides; where there are several to compare with, the best of them counts.
        kind: "speed-up" over Keras, the same over another library's "peer", and "share" of another feed of ours are
            ratios of medians, the more the better; "extra" is a difference of medians, and "cost" a median that is
            compared with nothing, the less the better.
        target: what it should reach; None where it is only reported.
    """

    title: str
    side: str
    against: str | tuple[str, ...]
    kind: str
    target: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"`kind` should be one of {KINDS}. Received: {self.kind!r}")

    @classmethod
    def cost(cls, title: str, side: str, target: float | None = None) -> Claim:
        """What one side costs, in its own unit."""
        return cls(title, side, side, COST, target)

    def value(self, side: float, against: float) -> float:
        """The ratio, the difference or the cost."""
        if self.kind == COST:
            return side
        return side - against if self.kind == EXTRA else side / against

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the target; None where there is none."""
        if self.target is None:
            return None
        return value <= self.target if self.kind in LESS_IS_BETTER else value >= self.target

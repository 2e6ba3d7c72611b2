"""Where a flow is, as a value that another process goes on from."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

STATE_VERSION = 1


@dataclass(frozen=True)
class FlowState:
    """A position that holds no worker count and no batch size.

    Attributes:
        seed: of the flow.
        epoch: from 0.
        samples: delivered in that epoch.
        fingerprint: of the data that it belongs to.
        version: of this layout.
    """

    seed: int
    epoch: int
    samples: int
    fingerprint: str
    version: int = STATE_VERSION

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which can be written as JSON."""
        return asdict(self)

    @classmethod
    def parse(cls, state: Any) -> FlowState:
        """From what `as_dict` gave.

        Raises:
            ValueError: it is something else, or of another version.
        """
        wanted = sorted(cls.__dataclass_fields__)
        if not isinstance(state, dict) or sorted(state) != wanted:
            raise ValueError(f"A state should be a dict with the keys {wanted}. Received: {state!r}")
        if state["version"] != STATE_VERSION:
            raise ValueError(f"A state should have version {STATE_VERSION}. Received: {state['version']!r}")
        return cls(**state)


def fingerprint(*settings: Any) -> str:
    """A short text for values whose `repr` is the same in every process."""
    return hashlib.blake2b(repr(settings).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

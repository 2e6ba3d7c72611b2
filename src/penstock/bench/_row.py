"""A row before it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from penstock.bench._claim import Claim
from penstock.bench._measure import Pace, Side
from penstock.bench._photographs import Contents
from penstock.bench._workloads import QUEUE_BATCHES, InFiles


@dataclass(frozen=True)
class Row:
    """Sides that are measured in turn, and the claims about them; see `RowRecord`."""

    name: str
    title: str
    sides: tuple[Side, ...]
    claims: tuple[Claim, ...]
    settings: Mapping[str, Any]
    note: str = ""


def pace_of(workers: int) -> Pace:
    """How batches are counted that so many workers make, with our usual queue."""
    return Pace(lanes=workers, ahead=QUEUE_BATCHES)


def file_settings(data: InFiles) -> dict[str, Any]:
    """What a record says of files: the folder's name and what is in it."""
    return {**asdict(data), "folder": data.folder.name, **asdict(Contents.of(data.folder))}

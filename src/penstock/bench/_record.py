"""What came out of a run: settings, machine and every single reading, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penstock.bench._claim import LESS_IS_BETTER, Claim
from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine
from penstock.bench._measure import Reading, Summary

VERSION = 1


@dataclass(frozen=True)
class SideRecord:
    """One side's readings, one per round."""

    name: str
    unit: str
    readings: tuple[Reading, ...]

    @property
    def summary(self) -> Summary:
        """Median and spread."""
        return Summary.of([reading.value for reading in self.readings])


@dataclass(frozen=True)
class Verdict:
    """What became of a claim.

    Attributes:
        value: from the medians.
        lowest, highest: of the single rounds.
        is_met: None without a target.
        unstable: either side was.
    """

    value: float
    lowest: float
    highest: float
    is_met: bool | None
    unstable: bool


@dataclass(frozen=True)
class RowRecord:
    """One row: what was measured, how, and what it is to show.

    Attributes:
        name: as `--rows` takes it. title: for the table.
        note: what one should know to read the numbers.
        settings: of data and generators.
        sides, claims: measured, and compared.
    """

    name: str
    title: str
    note: str
    settings: Mapping[str, Any]
    sides: tuple[SideRecord, ...]
    claims: tuple[Claim, ...]

    def side(self, name: str) -> SideRecord:
        """The side of that name."""
        for side in self.sides:
            if side.name == name:
                return side
        raise ValueError(f"row {self.name!r} should have a side {name!r}. Found: {[side.name for side in self.sides]}")

    def against(self, claim: Claim) -> SideRecord:
        """What a claim of this row compares with: of several sides, the one with the best median."""
        names = (claim.against,) if isinstance(claim.against, str) else claim.against
        best = min if claim.kind in LESS_IS_BETTER else max
        return best((self.side(name) for name in names), key=lambda side: side.summary.median)

    def verdict(self, claim: Claim) -> Verdict:
        """What became of a claim of this row."""
        side, against = self.side(claim.side), self.against(claim)
        value = claim.value(side.summary.median, against.summary.median)
        by_round = [
            claim.value(mine.value, other.value) for mine, other in zip(side.readings, against.readings, strict=True)
        ]
        unstable = side.summary.unstable or against.summary.unstable
        return Verdict(value, min(by_round), max(by_round), claim.is_met(value), unstable)


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        machine: where.
        settings: of the run: rounds, seconds, quick or not.
        wall_s: of the whole run.
        rows: what was measured.
    """

    machine: Machine
    settings: Mapping[str, Any]
    wall_s: float
    rows: tuple[RowRecord, ...]

    def to_json(self) -> str:
        """With medians and verdicts beside the readings, for readers without this package."""
        rows = []
        for row in self.rows:
            sides = [asdict(side) | {"summary": asdict(side.summary)} for side in row.sides]
            claims = [asdict(claim) | {"verdict": asdict(row.verdict(claim))} for claim in row.claims]
            rows.append({**asdict(row), "sides": sides, "claims": claims})
        whole = {
            "version": VERSION,
            "machine": asdict(self.machine),
            "settings": dict(self.settings),
            "wall_s": round(self.wall_s, 1),
            "rows": rows,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Read a record; medians and verdicts follow from the readings again.

        Raises:
            BenchError: this is no record, or one of another version.
        """
        try:
            whole = json.loads(text)
            if whole["version"] != VERSION:
                raise ValueError(f"version {whole['version']}, where {VERSION} is known")
            rows = tuple(_row(row) for row in whole["rows"])
            return cls(Machine(**whole["machine"]), whole["settings"], whole["wall_s"], rows)
        except (KeyError, TypeError, ValueError) as error:
            raise BenchError(f"this is no record of penstock.bench ({type(error).__name__}: {error})") from error

    def save(self, path: Path) -> None:
        """Write it."""
        path.write_text(self.to_json(), "utf-8")

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read a file."""
        return cls.from_json(path.read_text("utf-8"))


def _row(row: Mapping[str, Any]) -> RowRecord:
    sides = tuple(
        SideRecord(
            side["name"],
            side["unit"],
            tuple(Reading(**{**reading, "parts": tuple(reading["parts"])}) for reading in side["readings"]),
        )
        for side in row["sides"]
    )
    claims = tuple(map(_claim, row["claims"]))
    return RowRecord(row["name"], row["title"], row["note"], row["settings"], sides, claims)


def _claim(claim: Mapping[str, Any]) -> Claim:
    many = {"against": tuple(claim["against"])} if isinstance(claim["against"], list) else {}
    return Claim(**{name: claim[name] for name in Claim.__dataclass_fields__} | many)

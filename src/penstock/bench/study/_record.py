"""What came out of a study: settings, machine, versions and every single reading, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine
from penstock.bench.study._findings import Findings, Measured
from penstock.bench.study._gauges import PieceReading
from penstock.bench.study._setting import Setting

MADE_BY = "penstock bench"
VERSION = 1
IMAGES, TRAIN = "images", "train"


@dataclass(frozen=True)
class StudyRecord:
    """One run.

    Attributes:
        machine: where.
        experiment: "images" or "train".
        data: what was fed, in words.
        devices: what Keras trains on, in words; "" where nothing was trained.
        settings: of the run.
        findings: what was measured.
        wall_s: of the whole run.
        is_complete: whether it ended by itself.
    """

    machine: Machine
    experiment: str
    data: str
    devices: str
    settings: Mapping[str, Any]
    findings: Findings
    wall_s: float
    is_complete: bool

    @property
    def title(self) -> str:
        """In words.

        Example: "Generating images and training: CIFAR-10, 50,000 images in memory".
        """
        what = "Generating images and training" if self.experiment == TRAIN else "Generating images"
        return f"{what}: {self.data}"

    def to_json(self) -> str:
        """With medians and speed-ups beside the readings, for readers without this package."""
        measured = []
        for each in self.findings.measured:
            speed_up = self.findings.speed_up(each)
            measured.append(
                {
                    **asdict(each),
                    "label": each.setting.label,
                    "summary": asdict(each.summary),
                    "speed_up": None if speed_up is None else asdict(speed_up),
                    "wait_share": each.wait_share,
                }
            )
        whole = {
            "made_by": MADE_BY,
            "version": VERSION,
            "experiment": self.experiment,
            "data": self.data,
            "devices": self.devices,
            "machine": asdict(self.machine),
            "settings": dict(self.settings),
            "wall_s": round(self.wall_s, 1),
            "is_complete": self.is_complete,
            "closing": self.findings.closing_lines(),
            "warnings": self.findings.warnings(),
            "measured": measured,
        }
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> StudyRecord:
        """Read a record; medians and speed-ups follow from the readings again.

        Raises:
            BenchError: this is no such record, or one of another version.
        """
        try:
            whole = json.loads(text)
            if whole["made_by"] != MADE_BY or whole["version"] != VERSION:
                raise ValueError(f"it is by {whole['made_by']!r}, version {whole['version']}")
            measured = tuple(
                Measured(Setting(**each["setting"]), tuple(PieceReading(**reading) for reading in each["readings"]))
                for each in whole["measured"]
            )
            return cls(
                Machine(**whole["machine"]),
                whole["experiment"],
                whole["data"],
                whole["devices"],
                whole["settings"],
                Findings(measured),
                whole["wall_s"],
                whole["is_complete"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BenchError(f"this is no record of `penstock bench` ({type(error).__name__}: {error})") from error

    @classmethod
    def load(cls, path: Path) -> StudyRecord:
        """Read a file."""
        return cls.from_json(path.read_text("utf-8"))

"""What a process is asked for, and what it answers; both are JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from penstock.bench._measure import Reading
from penstock.bench._sequences import Stored
from penstock.bench._workloads import InFiles, InMemory, Ranges

Data = InMemory | InFiles | Stored
MISSING = 3  # exit status: a library is not installed, and its name is the last line that was said


@dataclass(frozen=True)
class Job:
    """One reading.

    Attributes:
        peer: a name of the catalogue.
        data: from memory, from files, or from a user's own object.
        seconds: measured time, at least; 0 for as little as possible.
        sample_batches, sample: so many first batches go to this file (.npz: x0, y0, x1 ...), to be looked at.
    """

    peer: str
    data: Data
    seconds: float
    sample_batches: int = 0
    sample: str = ""

    @property
    def workload(self) -> str:
        """The function of a peer's module that opens it."""
        return {InMemory: "memory", InFiles: "files", Stored: "stored"}[type(self.data)]

    def to_json(self) -> str:
        """For the command line of the process."""
        return json.dumps({**vars(self), "data": asdict(self.data), "workload": self.workload}, default=str)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read one."""
        fields = json.loads(text)
        settings, workload = fields["data"], fields.pop("workload")
        if workload == "stored":
            return cls(**{**fields, "data": Stored(**settings)})
        ranges = settings["ranges"]
        settings["ranges"] = Ranges(**{**ranges, "zoom_range": tuple(ranges["zoom_range"])})
        if workload == "memory":
            return cls(**{**fields, "data": InMemory(**settings)})
        return cls(**{**fields, "data": InFiles(**{**settings, "folder": Path(settings["folder"])})})


@dataclass(frozen=True)
class Answer:
    """What came of a job.

    Attributes:
        reading: images per second.
        loaded: frameworks that the process had imported at the end.
    """

    reading: Reading
    loaded: tuple[str, ...]

    def to_json(self) -> str:
        """For the file that the process leaves."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Read one."""
        fields = json.loads(text)
        reading = fields["reading"]
        return cls(Reading(**{**reading, "parts": tuple(reading["parts"])}), tuple(fields["loaded"]))

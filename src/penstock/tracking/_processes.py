"""The process of a run, and whether it is still there."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_TAG = "penstock.process"
_SAME_S = 1.5  # between two readings of when a process began: ticks of the clock, and a clock that is set right


@dataclass(frozen=True)
class Process:
    """A process, told apart from any other one, as far as that goes.

    Attributes:
        pid: its number.
        began_s: since 1970.
        host: the machine's name.
        machine: what stays the same when it is started again; empty where that is not known.
        boot: what does not; empty where that is not known.
        namespace: in which the number counts; containers have their own.
    """

    pid: int
    began_s: float
    host: str
    machine: str
    boot: str
    namespace: str

    @classmethod
    def this(cls) -> Process:
        """The one that asks."""
        began_s = float(psutil.Process().create_time())
        namespace = ""
        with suppress(OSError):
            namespace = os.readlink("/proc/self/ns/pid")
        return cls(
            os.getpid(),
            round(began_s, 2),
            platform.node(),
            _read("/etc/machine-id"),
            _read("/proc/sys/kernel/random/boot_id"),
            namespace,
        )

    def as_tags(self) -> dict[str, str]:
        """To be kept with a run."""
        return {_TAG: json.dumps(asdict(self))}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Process | None:
        """From what was kept; None where that is not ours."""
        try:
            return cls(**json.loads(tags[_TAG]))
        except (KeyError, TypeError, ValueError):
            return None

    def is_gone(self, here: Process) -> bool:
        """Whether it has certainly ended, seen from another process; False where that cannot be seen from there."""
        if not self.host or self.host != here.host:
            return False
        if self.boot != here.boot:  # the machine was started again, if it is this one
            return bool(self.machine) and self.machine == here.machine and bool(self.boot and here.boot)
        if self.namespace != here.namespace:
            return False
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.began_s) < _SAME_S
            return not is_same or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, ValueError):
        return ""

"""Where and with what it was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from penstock import __version__
from penstock.feeding._cpus import cpu_name, usable_cpus

_PACKAGES = ("numpy", "numba", "keras", "scipy", "pillow", "simplejpeg", "jax")


@dataclass(frozen=True)
class Machine:
    """The machine and the versions of a run.

    Attributes:
        date: UTC, ISO 8601.
        cpu: model name.
        cores_usable, cores_present: by affinity and quota; in the machine.
        memory_bytes: of the machine.
        system, python: names and versions.
        packages: version by name, of those that are installed.
        penstock, commit: our version, and the commit it was run from; None outside our repository.
    """

    date: str
    cpu: str
    cores_usable: int
    cores_present: int
    memory_bytes: int
    system: str
    python: str
    packages: dict[str, str]
    penstock: str
    commit: str | None

    @classmethod
    def here(cls) -> Machine:
        """This machine, now."""
        return cls(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            cpu=cpu_name(),
            cores_usable=usable_cpus(),
            cores_present=os.cpu_count() or 1,
            memory_bytes=psutil.virtual_memory().total,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            packages={name: found for name in _PACKAGES if (found := _version(name))},
            penstock=__version__,
            commit=_commit(Path(__file__)),
        )


def keep_to_cores(count: int) -> None:
    """Let this process and its future threads use so many of its cores; 0 changes nothing, as do too few cores."""
    if count and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:count])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(file: Path) -> str | None:
    """The commit, with "-dirty" where files differ from it; None if this package was not taken from its repository."""
    try:
        top = Path(_git(file.parent, "rev-parse", "--show-toplevel"))
        if not (top / "src" / "penstock" / "bench" / file.name).is_file():
            return None  # installed into someone else's repository
        return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

"""Which code runs: the commit, what differs from it, the script, and the versions of packages."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from penstock.tracking._secrets import mask_diff, mask_text

_PATIENCE_S = 20.0  # git's, on a slow disk
_LONGEST_BYTES = 2_000_000  # of a script or a diff


@dataclass(frozen=True)
class Commit:
    """What git says of a folder.

    Attributes:
        id: of the commit, 40 digits.
        branch: its name, or "HEAD".
        diff: from the commit to the files as they are, masked; empty for none. None where it is too long.
        untracked: files that git does not know and is not told to ignore.
    """

    id: str
    branch: str
    diff: str | None
    untracked: tuple[str, ...]

    @property
    def is_dirty(self) -> bool:
        """Whether files differ from the commit."""
        return self.diff != "" or bool(self.untracked)


def commit_of(folder: Path) -> Commit | None:
    """The commit that a folder is at; None outside a repository, without commits, or without git."""
    try:
        number, branch = _git(folder, "rev-parse", "HEAD"), _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
        diff = _git(folder, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv")
        untracked = _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", ":/")
    except (OSError, subprocess.SubprocessError):
        return None
    is_long = len(diff) > _LONGEST_BYTES
    return Commit(
        number.strip(), branch.strip(), None if is_long else mask_diff(diff), tuple(untracked.split("\n")[:-1])
    )


def read_script(path: str) -> bytes | None:
    """A script's text, masked; None if it cannot be read or is no text."""
    try:
        if os.path.getsize(path) > _LONGEST_BYTES:
            return None
        return mask_text(Path(path).read_text("utf-8")).encode()
    except (OSError, ValueError):
        return None


def package_versions() -> dict[str, str]:
    """Of all that is installed, by name in lower case, sorted."""
    found: dict[str, str] = {}
    for each in distributions():
        name = each.metadata["Name"]
        if name:
            found.setdefault(str(name).lower(), each.version)
    return dict(sorted(found.items()))


def _git(folder: Path, *arguments: str) -> str:
    # Without locks, since it would write to the user's repository what it has found out.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE_S, env=environment
    )
    return done.stdout.decode("utf-8", "replace")

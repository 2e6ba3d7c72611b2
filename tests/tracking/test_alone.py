"""One process at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from penstock.tracking._alone import alone_in

SECOND = """
import pathlib, sys
from penstock.tracking._alone import alone_in
folder = pathlib.Path(sys.argv[1])
print("waits", flush=True)
with alone_in(folder, float(sys.argv[2])):
    print((folder / "made").exists(), flush=True)
"""


def second(folder: Path, patience_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SECOND, str(folder), str(patience_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    return process


def test_the_second_waits_until_the_first_has_made_it(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        process = second(tmp_path, 60)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        (tmp_path / "made").touch()
    assert process.communicate(timeout=60)[0] == "True\n"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_nobody_waits_for_ever(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        assert second(tmp_path, 0.1).communicate(timeout=60)[0] == "False\n"
    with alone_in(tmp_path / "not there"):
        pass

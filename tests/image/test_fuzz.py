"""Damaged files of every kind: an image or an `ImageError`, never a crash, a hang or gigabytes.

`PENSTOCK_FUZZ=10000` reads that many. `python -m fuzzing.child SEED 1 FOLDER`, run in `tests`, repeats one of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import penstock
from fuzzing.damage import damaged
from fuzzing.valid import valid_files

if os.name != "posix":
    pytest.skip("limits are set as POSIX has them", allow_module_level=True)

from fuzzing.child import kerass, read
from penstock import ImageError
from penstock.image import _decode, _jpeg
from penstock.image._decode import CHANNELS, Loading

COUNT = int(os.environ.get("PENSTOCK_FUZZ", "600"))
_MOST_CRASHES = 5  # that are reported; each begins a new process


def run_child(first: int, folder: Path) -> tuple[list[dict[str, object]], str]:
    """Read the files from number `first` on; returns what came of each, and what ended the process early."""
    roots = (Path(__file__).parents[1], Path(penstock.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "fuzzing.child", str(first), str(COUNT - first), str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines, f"exit status {done.returncode}\n{done.stderr[-4000:]}" if done.returncode else ""


@pytest.mark.timeout(300 + COUNT // 5)
def test_any_damaged_file_gives_an_image_or_an_error_that_names_it(tmp_path: Path) -> None:
    """And images are those of Keras, whether or not it warns of them; see `fuzzing.child` for the limits."""
    problems: list[str] = []
    outcomes: Counter[str] = Counter()
    first = crashes = 0
    while first < COUNT and crashes < _MOST_CRASHES:
        lines, end = run_child(first, tmp_path)
        results = [line for line in lines if "outcome" in line]
        outcomes.update(str(line["outcome"]).partition(":")[0] for line in results)
        problems += [f"file {line['seed']} ({line['done']}): {line['bad']}" for line in results if line["bad"]]
        if not end:
            break
        first += len(results)
        problems.append(f"file {first} ({damaged(first)[2]}): {end}")
        first, crashes = first + 1, crashes + 1
    assert not problems, "\n".join(problems)
    assert sum(outcomes.values()) == COUNT
    if COUNT >= 600:
        assert COUNT // 5 < outcomes["image"] < COUNT // 2, outcomes  # the damage is neither slight nor hopeless
    print(outcomes.most_common())


def test_a_seed_says_what_comes_out() -> None:
    assert [damaged(seed) for seed in range(40)] == [damaged(seed) for seed in range(40)]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of a palette with transparency
@pytest.mark.parametrize("large_pixels", [_jpeg.LARGE_PIXELS, 0], ids=["small", "treated as large"])
@pytest.mark.parametrize("name", valid_files())
def test_valid_files_of_every_kind_are_those_of_load_img(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, large_pixels: int
) -> None:
    for module in (_decode, _jpeg):
        monkeypatch.setattr(module, "LARGE_PIXELS", large_pixels)
    path = tmp_path / name
    path.write_bytes(valid_files()[name])
    for color_mode in CHANNELS:
        for loading in (
            Loading((24, 50), color_mode),
            Loading((24, 50), color_mode, "nearest", True),
            Loading((24, 50), color_mode, "bilinear"),
            Loading(None, color_mode),
        ):
            found, expected = read(str(path), loading), kerass(str(path), loading)
            if (name, color_mode) == ("lab.tif", "grayscale"):  # which Pillow converts by a profile only
                assert isinstance(found, ImageError)
                assert isinstance(expected, ValueError)
            else:
                np.testing.assert_array_equal(found, expected)

"""Two trainings, watched and drawn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from penstock.bench.__main__ import main
from penstock.bench._before_after import AFTER, BEFORE, BeforeAfter, Watched
from penstock.bench._errors import BenchError

ROOT = Path(__file__).parents[2]


def test_both_are_trained_and_drawn_for_light_and_for_dark_pages(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    command = [sys.executable, "-m", "penstock.bench", "before-after", "--quick", "--epochs", "2", "--out", str(record)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "MPLBACKEND": "agg"})
    assert done.returncode == 0, done.stderr
    both = BeforeAfter.load(record)
    assert list(both.trainings) == [BEFORE, AFTER]
    assert both.settings["backend"] == "torch"
    for records in both.trainings.values():
        assert {name for name, _, _ in records.spans("epoch")} == {"epoch 1", "epoch 2"}
        assert "feed_0_wait_percent" in records
        assert not any(name.startswith("feed_1") for name in records)
    assert main(["picture", str(record), str(tmp_path / "both")]) == 0
    for theme in ("light", "dark"):
        with Image.open(tmp_path / f"both-{theme}.png") as image:
            assert image.mode == "RGBA"
            assert image.width == 1680
            assert image.getpixel((2, 2))[3] == 0  # nothing behind it


def test_the_readmes_picture_is_that_of_the_record(tmp_path: Path) -> None:
    record = ROOT / "benchmarks" / "records" / "before_after.json"
    both = BeforeAfter.load(record)
    seconds = {name: records["time_s"][-1] for name, records in both.trainings.items()}
    text = (ROOT / "README.md").read_text("utf-8")
    for name in (BEFORE, AFTER):
        assert f"takes {seconds[name]:.0f} s" in text
    main(["picture", str(record), str(tmp_path / "again")])
    for theme in ("light", "dark"):
        with (
            Image.open(ROOT / "benchmarks" / f"before-after-{theme}.png") as shown,
            Image.open(tmp_path / f"again-{theme}.png") as again,
        ):
            assert shown.size == again.size


def test_what_is_no_such_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(BenchError, match="is no record of before and after"):
        BeforeAfter.load(tmp_path / "other.json")
    assert main(["picture", str(tmp_path / "other.json"), str(tmp_path / "x")]) == 2


def test_a_watched_dataset_says_how_long_it_has_been_asked() -> None:
    class Slow:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, number: int) -> list[np.ndarray]:
            seen.append(watched.stats.wait_s)
            seen.append(watched.stats.wait_s)
            return [np.zeros(4)]

    seen: list[float] = []
    with Watched(Slow()) as watched:
        assert len(watched) == 3
        watched[0]
        assert 0 < seen[0] < seen[1] < watched.stats.wait_s
        assert (watched.stats.batches, watched.stats.samples) == (1, 4)
    assert not watched.is_running

"""Kernels beside one another, and beside the yardstick."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from penstock.bench._errors import BenchError
from penstock.bench._kernel_rows import Work, kernels
from penstock.bench._scale import Scale
from penstock.bench._yardstick import COMPILER, yardstick

SOURCE = Path(__file__).parents[2] / "benchmarks" / "yardstick" / "warp.cpp"
needs_compiler = pytest.mark.skipif(shutil.which(COMPILER[0]) is None, reason="there is no C++ compiler")


@needs_compiler
@pytest.mark.parametrize("side_px", [1, 32, 61])
def test_the_yardstick_does_the_same_work(side_px: int) -> None:
    work = Work(4 * side_px**2, side_px)
    work.ours()
    ours = work.out.copy()
    work.out[:] = -1
    work.by(yardstick(SOURCE))()
    np.testing.assert_allclose(work.out, ours, atol=1e-3)
    assert len(np.unique(ours)) > 1


@needs_compiler
def test_a_yardstick_that_does_not_compile_says_why(tmp_path: Path) -> None:
    (tmp_path / "warp.cpp").write_text("no C++")
    with pytest.raises(BenchError, match=r"should make a library, and says:\n.*error"):
        yardstick(tmp_path / "warp.cpp")


def test_without_a_compiler_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match=r"is compiled by g\+\+, which is not installed"):
        yardstick(SOURCE)


def test_every_kind_of_work_is_measured_and_claimed(tmp_path: Path) -> None:
    scale = replace(Scale.quick(tmp_path), kernel_pixels=64 * 64)
    row = kernels(scale)
    names = [side.name for side in row.sides]
    assert len(set(names)) == len(names) == 16
    assert all({claim.side, claim.against} <= set(names) for claim in row.claims)
    assert all(side.measure(0).value > 0 for side in row.sides)
    assert not any("C++" in name for name in names)


@needs_compiler
def test_the_yardstick_is_claimed_against_where_there_is_one(tmp_path: Path) -> None:
    row = kernels(replace(Scale.quick(tmp_path), kernel_pixels=64 * 64, yardstick=SOURCE))
    assert [claim.target for claim in row.claims if "C++" in claim.title] == [0.74, 0.56]
    assert [side.measure(0).value > 0 for side in row.sides if "C++" in side.name] == [True, True]

"""The row about stores that answer late."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.bench import _remote_rows
from penstock.bench._photographs import ensure_photographs
from penstock.bench._remote_rows import remote
from penstock.bench._scale import Scale


def test_a_store_that_answers_late_is_measured_beside_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_remote_rows, "_BATCHES", 2)
    pytest.importorskip("s3fs")
    scale = Scale.quick(tmp_path / "photographs")
    ensure_photographs(tmp_path / "photographs", scale.photographs)
    row = remote(scale)
    assert [side.name for side in row.sides] == ["local", "HTTP", "S3"]
    assert all({claim.side, claim.against} <= {side.name for side in row.sides} for claim in row.claims)
    assert all(side.measure(0).value > 0 for side in row.sides)

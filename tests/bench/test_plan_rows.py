"""Rows that put the plan beside what is measured."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from penstock.bench.__main__ import PLAN_ROW_NAMES
from penstock.bench._errors import BenchError
from penstock.bench._photographs import ensure_photographs
from penstock.bench._plan_rates import measure_readings, sizes
from penstock.bench._plan_request import measure_request
from penstock.bench._plan_rows import FORETOLD, MEASURED, PLAN_ROWS, accelerated
from penstock.bench._scale import Scale


def test_every_side_is_measured_and_claimed(tmp_path: Path) -> None:
    ensure_photographs(tmp_path / "photographs", 8)
    scale = Scale.quick(tmp_path / "photographs")
    assert tuple(PLAN_ROWS) == PLAN_ROW_NAMES
    for name, make in PLAN_ROWS.items():
        row = make(scale)
        assert row.name == name
        sides = {side.name: side for side in row.sides}
        for claim in row.claims:
            assert isinstance(claim.against, str)
            assert claim.against.endswith(MEASURED)
            assert FORETOLD in claim.side
            assert sides[claim.side].unit == sides[claim.against].unit
        assert all(side.measure(0).value > 0 for side in row.sides)


class FakeFlow:
    """Yields batches of four, and says whether it was closed."""

    def __init__(self) -> None:
        self.is_closed = False

    def __enter__(self) -> FakeFlow:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def __next__(self) -> Any:
        return ["image"] * 4


def test_an_accelerator_counts_what_it_gets_and_how_long_it_waits() -> None:
    flow = FakeFlow()
    reading = accelerated(lambda: flow, 0.002, len)(0.02)
    assert flow.is_closed
    assert reading.images % 4 == 0
    assert reading.value <= 4 / 0.002
    assert 0 <= reading.parts[0] < 1


def test_sizes_differ_in_pixels_bytes_target_and_batch(tmp_path: Path) -> None:
    for k in range(2):
        Image.effect_noise((60, 40), 50).save(tmp_path / f"{k}.jpg")
    paths = sorted(tmp_path.glob("*.jpg"))
    readings = measure_readings(paths, sizes(32), 0.0, {"rotation_range": 10})
    assert {round(r.source_px) for r in readings} == {600, 2400, 9600}
    assert {r.target_px for r in readings} == {16.0**2, 32.0**2}
    assert {r.batch_size for r in readings} == {2}  # there are no more images
    by_quality = {r.source_bytes for r in readings if r.source_px == 2400}
    assert len(by_quality) == 3
    assert all(0 < r.transform_s < r.seconds < 1 for r in readings)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_text("no image")
    with pytest.raises(BenchError, match=r"0\.jpg' cannot be read as an image"):
        measure_readings([tmp_path / "0.jpg"], sizes(32), 0.0, {})


def test_a_request_takes_a_client_less_than_a_second() -> None:
    pytest.importorskip("s3fs")
    found = measure_request()
    assert found is not None
    assert 1e-5 < found[0] < 1
    assert found[1].startswith("penstock ")


def test_without_the_client_no_request_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.bench._plan_request.find_spec", lambda name: None)
    assert measure_request() is None

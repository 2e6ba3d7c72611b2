"""Measurements by name, over any time, in bounded memory."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from penstock.monitor._records import Mark, Recorder, Records

FULL = 4 * 16  # values: two columns of twice the fewest rows


def test_columns_are_found_by_name_and_are_as_long_as_the_time() -> None:
    recorder = Recorder()
    recorder.add(0.1, {"cpu_percent": 3.0, "memory_mb": 100.0})
    recorder.add(0.2, {"cpu_percent": 5.0, "memory_mb": 101.0})
    records = recorder.records()
    assert list(records) == ["time_s", "cpu_percent", "memory_mb"]
    assert len(records) == 2
    np.testing.assert_array_equal(records["time_s"], [0.1, 0.2])
    np.testing.assert_array_equal(records["memory_mb"], [100.0, 101.0])
    assert all(records[name].dtype == np.float64 for name in records)


def test_what_came_later_or_was_missing_is_nan() -> None:
    recorder = Recorder()
    recorder.add(0.1, {"early": 1.0})
    recorder.add(0.2, {"late": 2.0})
    records = recorder.records()
    np.testing.assert_array_equal(records["early"], [1.0, np.nan])
    np.testing.assert_array_equal(records["late"], [np.nan, 2.0])


def test_records_stay_as_they_were_when_more_is_measured() -> None:
    recorder = Recorder()
    recorder.add(0.1, {"x": 1.0})
    before = recorder.records()
    recorder.add(0.2, {"x": 2.0})
    recorder.mark(Mark(0.2, "epoch 1"))
    assert (len(before), before.marks) == (1, ())
    assert (len(recorder.records()), recorder.records().marks) == (2, (Mark(0.2, "epoch 1"),))


def test_nothing_measured_is_no_rows() -> None:
    assert len(Recorder().records()) == 0


@settings(deadline=None)
@given(rounds=st.integers(1, 7), columns=st.integers(1, 6))
def test_thinning_keeps_means_and_bounds_memory(rounds: int, columns: int) -> None:
    recorder = Recorder(FULL)
    count = 16 * 2**rounds
    values = np.random.default_rng(rounds).random((count, columns))
    for number, row in enumerate(values):
        recorder.add(float(number), {f"c{k}": float(value) for k, value in enumerate(row)})
        kept = recorder.records()
        assert len(kept) <= max(16, FULL // (columns + 1) + 1)
    rows = len(kept)
    per_row = recorder._group_size
    assert rows * per_row == count - len(recorder._group)  # nothing is lost, and all rows stand for as much
    for k in range(columns):
        means = values[: rows * per_row, k].reshape(rows, per_row).mean(axis=1)
        np.testing.assert_allclose(kept[f"c{k}"], means)
    np.testing.assert_allclose(kept["time_s"], np.arange(rows) * per_row + (per_row - 1) / 2)


def test_thinning_takes_the_mean_of_what_is_there() -> None:
    recorder = Recorder(FULL)
    for number in range(40):
        recorder.add(float(number), {"always": 1.0} | ({"even": 7.0} if number % 2 == 0 else {}))
    kept = recorder.records()
    assert len(kept) < 40
    np.testing.assert_array_equal(kept["even"], np.full(len(kept), 7.0))


def test_columns_without_end_take_no_more_memory() -> None:
    """Each flow that is made and closed leaves some."""
    recorder = Recorder(1000)
    for number in range(2000):
        recorder.add(float(number), {f"feed_{number // 40}_ready_batches": 1.0})
    kept = recorder.records()
    assert len(kept) * len(list(kept)) <= 1000 + 16 * 51


def test_marks_that_begin_and_end_are_spans() -> None:
    marks = (
        Mark(0.0, "epoch 1"),
        Mark(0.5, "validation"),
        Mark(0.7, "validation", is_end=True),
        Mark(0.8, "epoch 1", is_end=True),
        Mark(0.8, "epoch 2"),
    )
    records = Records({"time_s": np.array([0.1, 0.9])}, marks)
    assert records.spans("validation") == [("validation", 0.5, 0.7)]
    assert records.spans("epoch") == [("epoch 1", 0.0, 0.8), ("epoch 2", 0.8, 0.9)]
    assert records.spans("callbacks") == []


def test_an_end_without_a_beginning_is_no_span() -> None:
    assert Records({"time_s": np.array([0.1])}, (Mark(0.0, "callbacks", is_end=True),)).spans("callbacks") == []


@pytest.fixture
def records() -> Records:
    columns = {"time_s": np.array([0.1, 360_000.2]), "cpu_percent": np.array([3.25, np.nan])}
    marks = (Mark(0.05, "epoch 1"), Mark(2.0, "epoch 1", is_end=True), Mark(360_001.0, "epoch 2"))
    return Records(columns, marks)


def test_csv_has_a_line_for_each_time_and_names_what_began(records: Records, tmp_path: Path) -> None:
    records.write_csv(tmp_path / "records.csv")
    with (tmp_path / "records.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first == {"time_s": "0.1", "cpu_percent": "3.25", "marks": "epoch 1 begins"}
    assert second == {"time_s": "360000.2", "cpu_percent": "", "marks": "epoch 1 ends; epoch 2 begins"}


def test_json_comes_back_as_the_same_records(records: Records, tmp_path: Path) -> None:
    records.write_json(tmp_path / "records.json")
    read = json.loads((tmp_path / "records.json").read_text("utf-8"))
    columns = {name: np.array(values, float) for name, values in read["columns"].items()}
    assert list(columns) == list(records)
    for name in records:
        np.testing.assert_array_equal(columns[name], records[name])
    assert tuple(Mark(**mark) for mark in read["marks"]) == records.marks


def test_nothing_is_written_as_nothing(tmp_path: Path) -> None:
    nothing = Recorder().records()
    nothing.write_csv(tmp_path / "records.csv")
    nothing.write_json(tmp_path / "records.json")
    assert (tmp_path / "records.csv").read_text("utf-8").split() == ["time_s,marks"]
    assert json.loads((tmp_path / "records.json").read_text("utf-8")) == {"columns": {"time_s": []}, "marks": []}

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.bench.__main__ import ROW_NAMES, main
from penstock.bench._border import FirstSteps
from penstock.bench._busy import _worked_on, beside_spinning_main
from penstock.bench._claim import EXTRA, SHARE, SPEED_UP, Claim
from penstock.bench._errors import BenchError
from penstock.bench._load import LoadMeter
from penstock.bench._machine import Machine
from penstock.bench._measure import Pace, Reading, Side, Summary, drain, run_rounds
from penstock.bench._photographs import ensure_photographs
from penstock.bench._record import Record, RowRecord, SideRecord
from penstock.bench._rows import ROWS
from penstock.bench._table import PLACE, markers, put_between_markers, table
from penstock.bench._workloads import InFiles, InMemory, Ranges

BEGIN, END = markers(PLACE)
MACHINE = Machine(
    "2026-01-02T03:04:05+00:00", "a CPU", 2, 8, 8 << 30, "Linux x86_64", "3.11", {"numpy": "2"}, "1", "abc"
)


class FakeClock:
    """Stands still but for what the feeds and callers below make of it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def feed(clock: FakeClock, seconds: Iterator[float], images: int = 4) -> Iterator[int]:
    for each in seconds:
        clock.now_s += each
        yield images


def side_record(name: str, *values: float, unit: str = "images/s") -> SideRecord:
    return SideRecord(name, unit, tuple(Reading(value, 1.0, 10) for value in values))


def made_record() -> Record:
    sides = (side_record("Keras", 100, 101, 99, 100, 100), side_record("penstock", 4000, 5000, 5100, 4900, 5000))
    border = (
        side_record("constant batch", 2, 2.1, 1.9, unit="ms"),
        SideRecord("penstock", "ms", tuple(Reading(v, 1.0, parts=(v, v)) for v in (3.0, 3.1, 2.9))),
    )
    rows = (
        RowRecord(
            "memory-uint8",
            "small images",
            "a note",
            {"images": 4},
            sides,
            (Claim("compiled", "penstock", "Keras", SPEED_UP, 40), Claim("", "Keras", "penstock", SHARE, 0.7)),
        ),
        RowRecord("epoch-border", "first step", "", {}, border, (Claim("ours", "penstock", "constant batch", EXTRA),)),
    )
    return Record(MACHINE, {"rounds": 5, "seconds": 2.0, "quick": False}, 12.3, rows)


# --- arithmetic ---


def test_rate_counts_whole_batches_after_the_warm_up() -> None:
    clock = FakeClock()
    # The first batch takes long, and is not counted; three of 0.4 s make the second that is asked for.
    reading = drain(feed(clock, iter([60, 0.4, 0.4, 0.4])), Pace(), 1.0, clock)
    assert (reading.images, reading.wall_s) == (12, pytest.approx(1.2))
    assert reading.value == pytest.approx(10)


def test_slow_feeds_give_two_batches_at_least() -> None:
    clock = FakeClock()
    assert drain(feed(clock, repeat(5.0)), Pace(), 0.01, clock).images == 8


def test_batches_that_come_in_pairs_are_counted_in_pairs() -> None:
    clock = FakeClock()
    pairs = (seconds for _ in count() for seconds in (1.0, 0.0))
    # Two lanes make 8 images a second. Ending after any batch would give 4/0, 8/1, 12/1 ...
    assert drain(feed(clock, pairs), Pace(lanes=2), 0.0, clock).value == pytest.approx(8)
    assert drain(feed(clock, pairs), Pace(lanes=2), 2.5, clock).value == pytest.approx(8)


def test_what_was_made_ahead_is_taken_before_the_clock_starts() -> None:
    clock = FakeClock()
    seconds = (0.0 if number < 10 else 1.0 for number in count())
    assert drain(feed(clock, seconds), Pace(lanes=2, ahead=10), 3.0, clock).value == pytest.approx(4)
    assert Pace(lanes=2, ahead=10).warm_up_batches == 12
    assert Pace().warm_up_batches == 1


def test_medians_and_quartiles() -> None:
    assert Summary.of([5, 1, 3, 2, 4]) == Summary(3, 2, True)
    assert Summary.of([100, 101, 99, 100, 140]) == Summary(100, 1, False)  # one bad round does no harm
    assert Summary.of([100, 107, 93, 107.6, 92.4]).unstable is False
    assert Summary.of([100, 108, 92, 109, 91]).unstable is True
    assert Summary.of([2, 4]) == Summary(3, 2, True)  # too few to know
    assert Summary.of([7]) == Summary(7, 0, True)


def test_rounds_are_interleaved_and_every_other_one_goes_backwards() -> None:
    calls: list[tuple[str, float]] = []

    def side(name: str) -> Side:
        def measure(seconds: float) -> Reading:
            calls.append((name, seconds))
            return Reading(len(calls), seconds)

        return Side(name, "images/s", measure)

    lines: list[str] = []
    readings = run_rounds([side("a"), side("b")], 3, 2.0, lines.append)
    warm_up, rounds = calls[:2], [name for name, seconds in calls[2:] if seconds == 2.0]
    assert warm_up == [("a", 0), ("b", 0)]
    assert "".join(rounds) == "abbaab"
    assert [reading.value for reading in readings["a"]] == [3, 6, 7]
    assert len(lines) == 6


def test_claims() -> None:
    assert Claim("", "a", "b", SPEED_UP, 40).value(200, 4) == 50
    assert Claim("", "a", "b", EXTRA, 10).value(12, 3) == 9
    assert Claim("", "a", "b", EXTRA, 10).is_met(9) is True
    assert Claim("", "a", "b", EXTRA, 10).is_met(11) is False
    assert Claim("", "a", "b", SHARE, 0.7).is_met(0.69) is False
    assert Claim("", "a", "b", SHARE).is_met(0.1) is None
    with pytest.raises(ValueError, match="`kind` should be one of"):
        Claim("", "a", "b", "faster")


def test_a_verdict_compares_medians_and_shows_the_rounds() -> None:
    row = made_record().rows[0]
    verdict = row.verdict(row.claims[0])
    assert (verdict.value, verdict.is_met, verdict.unstable) == (50, True, False)
    assert (verdict.lowest, verdict.highest) == (40, pytest.approx(5100 / 99))
    noisy = replace(row, sides=(row.sides[0], side_record("penstock", 1000, 5000, 3000, 4000, 2000)))
    assert noisy.verdict(row.claims[0]).unstable


# --- sides ---


def test_the_consumer_works_as_long_as_it_waits() -> None:
    clock = FakeClock()

    def ticking() -> float:
        clock.now_s += 0.001  # each look at the clock takes a millisecond
        return clock.now_s

    batches = _worked_on(feed(clock, iter([1.0, 3.0])), ticking)
    next(batches)
    assert clock.now_s == pytest.approx(2, abs=0.01)
    next(batches)
    assert clock.now_s == pytest.approx(2 + 6, abs=0.02)


def test_a_feed_that_fails_beside_a_spinning_main_thread_says_so() -> None:
    closed: list[bool] = []

    @contextmanager
    def broken() -> Iterator[Iterator[int]]:
        try:
            yield (1 // number for number in (1, 1, 0))
        finally:
            closed.append(True)

    with pytest.raises(ZeroDivisionError):
        beside_spinning_main("", broken, Pace()).measure(1)
    assert closed


def test_only_the_first_step_of_an_epoch_is_timed() -> None:
    clock = FakeClock()
    timer = FirstSteps(clock)
    for first_s in (5.0, 0.25):
        timer.on_epoch_begin(0)
        for step_s in (first_s, 1.0, 1.0):
            clock.now_s += step_s
            timer.on_train_batch_end(0, logs={})
    assert timer.first_ms == [5000, 250]


def test_the_load_of_this_process_is_seen() -> None:
    meter = LoadMeter()
    while meter.load().own_cores == 0:
        pass
    assert 0 < meter.load().own_cores <= len(os.sched_getaffinity(0)) + 0.5
    assert meter.load().others_cores >= 0


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_both_sides_deliver_the_same_values_from_memory(dtype: str) -> None:
    data = InMemory(1, side_px=8, batch_size=1, dtype=dtype, ranges=Ranges())
    theirs, labels = next(data.keras_flow())
    functions: list[dict[str, Any]] = [{}, {"python_function": True}]
    for keywords in functions:
        with data.penstock_flow(0, **keywords) as flow:
            ours, our_labels = next(flow)
        assert ours.dtype == theirs.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        np.testing.assert_array_equal(our_labels, labels)
    assert theirs.max() <= 1
    assert (theirs.min() < -0.5) == (dtype == "uint8")


def test_both_sides_deliver_the_same_values_from_files(tmp_path: Path) -> None:
    ensure_photographs(tmp_path / "one", 1)
    data = InFiles(tmp_path / "one", target_px=40, batch_size=1, ranges=Ranges())
    with data.penstock_flow(0) as flow:
        ours, labels = next(flow)
    theirs, their_labels = next(data.keras_flow())
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    np.testing.assert_array_equal(labels, their_labels)


# --- photographs ---


def test_photographs_are_of_the_size_that_is_claimed_and_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "photographs"
    contents = ensure_photographs(folder, 24)
    assert contents.files == 24
    assert contents.mean_px == pytest.approx(157_000, rel=0.01)
    assert contents.mean_bytes == pytest.approx(44_000, rel=0.1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    assert ensure_photographs(folder, 99) == contents
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")} == before
    assert [path.name for path in folder.parent.iterdir()] == ["photographs"]


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not empty")
    with pytest.raises(BenchError, match="should hold class folders with JPEG files, or be empty"):
        ensure_photographs(tmp_path, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# --- records ---


def test_a_record_survives_being_written_and_read(tmp_path: Path) -> None:
    record = made_record()
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record
    raw = json.loads((tmp_path / "record.json").read_text())
    assert raw["rows"][0]["sides"][1]["summary"]["median"] == 5000
    assert raw["rows"][0]["claims"][0]["verdict"]["is_met"] is True


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "rows": [], "machine": {}}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(BenchError, match=r"no record of penstock\.bench"):
        Record.from_json(text)


def test_the_table() -> None:
    text = table(made_record())
    assert "| small images: compiled | 100 | 5,000 | 50.0x | ≥ 40x ✓ |" in text
    assert "| small images | 5,000 | 100 | 0.02 | ≥ 0.7 ✗ |" in text
    assert "| first step: ours | 2 | 3 | +1.0 | - |" in text
    assert "2 cores of a CPU" in text
    assert "⚠" not in text
    assert "Other processes" not in text


def test_the_table_says_what_is_not_to_be_trusted() -> None:
    record = made_record()
    row = record.rows[0]
    noisy = side_record("penstock", 1000, 5000, 3000, 4000, 2000)
    disturbed = replace(noisy, readings=(replace(noisy.readings[0], others_cores=1.25), *noisy.readings[1:]))
    text = table(replace(record, rows=(replace(row, sides=(row.sides[0], disturbed)),)))
    assert "| 100 | 3,000 ⚠ | 30.0x | ≥ 40x ✗ |" in text
    assert "took up to 1.2 cores during 1 of 10 readings" in text
    assert "⚠ unstable" in text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_markers_must_be_there(text: str) -> None:
    with pytest.raises(BenchError, match="there should be one"):
        put_between_markers(text, "table")


# --- commands ---


def test_table_and_readme_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, readme = tmp_path / "record.json", tmp_path / "README.md"
    made_record().save(record)
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert main(["table", str(record)]) == 0
    shown = capsys.readouterr().out
    assert shown == table(made_record())
    for _ in range(2):  # the second time changes nothing
        assert main(["readme", str(record), str(readme)]) == 0
        assert readme.read_text() == f"before\n{BEGIN}\n{shown.strip()}\n{END}\nafter\n"


def test_a_part_of_the_table_goes_between_markers_of_its_own(tmp_path: Path) -> None:
    record, readme = tmp_path / "record.json", tmp_path / "README.md"
    made_record().save(record)
    readme.write_text("<!-- headline:begin -->\n<!-- headline:end -->\n")
    assert main(["readme", str(record), str(readme), "--markers", "headline", "--kinds", "speed-up"]) == 0
    text = readme.read_text()
    assert text.startswith("<!-- headline:begin -->\n|  | Keras, images/s | penstock, images/s |")
    assert "Medians of" not in text
    assert "under `model.fit`" not in text


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", str(tmp_path / "none.json")]) == 2
    assert "none.json" in capsys.readouterr().err
    record = tmp_path / "record.json"
    made_record().save(record)
    (tmp_path / "README.md").write_text("no markers")
    assert main(["readme", str(record), str(tmp_path / "README.md")]) == 2
    assert "there should be one" in capsys.readouterr().err
    for words in (["--rounds", "0"], ["--rows", "memory"], ["--seconds", "long"], ["--cores", "-1"]):
        with pytest.raises(SystemExit):
            main(words)


def test_a_quick_run_measures_every_row(tmp_path: Path) -> None:
    out = tmp_path / "records" / "record.json"
    command = [sys.executable, "-m", "penstock.bench", "--quick", "--out", str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "KERAS_BACKEND": "jax"}
    )
    assert done.returncode == 0, done.stderr
    record = Record.load(out)
    assert done.stdout == table(record)
    assert tuple(row.name for row in record.rows) == ROW_NAMES == tuple(ROWS)
    assert record.settings["quick"] is True
    assert record.machine.packages["keras"]
    sides = {"memory-uint8": 3, "memory-float32": 2, "files": 3, "second-thread": 4}
    sides |= {"busy-main": 10, "epoch-border": 3}
    for row in record.rows:
        assert len(row.sides) == sides[row.name]
        assert row.claims
        for side in row.sides:
            assert len(side.readings) == 1
            assert all(reading.value > 0 and reading.wall_s > 0 for reading in side.readings)
            assert side.summary.unstable

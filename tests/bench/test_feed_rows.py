from __future__ import annotations

import os
import subprocess
import sys
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.bench import __main__ as command
from penstock.bench.__main__ import FEED_ROW_NAMES, ROW_NAMES, main
from penstock.bench._claim import COST, SHARE, Claim
from penstock.bench._costs import in_fresh_interpreter, timed
from penstock.bench._errors import BenchError
from penstock.bench._feed_rows import FEED_ROWS, feed_large, feed_start
from penstock.bench._feeds import from_sequence
from penstock.bench._machine import Machine
from penstock.bench._measure import Reading
from penstock.bench._photographs import ensure_photographs
from penstock.bench._record import Record, RowRecord, SideRecord
from penstock.bench._scale import Scale
from penstock.bench._sequences import Prepared, PurePython, Stored, Waiting
from penstock.bench._table import table
from penstock.bench.peers._catalogue import PENSTOCK, TORCH
from penstock.bench.peers._in_process import in_process
from penstock.bench.peers._job import Job

MACHINE = Machine("2026-01-02T03:04:05+00:00", "a CPU", 2, 2, 8 << 30, "Linux", "3.11", {}, "1", None)


def side(name: str, unit: str, *values: float) -> SideRecord:
    return SideRecord(name, unit, tuple(Reading(value, 1.0, 10) for value in values))


def made_record() -> Record:
    sides = (
        side("threads", "us", 41, 40, 42),
        side("one", "batches/s", 2, 2, 2),
        side("many", "batches/s", 16, 15, 17),
    )
    claims = (
        Claim.cost("2 threads", "threads", 60),
        Claim.cost("again", "threads"),
        Claim("8", "many", "one", SHARE, 9),
    )
    images = (side("a", "images/s", 100, 100, 100), side("b", "images/s", 80, 80, 80))
    rows = (
        RowRecord("feed-handover", "Handing over", "", {}, sides, claims),
        RowRecord("feed-images", "Images", "", {}, images, (Claim("", "b", "a", SHARE),)),
    )
    return Record(MACHINE, {"rounds": 3, "seconds": 2.0}, 1.0, rows)


# --- costs ---


def test_a_cost_is_compared_with_nothing_and_should_be_small() -> None:
    row = made_record().rows[0]
    verdict = row.verdict(row.claims[0])
    assert (verdict.value, verdict.lowest, verdict.highest) == (41, 40, 42)
    assert (verdict.is_met, verdict.unstable) == (True, False)
    assert Claim.cost("", "threads", 40).is_met(41) is False
    assert Claim.cost("", "threads").is_met(41) is None
    assert Claim.cost("", "threads").kind == COST


def test_costs_have_a_table_of_their_own_and_each_unit_has_one(tmp_path: Path) -> None:
    record = made_record()
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record
    text = table(record)
    assert "| what feeding costs | median | target |\n|---|--:|--:|\n" in text
    assert "| Handing over: 2 threads | 41 µs | ≤ 60 µs ✓ |" in text
    assert "| Handing over: again | 41 µs | - |" in text
    assert "| penstock against itself | batches/s | then, batches/s | ratio of medians | target |" in text
    assert "| Handing over: 8 | 2 | 16 | 8.00 | ≥ 9 ✗ |" in text
    assert "| penstock against itself | images/s | then, images/s | ratio of medians | target |" in text
    assert "| Images | 100 | 80 | 0.80 | - |" in text
    assert "what feeding costs" not in table(record, ("share",))


def test_the_cost_of_a_batch_is_the_median_of_whole_clusters() -> None:
    now_s = 0.0

    def batches() -> Any:
        nonlocal now_s
        # The first 500 take a second each; then one cluster of 1 ms, one of 3 ms, and one of 2 ms a batch.
        for cost_s in chain(repeat(1.0, 500), repeat(0.001, 500), repeat(0.003, 500), repeat(0.002, 500)):
            now_s += cost_s
            yield 1

    reading = timed(batches(), 2.5, lambda: now_s)
    assert reading.parts == pytest.approx((1000, 3000, 2000))
    assert reading.value == pytest.approx(2000)
    assert (reading.images, reading.wall_s) == (1500, pytest.approx(3))


# --- sequences ---


@pytest.mark.parametrize("data", [Waiting(0.0), PurePython(10), Prepared()], ids=lambda data: type(data).__name__)
def test_processes_deliver_what_the_sequence_returns(data: Any) -> None:
    assert len(data) > 10_000
    with from_sequence(data, 2, processes=True)() as batches:
        assert [next(batches) for _ in range(3)] == [1, 1, 1]


def test_python_computes_the_same_in_every_batch_of_a_number() -> None:
    data = PurePython(100)
    assert data[3] == data[3] != data[4]


def test_stored_bytes_become_floats_and_half_of_them_are_mirrored() -> None:
    data = Stored(8, 5, 64)
    batch, labels = data[7]
    assert (batch.shape, batch.dtype, labels.shape) == ((64, 5, 5, 3), np.float32, (64,))
    plain = data.x.astype(np.float32) / 255
    for image, label in zip(batch, labels, strict=True):
        assert any(np.array_equal(image, found) for found in (plain[label], plain[label, :, ::-1]))
    mirrored = sum(np.array_equal(image, plain[label, :, ::-1]) for image, label in zip(batch, labels, strict=True))
    assert 16 < mirrored < 48
    with from_sequence(data, 0, images=True)() as batches:
        assert next(batches) == 64


@pytest.mark.parametrize("peer", [PENSTOCK, TORCH])
def test_peers_deliver_the_batches_of_a_users_own_object(tmp_path: Path, peer: str) -> None:
    data, sample = Stored(8, 16, 4), tmp_path / "sample.npz"
    job = Job(peer, data, 0.01, 3, str(sample))
    assert Job.from_json(job.to_json()) == job
    answer = in_process(job)
    assert answer.reading.images >= 2 * data.batch_size
    assert "torch" not in answer.loaded or peer == TORCH
    arrays = np.load(sample)
    for number in range(3):
        batch, labels = data[number]
        np.testing.assert_array_equal(arrays[f"x{number}"], batch)
        np.testing.assert_array_equal(arrays[f"y{number}"], labels)


# --- scripts ---


def test_a_script_that_fails_is_quoted() -> None:
    with pytest.raises(BenchError, match=r"(?s)first_batches failed, exit status 1.*invalid literal for int"):
        in_fresh_interpreter("", "s", "first_s", "first_batches", "two").measure(0)  # type: ignore[arg-type]


def test_a_script_tells_its_start_and_its_next_epoch() -> None:
    script = feed_start(Scale.quick(Path())).sides[0].measure(0)
    first_s, all_s, next_epoch_ms = script.parts
    assert script.value == first_s
    assert 0 < first_s <= all_s < script.wall_s
    assert 0 < next_epoch_ms < script.wall_s * 1000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/*/smaps_rollup")
def test_memory_is_that_of_the_script_and_its_workers() -> None:
    reading = in_fresh_interpreter("", "%", "share", "many_epochs", 1, 2, 1).measure(0)
    warm_mb, end_mb, share = reading.parts
    assert reading.value == share == pytest.approx(end_mb / warm_mb * 100)
    assert warm_mb > 100  # Keras alone takes more


# --- rows ---


def test_every_claim_is_about_sides_that_are_measured(tmp_path: Path) -> None:
    scale = Scale.full(tmp_path / "photographs")
    ensure_photographs(scale.files.folder, 1)
    assert tuple(FEED_ROWS) == FEED_ROW_NAMES
    assert not set(FEED_ROW_NAMES) & set(ROW_NAMES)
    for name in FEED_ROW_NAMES:
        row = FEED_ROWS[name](scale)
        sides = {side.name: side for side in row.sides}
        assert row.name == name
        assert len(sides) == len(row.sides)
        for claim in row.claims:
            assert isinstance(claim.against, str)
            assert sides[claim.side].unit == sides[claim.against].unit
            assert (claim.side == claim.against) == (claim.kind == COST)


def test_a_row_of_torch_names_only_what_is_imported_for_it(tmp_path: Path) -> None:
    peers = feed_large(Scale.quick(tmp_path)).settings["peers"]
    assert set(peers[TORCH]["packages"]) == {"torch"}
    assert set(peers[PENSTOCK]["packages"]) == {"keras", "jax"}


def test_a_quick_run_measures_rows_of_feed(tmp_path: Path) -> None:
    out = tmp_path / "feed.json"
    names = ["feed-python", "feed-images", "feed-handover"]  # other rows start more processes, which tests above do
    words = ["--quick", "--rows", *names, "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "penstock.bench", *words],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0, done.stderr
    record = Record.load(out)
    assert done.stdout == table(record)
    assert [row.name for row in record.rows] == names
    for row in record.rows:
        for each in row.sides:
            assert all(reading.value > 0 and reading.wall_s > 0 for reading in each.readings)


def test_what_only_linux_can_tell_is_left_out_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command.sys, "platform", "darwin")
    out = tmp_path / "record.json"
    assert main(["--quick", "--cores", "0", "--rows", "feed-memory", "--out", str(out)]) == 0
    assert "feed-memory: left out, since it reads /proc/*/smaps_rollup" in capsys.readouterr().err
    assert Record.load(out).rows == ()

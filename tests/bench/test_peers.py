from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from penstock.bench import _peer_rows
from penstock.bench.__main__ import PEER_ROW_NAMES, ROW_NAMES, main
from penstock.bench._claim import EXTRA, PEER, Claim
from penstock.bench._errors import BenchError
from penstock.bench._machine import Machine
from penstock.bench._measure import Reading, Side
from penstock.bench._photographs import ensure_photographs
from penstock.bench._record import Record, RowRecord, SideRecord
from penstock.bench._rows import ROWS
from penstock.bench._scale import Scale
from penstock.bench._table import table
from penstock.bench._workloads import InFiles, InMemory
from penstock.bench.peers._catalogue import GRAIN, PEERS, PENSTOCK, TF_DATA, TORCH
from penstock.bench.peers._in_process import in_process
from penstock.bench.peers._job import Job

OTHERS = (TF_DATA, TORCH, GRAIN)


@pytest.fixture(scope="module")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Scale:
    folder = tmp_path_factory.mktemp("peers") / "photographs"
    made = Scale.quick(folder)
    ensure_photographs(folder, made.photographs)
    return made


def two_epochs(peer: str, data: InMemory | InFiles, batches: int, folder: Path) -> tuple[list[Any], list[Any]]:
    """Runs the real process; each epoch as (images, labels)."""
    sample = folder / "sample.npz"
    answer = in_process(Job(peer, data, 0.01, 2 * batches, str(sample)))
    assert answer.reading.value == pytest.approx(answer.reading.images / answer.reading.wall_s)
    assert answer.reading.images >= 2 * data.batch_size
    assert "tensorflow" not in answer.loaded or peer == TF_DATA
    assert "keras" not in answer.loaded or peer in (PENSTOCK, TF_DATA)
    arrays = np.load(sample)
    epochs = []
    for start in (0, batches):
        x = np.concatenate([arrays[f"x{number}"] for number in range(start, start + batches)])
        y = np.concatenate([arrays[f"y{number}"] for number in range(start, start + batches)])
        assert x.dtype == np.float32
        epochs.append([x.transpose(0, 2, 3, 1) if x.shape[1] == 3 else x, y.argmax(1) if y.ndim == 2 else y])
    return epochs[0], epochs[1]


def as_set(images: Any) -> set[bytes]:
    return {np.ascontiguousarray(image, np.float32).tobytes() for image in images}


@pytest.mark.parametrize("peer", list(PEERS))
def test_a_peer_delivers_every_image_of_an_array_augmented_anew(scale: Scale, tmp_path: Path, peer: str) -> None:
    data = scale.memory
    first, second = two_epochs(peer, data, data.images // data.batch_size, tmp_path)
    for x, y in (first, second):
        assert x.shape == (data.images, data.side_px, data.side_px, 3)
        assert -1 - 1e-6 <= x.min() < -0.9
        assert 0.9 < x.max() <= 1 + 1e-6
        np.testing.assert_array_equal(np.sort(y), np.sort(data.y))
    assert not np.array_equal(first[1], second[1])  # shuffled
    sets = as_set(first[0]), as_set(second[0]), as_set(data.x / 127.5 - 1)
    assert len(set.union(*sets)) == 3 * data.images


@pytest.mark.parametrize("peer", list(PEERS))
def test_a_peer_delivers_every_file_augmented_anew(scale: Scale, tmp_path: Path, peer: str) -> None:
    data = scale.files
    paths, labels = data.listed()
    first, second = two_epochs(peer, data, len(paths) // data.batch_size, tmp_path)
    for x, y in (first, second):
        assert x.shape == (len(paths), data.target_px, data.target_px, 3)
        assert 0 <= x.min() < 60
        assert 200 < x.max() <= 255
        np.testing.assert_array_equal(np.sort(y), np.sort(labels))
    assert len(as_set(first[0]) | as_set(second[0])) == 2 * len(paths)
    # Red, green and blue in this order, and labels that belong to their images.
    for x, y in (first, second):
        for image, label in zip(x, y, strict=True):
            np.testing.assert_allclose(image.mean((0, 1)), mean_colour(paths[label]), atol=45)


def mean_colour(path: str) -> Any:
    with Image.open(path) as image:
        return np.asarray(image, np.float32).mean((0, 1))


# --- processes ---


@pytest.fixture
def instead_of_grain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a module of that text in Grain's place, for the processes that are started."""

    def put(text: str) -> None:
        (tmp_path / "grain.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    return put


def test_a_library_that_is_missing_is_named_with_what_to_install(
    scale: Scale, instead_of_grain: Callable[[str], None]
) -> None:
    instead_of_grain("raise ModuleNotFoundError('no module', name='grain')")
    with pytest.raises(BenchError, match=r"Grain needs grain, which is not installed: pip install 'penstock\[peers\]'"):
        in_process(Job(GRAIN, scale.memory, 0))


def test_a_process_that_fails_is_quoted_and_leaves_no_worker(
    scale: Scale, tmp_path: Path, instead_of_grain: Callable[[str], None]
) -> None:
    alive = tmp_path / "alive"  # a pipe that its worker holds: it ends when the worker does
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    instead_of_grain(
        "import subprocess, sys\n"
        f"alive = open({str(alive)!r}, 'wb', 0)\n"
        "alive.write(b'x')\n"
        "wait = 'import threading; threading.Event().wait()'\n"
        "subprocess.Popen([sys.executable, '-c', wait], stdout=alive)\n"
        "raise RuntimeError('out of grain')"
    )
    with pytest.raises(BenchError, match=r"(?s)Grain failed in its process, exit status 1.*RuntimeError: out of grain"):
        in_process(Job(GRAIN, scale.memory, 0))
    os.set_blocking(reader, True)
    assert (os.read(reader, 9), os.read(reader, 9)) == (b"x", b"")
    os.close(reader)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_who_is_killed_leaves_no_peer_and_no_worker(tmp_path: Path, instead_of_grain: Callable[[str], None]) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    instead_of_grain(
        "import subprocess, sys, threading\n"
        f"alive = open({str(alive)!r}, 'wb', 0)\n"
        "wait = 'import threading; threading.Event().wait()'\n"
        "subprocess.Popen([sys.executable, '-c', wait], stdout=alive)\n"
        "alive.write(b'x')\n"
        "threading.Event().wait()"
    )
    asks = (
        "from penstock.bench._workloads import InMemory\n"
        "from penstock.bench.peers._in_process import in_process\n"
        "from penstock.bench.peers._job import Job\n"
        f"in_process(Job({GRAIN!r}, InMemory(), 0), limit_s=600)"
    )
    with subprocess.Popen([sys.executable, "-c", asks]) as asking:
        readable = selectors.DefaultSelector()
        readable.register(reader, selectors.EVENT_READ)
        assert readable.select(120)
        assert os.read(reader, 1) == b"x"
        asking.kill()
    assert readable.select(60)
    assert os.read(reader, 1) == b""  # both have ended, the peer and its worker
    readable.close(), os.close(reader)


def test_a_process_that_takes_too_long_is_stopped(scale: Scale) -> None:
    with pytest.raises(BenchError, match=r"Grain should be done within 0\.01 s"):
        in_process(Job(GRAIN, scale.memory, 0), limit_s=0.01)


@pytest.mark.parametrize("place", ["memory", "files"])
def test_a_job_survives_being_written_and_read(scale: Scale, place: str) -> None:
    job = Job(TORCH, getattr(scale, place), 1.5, 2, "sample.npz")
    assert Job.from_json(job.to_json()) == job


# --- rows and records ---


def rates(name: str, *values: float) -> SideRecord:
    return SideRecord(name, "images/s", tuple(Reading(value, 1.0, 10) for value in values))


def made_row() -> RowRecord:
    sides = (rates("penstock", 90, 100, 110), rates("one", 20, 20, 20), rates("two", 30, 40, 50))
    claims = (Claim("one", "penstock", "one", PEER, 8), Claim("the best of them", "penstock", ("one", "two"), PEER, 2))
    return RowRecord("peers-memory", "small images", "", {}, sides, claims)


def test_a_claim_against_several_is_one_against_the_best_of_them() -> None:
    row = made_row()
    verdict = row.verdict(row.claims[1])
    assert row.against(row.claims[1]).name == "two"
    assert (verdict.value, verdict.is_met) == (2.5, True)
    assert (verdict.lowest, verdict.highest) == (pytest.approx(110 / 50), 3)
    assert row.against(replace(row.claims[1], kind=EXTRA)).name == "one"  # a difference: the less the better


def test_records_and_tables_of_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = {"one": {"how": "well", "packages": {"one": "1.2"}}}
    machine = Machine("2026-01-02T03:04:05+00:00", "a CPU", 2, 2, 8 << 30, "Linux", "3.11", {}, "1", None)
    row = replace(made_row(), settings={"peers": peers})
    record = Record(machine, {"rounds": 3, "seconds": 2.0}, 1.0, (row, replace(row, name="peers-files")))
    record.save(tmp_path / "record.json")
    assert Record.load(tmp_path / "record.json") == record
    text = table(record)
    assert "| peer, images/s | penstock, images/s |" in text
    assert "| small images: one | 20 | 100 | 5.0x | ≥ 8x ✗ |" in text
    assert "| small images: the best of them | 40 ⚠ | 100 | 2.5x | ≥ 2x ✓ |" in text
    assert text.count("Each in a process of its own: one with one 1.2.") == 1
    readme = tmp_path / "README.md"
    readme.write_text("<!-- bench:begin -->\nmine\n<!-- bench:end -->\n<!-- peers:begin --><!-- peers:end -->")
    assert main(["readme", str(tmp_path / "record.json"), str(readme), "--markers", "peers"]) == 0
    assert readme.read_text() == (
        f"<!-- bench:begin -->\nmine\n<!-- bench:end -->\n<!-- peers:begin -->\n{text.strip()}\n<!-- peers:end -->"
    )


def test_peers_are_measured_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake(peer: str, data: Any, name: str | None = None) -> Side:
        rate = 1 + list(PEERS).index(peer) if name is None else 12
        return Side(name or peer, "images/s", lambda seconds: Reading(rate, 1.0, 1))

    monkeypatch.setattr(_peer_rows, "peer_side", fake)
    out = tmp_path / "record.json"
    words: Sequence[str] = ["--quick", "--cores", "0", "--rows", *PEER_ROW_NAMES, "--out", str(out)]
    assert main(words) == 0, capsys.readouterr().err
    record = Record.load(out)
    assert tuple(row.name for row in record.rows) == PEER_ROW_NAMES == tuple(_peer_rows.PEER_ROWS)
    memory, files = record.rows
    assert [side.name for side in memory.sides] == list(PEERS)
    assert [side.name for side in files.sides] == [*PEERS, "penstock, warm cache"]
    assert [claim.target for claim in memory.claims] == [8, 15, None, 11]
    decoded, cached = files.claims[-2:]
    assert decoded.against == cached.against == OTHERS
    assert [files.verdict(claim).value for claim in (decoded, cached)] == [pytest.approx(1 / 4), 3]
    for row in record.rows:
        assert set(row.settings["peers"]) == set(PEERS)
        assert all(peer["how"] and peer["packages"] for peer in row.settings["peers"].values())
    assert not set(PEER_ROW_NAMES) & set(ROW_NAMES)
    assert tuple(ROWS) == ROW_NAMES

"""The study: who is measured in which order, what the readings come to, and what is written of it."""

from __future__ import annotations

import base64
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from penstock.bench.__main__ import main
from penstock.bench._errors import BenchError
from penstock.bench._measure import Pace
from penstock.bench._table import put_between_markers
from penstock.bench.peers._catalogue import GRAIN, TF_DATA, TORCH
from penstock.bench.study import _page_cache, _peer
from penstock.bench.study.__main__ import main as do_job
from penstock.bench.study._cifar import cached_cifar10, is_cifar10, read_cifar10
from penstock.bench.study._data import Cifar, Photographs, Sleeping, in_batches_of
from penstock.bench.study._findings import Findings
from penstock.bench.study._gauges import Gauges, PieceReading, tree_cpu_s
from penstock.bench.study._models import MODELS, cifar10_model
from penstock.bench.study._opened import Opened, opened_here
from penstock.bench.study._original import FIGURES, study_table
from penstock.bench.study._page import page
from penstock.bench.study._page_cache import cached_share, forget
from penstock.bench.study._peer import PeerJob, check_peer, measure_peer
from penstock.bench.study._plot import picture
from penstock.bench.study._record import StudyRecord
from penstock.bench.study._rounds import Warm, WarmUp, run_rounds, warm_up
from penstock.bench.study._rows import rows_of, titles
from penstock.bench.study._setting import KERAS, MODEL_ALONE, Setting, settings_for, usual_workers
from penstock.bench.study._training import Training
from penstock.bench.study._work import Taking, measure_piece, steps_for
from penstock.cli._bench import LEAST_SIDES_PX
from photographs import write_photographs
from studies import findings, reading, study_record, write_cifar10

ROOT = Path(__file__).parents[2]
NONE, ONE, TWO = (Setting("threads", workers, 32) for workers in (0, 1, 2))
PROCESSES = Setting("processes", 2, 32)
PEER = Setting(TORCH, 2, 32)
GOOD = {NONE: (100.0, 101, 99), ONE: (150.0, 151, 149), TWO: (200.0, 203, 196), PROCESSES: (190.0, 191, 189)}


# --- who is measured, and in which order ---


def test_no_workers_are_measured_once_for_each_size_of_batches() -> None:
    settings = settings_for((2, 0, 1), ("threads", "processes"), (32, 256), ("Keras", TORCH), peer_workers=4)
    assert [setting.label for setting in settings[:7]] == [
        "no workers",
        "1 thread",
        "2 threads",
        "1 process",
        "2 processes",
        "Keras",
        "torch DataLoader, 4 workers",
    ]
    assert [setting.batch_size for setting in settings] == [32] * 7 + [256] * 7
    assert sum(setting.is_baseline for setting in settings) == 2
    assert settings_for((3,), ("threads",), (8,))[0].is_baseline  # the others are compared with it


def test_numbers_of_workers_go_by_the_cpus() -> None:
    assert usual_workers(1) == (0, 1, 2)
    assert usual_workers(6) == (0, 1, 2, 4, 6, 12)


def test_rounds_go_round_the_settings_and_back() -> None:
    told: list[tuple[int, int]] = []
    taken: list[tuple[Setting, PieceReading]] = []
    run_rounds(
        (NONE, ONE, TWO),
        3,
        64,
        lambda setting, images: reading(setting.workers + images),
        lambda setting, number: told.append((number, setting.workers)),
        lambda setting, piece: taken.append((setting, piece)),
    )
    assert told == [(1, 0), (1, 1), (1, 2), (2, 2), (2, 1), (2, 0), (3, 0), (3, 1), (3, 2)]
    assert [(setting, piece.images_per_s) for setting, piece in taken[:2]] == [
        (NONE, pytest.approx(64)),
        (ONE, pytest.approx(65)),
    ]


def test_what_is_done_once_is_in_no_estimate_of_ours() -> None:
    asked: list[tuple[Setting, int]] = []

    def measure(setting: Setting, images: int) -> PieceReading:
        asked.append((setting, images))
        return reading(1000, extra_s=9.0 if len(asked) == 1 else 0.5)

    warm = warm_up((NONE, PEER), measure, lambda setting: None)
    assert asked == [(NONE, 1), (NONE, 300), (PEER, 1)]
    assert [piece.extra_s for piece in warm.pieces] == [0.5, 0.5]
    assert warm.seconds(3200, rounds=2) == pytest.approx(2 * (0.5 + 3.2) * 2)


def test_images_are_chosen_to_fill_the_time() -> None:
    warm = Warm((WarmUp(NONE, 1000.0, 0.5), WarmUp(TWO, 2000.0, 0.5)))
    images = warm.images_within(32.2, rounds=2, most=10**9)
    assert images == 10_000  # 2 rounds of (0.5 + 10) + (0.5 + 5) seconds
    assert warm.images_within(32.0, rounds=2, most=640) == 640
    assert warm.images_within(0.0, rounds=2, most=10**9) == 600  # what the fastest does in 0.3 s


def test_whole_clusters_are_measured() -> None:
    assert [steps_for(32 * 5, Setting("threads", workers, 32)) for workers in (0, 1, 2, 8)] == [5, 5, 6, 8]
    assert steps_for(1, NONE) == 2
    assert steps_for(32 * 5, PEER) == 5


# --- what a piece of work is ---


def test_batches_made_before_are_taken_before_the_clock_starts() -> None:
    events: list[str] = []

    @contextmanager
    def opened(data: Any, setting: Setting) -> Iterator[Opened]:
        def batches() -> Iterator[Any]:
            while True:
                events.append("batch")
                yield np.zeros((32, 1)), np.zeros(32)

        yield Opened(batches(), Pace(lanes=2, ahead=4))
        events.append("closed")

    piece = measure_piece(Cifar(), TWO, 100, Taking(), opened)
    assert piece.images == 4 * 32
    assert piece.wait_s is None
    assert piece.cached_share is None
    assert piece.extra_s >= 0
    assert events == ["batch"] * (6 + 4) + ["closed"]


def test_a_check_that_raises_ends_a_piece() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_piece(Cifar(images=64, batch_size=32), NONE, 10_000, Taking(check), opened_here)


def test_cpu_time_of_processes_below_counts_while_they_live_and_afterwards() -> None:
    code = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint('worked', flush=True)\nsys.stdin.read()\n"
    before = sum(tree_cpu_s())
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"worked\n"
        alive = sum(tree_cpu_s()) - before
    assert alive >= 0.25
    assert sum(tree_cpu_s()) - before >= alive - 0.05  # clocks tick every 10 ms


def test_a_reading_has_time_cpu_time_and_images() -> None:
    with Gauges() as gauges:
        sum(range(100_000))
        piece = gauges.reading(10, 0.5)
    assert piece.images == 10
    assert piece.wait_s == 0.5
    assert piece.wall_s > 0
    assert piece.user_s >= 0
    assert piece.images_per_s == pytest.approx(10 / piece.wall_s)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_images_are_generated_by_ours(kind: str) -> None:
    piece = measure_piece(Cifar(images=48, batch_size=16), Setting(kind, 2, 16), 64, Taking(), opened_here)
    assert piece.images == 64


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In the place of both, which take seconds to compile; each size of batches that it is compiled for."""
    traced: list[int] = []

    class Watched(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            traced.append(x.shape[0])
            return keras.ops.mean(x, (1, 2))

    def made(classes: int, side_px: int) -> Any:
        layers = [keras.Input((side_px, side_px, 3)), Watched(), keras.layers.Dense(classes, "softmax")]
        model = keras.Sequential(layers)
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    for name in MODELS:
        monkeypatch.setitem(MODELS, name, made)
    return traced


def test_a_network_trains_on_what_is_fed(tmp_path: Path, small_network: list[int]) -> None:
    write_photographs(tmp_path, cats=5, dogs=6)
    files = Photographs(tmp_path, 16, images=11, classes=2)
    for data, model in ((Cifar(images=20), "cifar10"), (files, "cats-dogs"), (Sleeping(0.001), "cifar10")):
        checked: list[None] = []
        work = Training(data, model, partial(checked.append, None))
        for setting in (Setting("threads", 2, 8), Setting(MODEL_ALONE, 0, 8)):
            piece = measure_piece(data, setting, 16, work, opened_here)
            assert 11 <= piece.images <= 16  # an epoch's last batch is smaller
            assert piece.wait_s is not None
            assert 0 <= piece.wait_s <= piece.wall_s
        assert len(checked) >= 8


def test_nothing_is_compiled_while_the_clock_runs(tmp_path: Path, small_network: list[int]) -> None:
    write_photographs(tmp_path, cats=5, dogs=6)
    data = Photographs(tmp_path, 16, images=11, classes=2)
    work = Training(data, "cats-dogs")
    with opened_here(data, Setting("threads", 2, 8)) as feed:
        work.warm_up(feed, Setting("threads", 2, 8))
        compiled = list(small_network)
        assert {8, 3} <= set(compiled)
        work.measured(feed, Setting("threads", 2, 8), 4)
    assert small_network == compiled


def test_the_network_is_that_of_keras_s_example() -> None:
    assert cifar10_model().count_params() == 1_250_858


@pytest.mark.parametrize("name", MODELS)
def test_the_networks_take_images_of_the_least_size_and_no_smaller_ones(name: str) -> None:
    least_px = LEAST_SIDES_PX[name]
    assert MODELS[name](2, least_px).output_shape == (None, 2)
    with pytest.raises(ValueError, match="zero or negative"):
        MODELS[name](2, least_px - 1)


def test_a_peer_does_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    job = PeerJob(Setting(KERAS, 0, 8), Cifar(images=20), 16)
    assert PeerJob.from_json(job.to_json()) == job
    files = PeerJob(Setting(GRAIN, 2, 8), Photographs(tmp_path, images=3), 16, "cats-dogs", cold=True)
    assert PeerJob.from_json(files.to_json()) == files
    piece = measure_peer(job)
    assert 12 <= piece.images <= 16
    assert piece.wait_s is None
    assert piece.wall_s > 0


def test_a_peer_trains_too(tmp_path: Path, small_network: list[int]) -> None:
    """What its process does, in this one."""
    answer = tmp_path / "answer.json"
    for data in (Cifar(images=20), Sleeping(0.001)):
        assert do_job([PeerJob(Setting(KERAS, 0, 8), data, 16, "cifar10").to_json(), str(answer)]) == 0
        piece = PieceReading(**json.loads(answer.read_text()))
        assert 12 <= piece.images <= 16
        assert piece.wait_s is not None
        assert 0 < piece.wait_s < piece.wall_s
    assert {8, 4} <= set(small_network)


def test_a_peer_that_cannot_do_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="--latency is for those that take a sequence: Keras and torch DataLoader"):
        check_peer(TF_DATA, True)
    check_peer(TORCH, True)
    monkeypatch.setattr(_peer, "_is_installed", lambda name: name != "grain")
    with pytest.raises(BenchError, match=r"Grain needs grain, which is not installed: pip install .* leave it out"):
        check_peer(GRAIN, False)


# --- what is fed ---


def test_cifar10_is_read_where_keras_keeps_it(tmp_path: Path) -> None:
    assert cached_cifar10({"KERAS_HOME": str(tmp_path)}) is None
    for name in ("cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"):
        folder = tmp_path / "datasets" / name
        write_cifar10(folder)
        assert cached_cifar10({"KERAS_HOME": str(tmp_path)}) == folder
    x, y = read_cifar10(folder, 6)
    assert x.shape == (6, 32, 32, 3)
    assert x.dtype == np.uint8
    assert y.tolist() == [1, 1, 1, 1, 2, 2]
    assert x[0, 0, 0].tolist() == [101, 1, 1]
    data = in_batches_of(Cifar(images=6, folder=folder), 3)
    assert isinstance(data, Cifar)
    np.testing.assert_array_equal(data.x, x)


def test_a_file_that_would_run_something_is_no_cifar10(tmp_path: Path) -> None:
    write_cifar10(tmp_path / "cifar")

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "cifar" / "data_batch_1").write_bytes(pickle.dumps(Evil()))
    assert is_cifar10(tmp_path / "cifar")
    with pytest.raises(
        BenchError, match=r"data_batch_1 should be a file of CIFAR-10, and is not \(it refers to .*mkdir"
    ):
        read_cifar10(tmp_path / "cifar", 1)
    assert not (tmp_path / "ran").exists()


def test_files_are_dropped_from_the_cache_before_they_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photographs(tmp_path, cats=2, dogs=2)
    dropped: list[tuple[str, int]] = []

    def advise(descriptor: int, offset: int, length: int, advice: int) -> None:
        dropped.append((os.readlink(f"/proc/self/fd/{descriptor}"), advice))

    monkeypatch.setattr(_page_cache.os, "posix_fadvise", advise)
    data = Photographs(tmp_path, 32, images=4)
    piece = measure_piece(data, replace(NONE, batch_size=2), 2, Taking(), opened_here, cold=True)
    assert sorted(dropped) == [(path, os.POSIX_FADV_DONTNEED) for path in sorted(data.listed()[0])]
    assert piece.cached_share in (1.0, None)  # since nothing was dropped but in this list


def test_a_system_that_cannot_drop_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_page_cache.os, "posix_fadvise")
    with pytest.raises(BenchError, match="--cold needs posix_fadvise"):
        forget(())
    assert cached_share(()) is None


# --- what the readings come to ---


def test_speed_ups_are_ratios_of_medians_with_an_interval_from_paired_rounds() -> None:
    # Each round twice as fast as without workers, while the machine slows down to a half: paired rounds know that.
    found = findings({NONE: (100, 90, 80, 70, 50), TWO: (200, 180, 160, 140, 100)})
    speed_up = found.speed_up(found.measured[1])
    assert speed_up is not None
    assert (speed_up.value, speed_up.low, speed_up.high) == pytest.approx((2, 2, 2))
    # Unpaired noise makes it wide.
    noisy = findings({NONE: (100, 50, 100, 50, 75), TWO: (100, 200, 150, 100, 200)})
    speed_up = noisy.speed_up(noisy.measured[1])
    assert speed_up is not None
    assert speed_up.low < 1.5 < speed_up.value == 2 < speed_up.high
    assert str(speed_up).startswith("2.00x (")


def test_of_few_rounds_no_interval_is_claimed() -> None:
    one, two = findings({NONE: (100,), TWO: (200,)}), findings({NONE: (100, 100), TWO: (200, 300)})
    assert str(one.speed_up(one.measured[1])) == "2.00x"
    assert str(two.speed_up(two.measured[1])) == "2.50x (2.00 to 3.00)"
    assert "Fewer than three rounds: this shows that it runs, and no speed." in two.warnings()


def test_rounds_that_were_cut_off_are_compared_pairwise() -> None:
    found = findings({NONE: (100, 100), ONE: (300,)})
    assert str(found.speed_up(found.measured[1])) == "3.00x"
    assert findings({ONE: (300,)}).closing_lines() == []
    assert Findings.of((NONE, ONE), {}).measured == ()


def test_it_closes_with_the_best_speed_up_and_at_which_count() -> None:
    found = findings(GOOD | {PEER: (900, 900, 900)})
    (line,) = found.closing_lines()
    assert line.startswith("Best speed-up: 2.00x ")
    assert line.endswith("with 2 threads.")
    assert found.warnings() == []
    worse = findings({NONE: (100, 100, 100), ONE: (90, 90, 90)})
    assert worse.closing_lines() == ["Best speed-up: none; no number of workers was faster than none."]
    (doubtful,) = findings({NONE: (100, 50, 100, 50, 75), TWO: (80, 50, 90, 100, 200)}).closing_lines()
    assert doubtful.endswith("with 2 threads, which may be none at all.")
    large = {replace(setting, batch_size=256): rates for setting, rates in GOOD.items()}
    first, second = findings(GOOD | large).closing_lines()
    assert "in batches of 32: 2.00x" in first
    assert "in batches of 256: 2.00x" in second


def test_what_cannot_be_trusted_is_said() -> None:
    (line,) = findings({NONE: (100, 100, 100), TWO: (100, 200, 300)}).warnings()
    assert line == "Spread too wide to trust (quartiles more than 15 % of the median apart): 2 threads."
    (line,) = findings(GOOD, others_cores=0.5).warnings()
    assert line.startswith("Other programs took up to 0.5 cores during 12 of 12 readings")
    (line,) = findings(GOOD, cached_share=0.4).warnings()
    assert line.startswith("Up to 40 % of the files stayed in the system's cache")


def test_rows_have_as_many_cells_as_there_are_titles() -> None:
    for others in ({}, {"wait_s": 1.0, "cpu_percent": 50.0}, {"wait_s": 1.0, "gpu_percent": 70.0}):
        for trained in (False, True):
            found = findings(GOOD | {PEER: (50, 50, 50)}, **others)
            rows = list(rows_of(found, 2000, trained=trained))
            assert {len(row.cells) for row in rows} == {len(titles(found, trained=trained))}
            assert [row.is_best for row in rows] == [False, False, True, False, False]
    assert {len(row.cells) for row in rows_of(found, 2000, trained=True, compact=True)} == {6}
    assert len(titles(found, trained=True, compact=True)) == 6
    none, *_, two, _, peer = rows
    assert none.cells == ("no workers", "0", "20.0", "10.0", "2.00", "100", "1x", "10 %", "-", "70 %")
    assert two.cells[:3] == ("threads", "2", "10.0")
    assert peer.cells[:2] == ("torch DataLoader", "2")


# --- what is written ---


class Reader(HTMLParser):
    """Tags that are open must be closed, and nothing may be fetched."""

    EMPTY = frozenset({"meta", "source", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("experiment", ["images", "train"])
def test_the_page_needs_nothing_beside_it(experiment: str) -> None:
    large = {replace(setting, batch_size=256): rates for setting, rates in GOOD.items()}
    peers = {PEER: (50, 50, 50), Setting(MODEL_ALONE, 0, 32): (300, 300, 300)}
    made = findings(GOOD | peers | large, wait_s=0.1)
    settings = {"peers": {TORCH: {"how": "well", "packages": {"torch": "2"}}}, "cold": True}
    pictures = {"light": b"by day", "dark": b"by night"}
    text = page(replace(study_record(made, experiment, **settings), is_complete=False), pictures)
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert "script" not in reader.tags
    assert "link" not in reader.tags
    assert len(reader.addresses) == 2
    assert [base64.b64decode(address.removeprefix("data:image/png;base64,")) for address in reader.addresses] == [
        b"by night",
        b"by day",
    ]
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text
    said = "".join(reader.text)
    assert "made <data>" in said  # escaped
    assert "a <CPU>" in said
    assert "Best speed-up in batches of 256: 2.00x" in said
    assert "Stopped before its end" in said
    assert ("waited" in said) == (experiment == "train")
    assert reader.tags.count("tr") == 1 + 10


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_are_drawn_of_whatever_was_measured(theme: str) -> None:
    large = {replace(setting, batch_size=256): rates for setting, rates in GOOD.items()}
    for rates in (GOOD, GOOD | large, {ONE: (5.0,)}, {PROCESSES: (5.0,), PEER: (1.0,)}, {NONE: (5.0,)}):
        with Image.open(io.BytesIO(picture(study_record(findings(rates)), theme))) as image:
            assert image.size == (1500, 660)
            assert image.info["Software"] == "penstock bench"
            assert (np.asarray(image.convert("L"))[0, 0] > 128) == (theme == "light")


def test_a_record_survives_being_written_and_read() -> None:
    record = study_record(findings(GOOD | {PEER: (50, 50, 50)}, wait_s=0.5, gpu_percent=3.0), "train")
    assert StudyRecord.from_json(record.to_json()) == record
    for text in ("[]", "{", '{"made_by": "somebody"}', record.to_json().replace('"version": 1', '"version": 2')):
        with pytest.raises(BenchError, match="this is no record of `penstock bench`"):
            StudyRecord.from_json(text)


def test_the_studys_figures_stand_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = {replace(setting, batch_size=1024): (values[0] / 2,) * 3 for setting, values in GOOD.items()}
    alone = {Setting(MODEL_ALONE, 0, 32): (300, 300, 300)}
    records = [
        study_record(findings(GOOD)),
        study_record(findings(GOOD | alone | large, wait_s=0.0), "train", command="penstock bench train"),
        study_record(findings({NONE: (10, 30, 50), TWO: (20, 60, 100)}), "train", place="disk"),
    ]
    lines = study_table(records).splitlines()
    assert any("Spread too wide to trust" in line for line in lines)
    assert len([line for line in lines if line.startswith("|")]) == 2 + len(FIGURES)
    memory, small, middle, larger, largest, best, disk = lines[2:9]
    assert memory.startswith("| Generating images, in memory | 2.01x with 7 processes | 2.00x ")
    assert memory.endswith("with 2 threads | 100 → 200 | - |")
    assert "batches of 32 | 1.8x | 2.00x" in small
    assert small.endswith("100 → 200 | 3.00x |")
    assert middle.endswith("batches of 256 | 3.3x | - | - | - |")
    assert larger.endswith("50 → 100 | - |")
    assert largest.endswith("| - | - | - |")
    assert "best number of processes | 3.51x with 9 processes | 2.00x" in best
    assert "⚠" in disk
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- study:begin -->\nold\n<!-- study:end -->\n")
    paths = []
    for number, record in enumerate(records):
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(record.to_json())
    assert main(["study", str(readme), *map(str, paths)]) == 0
    text = study_table(records).strip()
    assert readme.read_text() == f"a\n<!-- study:begin -->\n{text}\n<!-- study:end -->\n"
    (tmp_path / "other.json").write_text("{}")
    assert main(["study", str(readme), str(tmp_path / "other.json")]) == 2
    assert "no record of `penstock bench`" in capsys.readouterr().err


def test_the_readmes_table_is_that_of_the_records() -> None:
    paths = sorted((ROOT / "benchmarks" / "records").glob("study_*.json"))
    block = study_table([StudyRecord.load(path) for path in paths])
    text = (ROOT / "README.md").read_text("utf-8")
    assert text == put_between_markers(text, block, "study")

"""A picture of what was measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from penstock.monitor._monitor import Monitor
from penstock.monitor._plot import plot
from penstock.monitor._records import Mark, Records

mpl = pytest.importorskip("matplotlib")

ROWS = 40
MARKS = (
    Mark(0.1, "epoch 1"),
    Mark(1.0, "validation"),
    Mark(1.5, "validation", is_end=True),
    Mark(1.5, "epoch 1", is_end=True),
    Mark(1.5, "callbacks"),
    Mark(2.0, "callbacks", is_end=True),
    Mark(2.0, "epoch 2"),
)


@pytest.fixture(autouse=True)
def _own_style() -> object:
    with mpl.rc_context({"backend": "agg"}):
        yield


def records_of(*names: str, marks: tuple[Mark, ...] = MARKS) -> Records:
    time_s = np.arange(ROWS) / 10
    return Records({"time_s": time_s, **{name: 10 + 5 * np.sin(time_s) for name in names}}, marks)


ALL = (
    "cpu_percent",
    "worker_0_cpu_percent",
    "worker_1_cpu_percent",
    "memory_mb",
    "disk_read_mb_per_s",
    "feed_0_ready_batches",
    "feed_0_queue_percent",
    "feed_0_busy_workers",
    "feed_0_samples_per_s",
    "feed_0_wait_percent",
)


def titles(figure: object) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]  # type: ignore[attr-defined]


def test_there_is_a_panel_for_each_thing_that_was_measured() -> None:
    assert titles(plot(records_of(*ALL), None, vert=False)) == [
        "CPU of the machine, %",
        "CPU of each worker, %",
        "training waits for data, %",
        "samples/s",
        "queue, % full",
        "memory, GB",
        "read from disk, MB/s",
    ]


def test_gpus_have_panels_where_there_are_any() -> None:
    drawn = plot(records_of("cpu_percent", "gpu_0_percent", "gpu_1_percent", "gpu_0_memory_mb"), None, vert=True)
    assert titles(drawn) == ["CPU of the machine, %", "GPU, %", "GPU memory, GB"]
    gpus = drawn.axes[1]
    assert [text.get_text() for text in gpus.get_legend().get_texts()] == ["0", "1"]
    assert gpus.get_ylim() == (0, 100)
    assert drawn.axes[2].lines[0].get_ydata().max() < 0.1  # 10 MB are 0.01 GB


def test_what_is_never_more_than_nothing_has_no_panel_but_a_share_of_nothing_has() -> None:
    records = records_of("cpu_percent", "disk_read_mb_per_s", "memory_mb")
    records.columns["disk_read_mb_per_s"][:] = 0
    records.columns["cpu_percent"][:] = 0
    records.columns["memory_mb"][:] = np.nan
    assert titles(plot(records, None, vert=True)) == ["CPU of the machine, %"]


def test_panels_are_side_by_side_or_one_above_the_other() -> None:
    beside, above = plot(records_of(*ALL), "mine", vert=False), plot(records_of(*ALL), None, vert=True)
    assert len({axes.get_position().x0 for axes in beside.axes}) == 3
    assert len({axes.get_position().x0 for axes in above.axes}) == 1
    assert beside.get_suptitle() == "mine"
    # The lowest one of each column says what the axis is, wherever it is.
    assert [axes.get_xlabel() for axes in beside.axes[:7]] == [""] * 4 + ["seconds"] * 3
    assert [axes.get_xlabel() for axes in above.axes] == [""] * 6 + ["seconds"]


def test_epochs_validation_and_callbacks_are_marked_and_explained() -> None:
    figure = plot(records_of("cpu_percent", "memory_mb"), None, vert=True)
    for axes in figure.axes:
        borders, *shades = axes.collections
        assert [shade.get_label() for shade in shades] == ["validation", "callbacks"]
        assert [(line[0, 0], *line[:, 1]) for line in borders.get_segments()] == [(0.1, 0, 1), (2.0, 0, 1)]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["validation", "callbacks"]
    assert not plot(records_of("cpu_percent", marks=()), None, vert=True).legends


def test_of_very_many_epochs_no_border_is_drawn_and_no_artist_for_each() -> None:
    marks = [
        Mark(k / 1000, f"{kind} {k}", is_end)
        for k in range(1000)
        for kind in ("epoch", "validation")
        for is_end in (False, True)
    ]
    (axes,) = plot(records_of("cpu_percent", marks=tuple(marks)), None, vert=True).axes
    assert len(axes.collections) == 1
    assert len(axes.collections[0].get_paths()) == 1000


def test_gaps_stay_gaps() -> None:
    records = records_of("feed_0_samples_per_s")
    records.columns["feed_0_samples_per_s"][:20] = np.nan
    (axes,) = plot(records, None, vert=True).axes
    drawn = axes.lines[0].get_ydata()
    assert np.isnan(drawn[:20]).all()
    assert np.isfinite(drawn[20:]).all()


@pytest.mark.parametrize(("rows", "window"), [(15, 1), (100, 5), (1000, 10)])
def test_lines_are_means_over_a_second_or_less_of_a_short_time(rows: int, window: int) -> None:
    once = np.zeros(rows)
    once[rows // 2] = 60.0
    (axes,) = plot(Records({"time_s": np.arange(rows) / 10, "cpu_percent": once}), None, vert=True).axes
    drawn = axes.lines[0].get_ydata()
    assert np.count_nonzero(drawn) == window
    np.testing.assert_allclose(drawn[drawn > 0], 60 / window)


def test_a_use_of_more_than_all_is_seen() -> None:
    """A process may use several cores."""
    records = records_of("worker_0_cpu_percent")
    records.columns["worker_0_cpu_percent"][:] = 180
    (axes,) = plot(records, None, vert=True).axes
    assert axes.get_ylim()[1] >= 180


@pytest.mark.parametrize("rows", [1, 2])
def test_a_short_time_can_be_drawn(rows: int, tmp_path: Path) -> None:
    records = records_of("cpu_percent", marks=())
    short = Records({name: records[name][:rows] for name in records})
    plot(short, None, vert=False).savefig(tmp_path / "short.png")


def test_nothing_measured_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"Nothing has been measured yet: `start\(\)` the monitor"):
        Monitor(feeds=list).plot()


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"`plot` needs matplotlib: pip install penstock\[plot\]"):
        plot(records_of("cpu_percent"), None, vert=False)


def test_the_style_that_is_set_is_used(tmp_path: Path) -> None:
    for style, is_dark in (("default", False), ("dark_background", True)):
        with mpl.style.context(style):
            plot(records_of(*ALL), "mine", vert=False).savefig(tmp_path / "plot.png")
        with Image.open(tmp_path / "plot.png") as image:
            corner = np.asarray(image.convert("L"))[0, 0]
        assert (corner < 128) == is_dark


def test_no_display_is_needed_and_no_figure_stays_open(tmp_path: Path) -> None:
    code = (
        "from penstock.monitor._monitor import Monitor\n"
        "with Monitor(feeds=list) as monitor: pass\n"
        f"monitor.save({str(tmp_path / 'plot.png')!r})\n"
        "from matplotlib import pyplot\n"
        "print(pyplot.get_fignums())"
    )
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    bare = {name: value for name, value in os.environ.items() if name not in displays}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    with Image.open(tmp_path / "plot.png") as image:
        assert image.width > 500

"""`penstock runs` and `penstock compare` as a user runs them."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from penstock import StoreError
from penstock.cli._app import app
from penstock.cli._compare import CompareOptions, run_compare
from penstock.cli._compare_report import CompareReport
from penstock.cli._endings import CommandError
from penstock.cli._runs import RunsOptions, run_runs
from penstock.cli._runs_report import RunsReport
from penstock.cli._where import parse_where
from penstock.tracking._processes import Process
from stores import FakeStore

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def store() -> FakeStore:
    """Three runs: of 32 and 64 images in a batch, and one that is at it."""
    made = FakeStore()
    for number, (batch, accuracies) in enumerate([("32", [0.5, 0.75]), ("64", [0.6, 0.9]), ("128", [])]):
        tags = {"mlflow.source.name": "/home/me/train.py", **Process.this().as_tags()}
        run = made.begin(None, f"run-{number}", tags, 1000.0 * number)
        made.log_params(
            run, {"flow.batch_size": batch, "flow.seed": "7", "optimizer.kind": "Adam", "code.commit": "abc"}
        )
        made.log_params(run, {"data.fingerprint": "same"})
        made.log_file(run, "penstock/script/train.py", f"import penstock\nbatch_size = {batch}\n".encode())
        made.log_file(run, "penstock/packages.txt", b"numpy==2.0\nkeras==3.15\n" + (b"new==1\n" if number else b""))
        for epoch, accuracy in enumerate(accuracies):
            figures = {"val_accuracy": accuracy, "loss": 1 - accuracy, "images_per_s": 1234.0, "input_wait_share": 0.25}
            made.log_metrics(run, figures, epoch, 0.0)
        if accuracies:
            made.set_tags(run, {"penstock.verdict": "waited <b>1 %</b>"})
            made.end(run, "FINISHED", 1000.0 * number + 90)
    return made


def console(out: io.StringIO, width: int = 240) -> Console:
    return Console(file=out, width=width, markup=False, highlight=False)


def listed(store: FakeStore, where: str = "", sort: str = "", limit: int = 20, width: int = 240) -> str:
    out = io.StringIO()
    run_runs(RunsOptions(None, where, limit, sort), RunsReport(console(out, width)), lambda _: store)
    return out.getvalue()


def ids(text: str) -> list[str]:
    return re.findall(r"^\s*(0000000\d)", text, re.MULTILINE)


def test_runs_are_listed_the_newest_first(store: FakeStore) -> None:
    said = listed(store)
    assert ids(said) == ["00000003", "00000002", "00000001"]
    line = next(line for line in said.splitlines() if "00000002" in line)
    for word in (
        "run-1",
        "FINISHED",
        "90.0 s",
        "train.py",
        "batch 64",
        "seed 7",
        "val_accuracy 0.9",
        "loss 0.1",
        "1,234",
        "25 %",
    ):
        assert word in line
    assert said.rstrip().endswith("3 runs in fake://")
    assert ids(listed(store, limit=1)) == ["00000003"]


def test_a_narrow_terminal_has_room_for_what_tells_runs_apart(store: FakeStore) -> None:
    for width, words in ((80, ()), (120, ("1,234", "25 %"))):
        said = listed(store, width=width)
        assert ids(said) == ["00000003", "00000002", "00000001"]
        for word in ("run-1", "FINISHED", "90.0 s", "val_accuracy 0.9", "loss 0.1", *words):
            assert word in said
        assert "…" not in said
        assert max(map(len, said.splitlines())) <= width


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("val_accuracy > 0.8", ["00000002"]),
        ("val_accuracy<=0.75", ["00000001"]),
        ("metrics.val_accuracy >= 0.75 and params.flow.batch_size = 64", ["00000002"]),
        ("batch_size < 100", ["00000002", "00000001"]),  # by number
        ("optimizer.kind = adam AND status != 'FINISHED'", ["00000003"]),
        ("seconds = 90", ["00000002", "00000001"]),
        ("name = run-0", ["00000001"]),
        ("seed = 8", []),
    ],
)
def test_conditions(store: FakeStore, where: str, expected: list[str]) -> None:
    assert ids(listed(store, where)) == expected


def test_they_are_sorted_by_number_with_those_without_last(store: FakeStore) -> None:
    assert ids(listed(store, sort="val_accuracy")) == ["00000001", "00000002", "00000003"]
    assert ids(listed(store, sort="-val_accuracy")) == ["00000002", "00000001", "00000003"]
    assert ids(listed(store, sort="-batch_size")) == ["00000003", "00000002", "00000001"]


def test_what_is_no_condition_is_said(store: FakeStore) -> None:
    for text in ("val_accuracy", "> 3", "a > 1 or b > 2", "a > 1 and", "a = 'x"):
        with pytest.raises(CommandError, match="--where should be comparisons such as"):
            parse_where(text)
    with pytest.raises(CommandError, match=r"--where names 'val_acuracy', .*; did you mean 'val_accuracy'"):
        listed(store, "val_acuracy > 1")
    with pytest.raises(CommandError, match="--sort names 'zzzz', which none of the runs has"):
        listed(store, sort="-zzzz")


def test_an_empty_store_and_conditions_that_nothing_meets() -> None:
    assert listed(FakeStore()).strip() == "No runs in fake://."
    assert "No such runs" in listed(FakeStore(), "val_accuracy > 1")


def test_runs_whose_program_is_gone_are_marked_first(store: FakeStore) -> None:
    store.set_tags("00000003", replace(Process.this(), began_s=1.0).as_tags())
    assert "KILLED" in listed(store)


def compared(store: FakeStore, *runs: str, out: Path | None = None) -> str:
    said = io.StringIO()
    run_compare(CompareOptions(runs, None, out), CompareReport(console(said)), lambda _: store)
    return said.getvalue()


def test_what_differs_is_shown_side_by_side(store: FakeStore) -> None:
    said = compared(store, "00000001", "run-1")
    assert "settings: 1 difference, 2 the same" in said
    assert re.search(r"flow\.batch_size +32 +64", said)
    assert "data: 1 entry, all the same" in said
    assert "code: 1 difference, 3 the same" in said
    assert re.search(r"version\.new +- +1", said)
    assert "-batch_size = 32\n+batch_size = 64" in said
    assert re.search(r"val_accuracy +0\.75 +0\.9", said)


def test_streams_are_compared_as_far_as_all_have_digests(store: FakeStore) -> None:
    for run, digests in (("00000001", "aa bb cc"), ("00000002", "aa bb"), ("00000003", "aa dd")):
        known = {"digests": digests, "digest": digests.split()[-1], "digest_batches": str(len(digests.split()))}
        store.log_params(run, {f"stream.{name}": value for name, value in known.items()})
    assert "data: 2 entries, all the same" in compared(store, "00000001", "00000002")  # no more was there time for
    assert re.search(r"stream\.digest of epoch 0, 2 batches +bb +bb +dd", compared(store, *ids(listed(store))[::-1]))


def test_the_same_number_is_no_difference(store: FakeStore) -> None:
    for run, word, version in (("00000001", "20", "2.1"), ("00000002", "20.0", "2.10")):
        store.log_params(run, {"generator.rotation_range": word, "version.scipy": version})
    said = compared(store, "00000001", "00000002")
    assert "rotation_range" not in said
    assert re.search(r"version\.scipy +2\.1 +2\.10", said)


def test_the_page_needs_nothing_else_and_says_all_of_it(store: FakeStore, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    assert compared(store, "00000001", "00000002", out=path).endswith(f"Wrote {path}\n")
    page = path.read_text()
    assert page.count("data:image/svg+xml;base64,") == 2
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "waited &lt;b&gt;1 %&lt;/b&gt;" in page
    assert "<del>-batch_size = 32</del>\n<ins>+batch_size = 64</ins>" in page
    assert "prefers-color-scheme: dark" in page
    compared(store, "00000001", "00000003", out=path)  # its own, which it replaces
    assert "00000003" in path.read_text()


def test_the_picture_shows_the_curves(store: FakeStore, tmp_path: Path) -> None:
    compared(store, "00000001", "00000002", out=tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 800
        assert len(set(picture.convert("RGB").get_flattened_data())) > 10
    compared(store, "00000001", "00000002", out=tmp_path / "curves.png")


@pytest.mark.parametrize("name", ["mine.html", "mine.png"])
def test_files_of_the_users_stay(store: FakeStore, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<p>mine</p>")
    with pytest.raises(CommandError, match="is in the way, and `penstock compare` did not make it"):
        compared(store, "00000001", "00000002", out=tmp_path / name)
    assert (tmp_path / name).read_text() == "<p>mine</p>"


def test_runs_that_there_are_not(store: FakeStore) -> None:
    with pytest.raises(CommandError, match="fake:// has no run 'abc'"):
        compared(store, "00000001", "abc")
    with pytest.raises(CommandError, match=r"'0000' stands for several runs: 00000001 \(run-0\), 00000002"):
        compared(store, "0000", "00000001")
    with pytest.raises(CommandError, match="Runs should be different ones"):
        compared(store, "00000001", "run-0")


@pytest.mark.parametrize("arguments", [["runs"], ["compare", "a", "b"]])
def test_where_there_is_no_store_one_line_and_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "should be a store of MLflow's, and there is none" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["compare", "a"], ["compare", "a", "b", "--out", "x.txt"], ["runs", "--limit", "0"], ["runs", "--where", "x"]],
)
def test_bad_input_is_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_without_mlflow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mlflow", "mlflow.tracking"):
        monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(app, ["runs"])
    assert result.exit_code == 2
    assert 'this needs mlflow, which is not installed. pip install "penstock[track]"' in result.stderr


def test_trouble_of_the_store_is_one_line(store: FakeStore) -> None:
    store.broken = {"runs"}
    with pytest.raises(StoreError, match="runs is broken"):
        listed(store)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_mlflows_own_pages_show_a_run(mlflow_store: str, tmp_path: Path) -> None:
    from penstock.tracking._mlflow import MlflowStore

    written = MlflowStore(mlflow_store, make=False)
    run = written.begin(None, "seen-in-a-browser", {}, 1000.0)
    written.log_params(run, {"flow.batch_size": "4321"})
    written.log_metrics(run, {"val_accuracy": 0.875}, 0, 1001.0)
    written.end(run, "FINISHED", 1002.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", mlflow_store, "--port", str(port)]
    quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=quiet,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server)
        page = in_browser(f"http://127.0.0.1:{port}/#/experiments/0/runs/{run}", tmp_path)
    finally:
        end_session(server)
    assert "seen-in-a-browser" in page
    assert "4321" in page
    assert "0.875" in page


def wait_for(url: str, server: subprocess.Popen[Any]) -> None:
    until_s = perf_counter() + 120
    while server.poll() is None and perf_counter() < until_s:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            with socket.socket() as pause:  # as long as a connection to nobody is tried
                pause.settimeout(0.2)
                pause.connect_ex(("192.0.2.1", 9))
    raise AssertionError("the server did not answer")


def in_browser(url: str, folder: Path) -> str:
    """What the page is once its scripts have run."""
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={folder}", "--virtual-time-budget=8000", "--timeout=60000", "--dump-dom", url,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def end_session(server: subprocess.Popen[Any]) -> None:
    import psutil  # type: ignore[import-untyped]

    ours = [server, *psutil.Process(server.pid).children(recursive=True)] if server.poll() is None else [server]
    for process in ours:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.wait(30)

"""MLflow's stores on disk."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from penstock import StoreError
from penstock.tracking._code import commit_of
from penstock.tracking._files import files_fingerprint

pytest.importorskip("mlflow")
from penstock.tracking._mlflow import MlflowStore


def test_what_is_written_is_read(
    mlflow_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = MlflowStore(mlflow_store, make=False)
    run = store.begin("an experiment", "a name", {"a tag": "x" * 9000}, 1000.5)
    store.log_params(
        run, {f"part.{number}": str(number) for number in range(250)} | {"long": "y" * 9000, "odd=[0]": "z"}
    )
    store.log_metrics(run, {"loss": 2.0, "nan": float("nan")}, 0, 1001.0)
    store.log_metrics(run, {"loss": 1.5}, 1, 1002.0)
    store.log_file(run, "penstock/deep/file.txt", b"content")
    store.set_tags(run, {"a tag": "short"})
    (before,) = store.matching(run[:12])
    assert (before.status, before.ended_s) == ("RUNNING", None)
    assert run in [each.id for each in store.runs(100, "RUNNING")]
    store.end(run, "KILLED", 1003.0)
    (found,) = store.matching("a name")
    assert (found.id, found.name, found.status, found.began_s, found.ended_s) == (
        run,
        "a name",
        "KILLED",
        1000.5,
        1003.0,
    )
    assert len(found.params) == 252
    assert found.params["part.249"] == "249"
    assert len(found.params["long"]) == 6000
    assert found.params["odd__0_"] == "z"
    assert found.tags["a tag"] == "short"
    assert found.metrics["loss"] == 1.5
    assert [(point.step, point.value) for point in store.history(run, "loss")] == [(0, 2.0), (1, 1.5)]
    assert store.read_file(run, "penstock/deep/file.txt") == b"content"
    assert store.read_file(run, "penstock/deep/other.txt") is None
    assert store.matching("no such run' OR 'x") == []
    quoted = store.begin(None, "it's", {"a\nb": "c\nd"}, 1004.0)
    assert [each.id for each in store.matching("it's")] == [quoted]
    store.end(quoted, "FINISHED")
    assert list(tmp_path.iterdir()) == []  # files lie beside the store, wherever the program works
    assert run not in [each.id for each in store.runs(100, "RUNNING")]
    assert capfd.readouterr() == ("", "")  # MLflow would draw bars


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for uri in ("sqlite:///nothing.db", f"sqlite:///{tmp_path}/nothing.db", "nothing", f"file://{tmp_path}/nothing"):
        with pytest.raises(StoreError, match="nothing"):
            MlflowStore(uri, make=False)
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="there is none"):
        MlflowStore("sqlite:///empty.db", make=False)
    assert [path.name for path in tmp_path.iterdir()] == ["empty.db"]
    assert (tmp_path / "empty.db").stat().st_size == 0


def test_a_store_of_another_version_is_left_as_it_is(mlflow_store: str, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(Path(mlflow_store.removeprefix("sqlite:///")).read_bytes())
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
        database.commit()
    before = path.read_bytes()
    for make in (True, False):
        with pytest.raises(StoreError, match=r"another version of MLflow \(schema cfd24bdc0731; .*mlflow db upgrade"):
            MlflowStore(f"sqlite:///{path}", make=make)
    assert path.read_bytes() == before


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("my notes")
    for make in (True, False):
        with pytest.raises(StoreError, match="should be a store of MLflow's, and is not"):
            MlflowStore(f"sqlite:///{path}", make=make)
    assert path.read_text() == "my notes"


def test_a_file_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be made: unable to open .*folder, '.*nowhere', should be there"):
        MlflowStore(f"sqlite:///{tmp_path}/nowhere/mlflow.db", make=True)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StoreError, match=r"http://\*\*\*@127.0.0.1:9 cannot be used") as failed:
        MlflowStore("http://me:hunter2@127.0.0.1:9", make=False).runs(1)
    assert "hunter2" not in str(failed.value)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "-q", "-b", "trunk")
    assert commit_of(tmp_path) is None  # nothing yet
    (tmp_path / "deep").mkdir()
    (tmp_path / "train.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = commit_of(tmp_path / "deep")
    assert clean is not None
    assert (len(clean.id), clean.branch, clean.diff, clean.untracked, clean.is_dirty) == (40, "trunk", "", (), False)
    (tmp_path / "train.py").write_text('x = 2\nTOKEN = "hunter2"\n')
    (tmp_path / "new.py").write_text("")
    (tmp_path / "ignored").write_text("")
    dirty = commit_of(tmp_path / "deep")
    assert dirty is not None
    assert dirty.is_dirty
    assert dirty.untracked == ("new.py",)
    assert dirty.diff is not None
    assert '+x = 2\n+TOKEN = "***"\n' in dirty.diff


def test_files_are_told_by_names_sizes_and_times(tmp_path: Path) -> None:
    def told(names: tuple[str, ...] = ("a", "b")) -> tuple[str, str]:
        found = files_fingerprint([str(tmp_path / name) for name in names], names)
        return found["fingerprint"], found["fingerprint_without_times"]

    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"22")
    first = told()
    assert files_fingerprint([str(tmp_path / "a")], ["a"])["bytes"] == "1"
    assert told() == first
    assert told(("b", "a"))[1] != first[1]
    import os

    os.utime(tmp_path / "a", (1, 1))
    assert told()[0] != first[0]
    assert told()[1] == first[1]
    (tmp_path / "a").write_bytes(b"11")
    assert told()[1] != first[1]
    (tmp_path / "a").unlink()
    assert told()[1] != first[1]

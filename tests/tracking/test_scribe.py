"""The process that writes, without a process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock import StoreError
from penstock.tracking._killed import mark_killed
from penstock.tracking._messages import Answer, Began, End, Epoch, Message, More, Trouble
from penstock.tracking._processes import Process
from penstock.tracking._scribe import Scribe
from penstock.tracking._store import Run
from stores import FakeStore, begin


def written(messages: Sequence[Message | None], store: FakeStore | None = None) -> tuple[FakeStore, list[Answer]]:
    store = FakeStore() if store is None else store
    told: list[Answer] = []
    left = list(messages)
    Scribe(lambda _: store, told.append).write_all(lambda: left.pop(0))
    return store, told


def only(store: FakeStore) -> Run:
    (run,) = store.kept.values()
    return run


def test_a_run_is_written_from_begin_to_end(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text('TOKEN = "hunter2"\n')
    store, told = written(
        [
            begin(script=str(script), folder=str(tmp_path), argv=("train.py", "3")),
            More(params={"stream.digest": "abc"}),
            Epoch(0, {"loss": 2.0}, 1001.0),
            Epoch(1, {"loss": 1.0}, 1002.0),
            More(tags={"penstock.verdict": "fine"}, files={"x.txt": b"x"}),
            End("FINISHED", 1003.0),
        ]
    )
    run = only(store)
    assert (run.status, run.began_s, run.ended_s) == ("FINISHED", 1000.0, 1003.0)
    assert run.params["flow.batch_size"] == "4"
    assert run.params["stream.digest"] == "abc"
    assert run.params["version.keras"][0].isdigit()
    assert int(run.params["machine.cores_usable"]) >= 1
    assert run.tags["mlflow.source.name"] == str(script)
    assert run.tags["penstock.verdict"] == "fine"
    assert [point.value for point in store.history(run.id, "loss")] == [2.0, 1.0]
    assert store.files[run.id, "penstock/script/train.py"] == b'TOKEN = "***"\n'
    assert store.files[run.id, "penstock/model.txt"] == b"a model"
    assert b"numpy==" in store.files[run.id, "penstock/packages.txt"]
    assert json.loads(store.files[run.id, "penstock/run.json"])["argv"] == ["train.py", "3"]
    assert told == [Began(run.id, "fake://")]


def test_where_the_program_is_gone_the_run_was_killed() -> None:
    store, told = written([begin(), Epoch(0, {"loss": 2.0}, 1001.0), None])
    assert only(store).status == "KILLED"
    assert only(store).tags["penstock.end"] == "the program was killed"
    assert len(told) == 1


def test_what_cannot_be_written_is_told_and_the_rest_is_written() -> None:
    store = FakeStore(broken={"log_metrics"})
    _, told = written([begin(), Epoch(0, {"loss": 2.0}, 1.0), More(tags={"a": "b"}), End("FINISHED", 2.0)], store)
    assert told[1:] == [Trouble("log_metrics is broken")]
    assert (only(store).status, only(store).tags["a"]) == ("FINISHED", "b")


def test_a_store_that_has_gone_is_given_up() -> None:
    store = FakeStore(broken={"log_metrics"})
    asked: list[Message] = []

    def endless() -> Message:
        asked.append(begin() if not asked else Epoch(0, {"loss": 2.0}, 1.0))
        return asked[-1]

    told: list[Answer] = []
    Scribe(lambda _: store, told.append).write_all(endless)
    assert len(asked) == 4
    assert len(told) == 4


def test_a_store_that_cannot_be_opened_ends_it() -> None:
    def refuse(_: Any) -> Any:
        raise StoreError("no such store")

    told: list[Answer] = []
    Scribe(refuse, told.append).write_all(begin)
    assert told == [Trouble("no such store")]


def test_runs_whose_program_is_gone_are_marked() -> None:
    store, here = FakeStore(), Process.this()
    gone = replace(here, began_s=here.began_s - 1000)
    alive = store.begin(None, None, here.as_tags(), 1.0)
    dead = store.begin(None, None, gone.as_tags(), 1.0)
    ended = store.begin(None, None, gone.as_tags(), 1.0)
    store.end(ended, "FINISHED", 2.0)
    elsewhere = store.begin(None, None, replace(gone, host="elsewhere").as_tags(), 1.0)
    nobodys = store.begin(None, None, {}, 1.0)
    assert mark_killed(store) == [dead]
    statuses = [store.kept[run].status for run in (alive, dead, ended, elsewhere, nobodys)]
    assert statuses == ["RUNNING", "KILLED", "FINISHED", "RUNNING", "RUNNING"]
    store.broken = {"end", "set_tags"}
    store.begin(None, None, gone.as_tags(), 1.0)
    assert mark_killed(store) == []


def test_a_process_is_gone_only_where_that_is_certain() -> None:
    here = Process.this()
    assert Process.of_tags(here.as_tags()) == here
    assert not here.is_gone(here)
    assert replace(here, pid=2**22 + 1).is_gone(here)  # beyond the largest number
    assert replace(here, began_s=1.0).is_gone(here)
    assert not replace(here, began_s=1.0, namespace="pid:[1]").is_gone(here)
    known = replace(here, machine="m", boot="first")
    assert known.is_gone(replace(known, boot="second"))
    assert not known.is_gone(replace(known, boot="second", machine="n"))
    assert not replace(known, machine="").is_gone(replace(known, boot="second", machine=""))

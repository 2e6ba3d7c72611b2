"""`penstock.callbacks.Tracker`: one line in `fit`."""

from __future__ import annotations

import gc
import json
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from penstock import ImageDataGenerator, feed
from penstock.callbacks import Tracker
from penstock.feeding._plan import Shard
from penstock.keras import _tracker
from penstock.keras._fit_call import FitCall
from penstock.keras._program import how_it_ends
from penstock.keras._ranks import Ranks
from penstock.keras._run_params import fingerprints
from penstock.tracking._messages import Begin, End, Epoch, More

if find_spec("mlflow") is None:  # importing it takes seconds
    pytest.skip("needs mlflow", allow_module_level=True)

X = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 1), np.uint8)
Y = np.arange(24) % 2


class Sent:
    """Stands for the recorder, and keeps what it is sent."""

    made: list[Sent]

    def __init__(self, begin: Begin, at_loss: Callable[[], End], patience_s: float) -> None:
        self.begin, self.at_loss, self.patience_s = begin, at_loss, patience_s
        self.messages: list[Any] = []
        self.troubles: list[str] = []
        self.has_ended = False
        self.store = "fake://"
        Sent.made.append(self)

    def send(self, message: Any) -> None:
        self.messages.append(message() if callable(message) else message)

    def end(self, end: End) -> None:
        self.messages.append(end)
        self.has_ended = True

    def lose(self) -> None:
        self.end(self.at_loss())

    def run_id(self, timeout_s: float) -> str | None:
        return "12345678abcdef"

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    @property
    def params(self) -> dict[str, str]:
        params = dict(self.begin.params)
        for more in self.of(More):
            params |= more.params
        return params


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> type[Sent]:
    Sent.made = []
    monkeypatch.setattr(_tracker, "Recorder", Sent)
    return Sent


def make_model() -> Any:
    model = keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.125), "mse", metrics=["mae"])
    return model


def make_flow(**keywords: Any) -> Any:
    return ImageDataGenerator(rotation_range=30, rescale=1 / 255).flow(X, Y, 8, seed=5, **{"workers": 0, **keywords})


class Failing(keras.callbacks.Callback):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        raise self.error


def test_settings_of_the_users_are_recorded_without_secrets(sent: type[Sent]) -> None:
    tracker = Tracker(settings={"schedule": "cosine", "warm_up": 0.5, "api_key": "hunter2"})
    with make_flow() as flow:
        make_model().fit(flow, verbose=0, callbacks=[tracker])
    (run,) = sent.made
    recorded = {name: value for name, value in run.params.items() if name.startswith("settings.")}
    assert recorded == {"settings.schedule": "cosine", "settings.warm_up": "0.5", "settings.api_key": "***"}


def test_a_loop_of_ones_own_says_how_a_run_ended_and_the_next_ends_anew(sent: type[Sent]) -> None:
    tracker = Tracker()
    tracker.set_model(make_model())
    tracker.on_train_begin()
    tracker.ends_as("KILLED", "SIGTERM of postgresql://me:hunter2@host")
    tracker.on_train_end()
    tracker.on_train_begin()
    tracker.on_train_end()
    ends = [(end.status, end.reason) for run in sent.made for end in run.of(End)]
    assert ends == [("KILLED", "SIGTERM of postgresql://***@host"), ("FINISHED", "")]


@pytest.mark.backends
def test_a_run_is_recorded_from_settings_to_verdict(
    sent: type[Sent], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--token", "hunter2", "--epochs", "2"])
    monkeypatch.setenv("KERAS_SECRET", "hunter2")
    with make_flow() as flow:
        make_model().fit(
            flow,
            epochs=2,
            validation_data=make_flow(shuffle=False),
            verbose=0,
            callbacks=[Tracker(tags={"why": "test", "my_key": "k"})],
        )
        expected = flow.digest(0)
    (run,) = sent.made
    params = run.params
    assert params["generator.rotation_range"] == "30"
    assert (params["flow.batch_size"], params["flow.seed"], params["flow.workers"]) == ("8", "5", "0")
    assert (params["optimizer.learning_rate"], params["model.parameters"]) == ("0.125", "37")
    assert (params["fit.epochs"], params["fit.validation_data"].rpartition(".")[2]) == ("2", "NumpyArrayIterator")
    assert params["stream.digest"] == expected
    assert (params["stream.digest_batches"], params["stream.digest_epoch"]) == ("3", "0")
    digests = params["stream.digests"].split()
    assert (len(digests), digests[-1]) == (3, expected)
    assert len(params["data.fingerprint"]) == len(params["data.labels_fingerprint"]) == 32
    assert run.begin.argv == ("train.py", "--token", "***", "--epochs", "2")
    assert run.begin.environment["KERAS_SECRET"] == "***"
    assert run.begin.environment["KERAS_BACKEND"] == keras.backend.backend()
    assert run.begin.tags == {"why": "test", "my_key": "***"}
    assert b"dense" in run.begin.files["model.txt"]
    first, second = run.of(Epoch)
    assert (first.number, second.number) == (0, 1)
    assert {"loss", "mae", "val_loss", "val_mae", "images_per_s", "input_wait_share", "epoch_s"} <= set(second.metrics)
    summed = run.of(More)[-1]
    assert summed.tags["penstock.verdict"].startswith("waited ")
    assert summed.files["utilisation.png"].startswith(b"\x89PNG")
    assert run.messages[-1].status == "FINISHED"
    assert "hunter2" not in repr([run.begin, run.messages])
    said = capsys.readouterr().out
    assert said.strip().splitlines()[-1] == "penstock: recorded as run 12345678 in fake://; see it with `penstock runs`"
    assert "input:" not in said


def test_the_logs_of_training_stay_as_they_are(sent: type[Sent]) -> None:
    histories = []
    for callbacks in ([], [Tracker()]):
        keras.utils.set_random_seed(1)
        with make_flow() as flow:
            histories.append(make_model().fit(flow, epochs=2, verbose=0, callbacks=callbacks).history)
    assert histories[0] == histories[1]


def test_files_are_named_and_their_labels_told(sent: type[Sent], folders: dict[str, Path]) -> None:
    with ImageDataGenerator().flow_from_directory(
        folders["two"], (6, 6), "grayscale", class_mode="binary", batch_size=5, workers=0
    ) as flow:
        make_model().fit(flow.endless(), steps_per_epoch=1, shuffle=False, verbose=0, callbacks=[Tracker()])
        (run,) = sent.made
        assert run.begin.names == tuple(flow.filenames)
        assert run.begin.paths == tuple(flow.filepaths)
    assert run.params["data.directory"] == str(folders["two"])
    assert run.params["data.labels_fingerprint"]
    assert run.params["flow.target_size"] == "(6, 6)"


def test_sequences_generators_and_plain_arrays_are_recorded_too(sent: type[Sent]) -> None:
    batches = [(X[:8].astype("float32"), Y[:8].astype("float32"))] * 3
    model = make_model()
    with feed(batches, workers=0) as flow:
        model.fit(flow, verbose=0, callbacks=[Tracker()])
    with feed(lambda: iter(batches)) as flow:
        model.fit(flow, steps_per_epoch=2, shuffle=False, verbose=0, callbacks=[Tracker()])
    gc.collect()
    model.fit(X.astype("float32"), Y, verbose=0, callbacks=[Tracker()])
    sequence, generator, arrays = sent.made
    assert sequence.params["stream.digest_batches"] == "3"
    assert sequence.params["data.kind"] == "builtins.list"
    assert generator.params["flow.kind"] == "GeneratorFeed"
    assert "stream.digest" not in generator.params
    assert "flow.kind" not in arrays.params
    assert arrays.params["data.fingerprint"]
    assert all(run.messages[-1].status == "FINISHED" for run in sent.made)
    assert all(run.troubles == [] for run in sent.made)


def test_where_fit_fails_the_run_has_failed_as_soon_as_it_is_left(sent: type[Sent]) -> None:
    tracker = Tracker()
    with make_flow() as flow:
        with suppress(ValueError):
            make_model().fit(flow, epochs=9, verbose=0, callbacks=[tracker, Failing(ValueError("no more"))])
        gc.collect()
        (run,) = sent.made
        assert run.messages[-1].status == "FAILED"
        assert run.messages[-1].reason == "`fit` was left by an exception"
        assert tracker._monitor is not None
        assert not tracker._monitor.is_running
        ended = len(run.messages)
        make_model().fit(flow, verbose=0, callbacks=[tracker])
    assert len(run.messages) == ended
    assert sent.made[1].messages[-1].status == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("no more"), "FAILED", "ValueError: no more"),
        (KeyboardInterrupt(), "KILLED", "Ctrl-C"),
        (ValueError("https://me:hunter2@host"), "FAILED", "ValueError: https://***@host"),
    ],
)
def test_at_the_interpreters_end_it_is_told_by_what_ended_it(
    error: BaseException, status: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    end = how_it_ends()
    assert (end.status, end.reason) == (status, reason)


@pytest.mark.parametrize("is_found", [True, False], ids=["found", "given"])
def test_of_several_ranks_the_first_records_and_says_so(
    is_found: bool, sent: type[Sent], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in (0, 1):
        if is_found:
            monkeypatch.setattr(_tracker, "find_ranks", lambda rank=rank: Ranks(Shard(rank, 2), "torch.distributed"))
        with make_flow(shard=(rank, 2) if not is_found else (0, 1)) as flow:
            tracker = Tracker()
            make_model().fit(flow, verbose=0, callbacks=[tracker])
            assert (tracker.run_id(0) is None) is bool(rank)
    (run,) = sent.made
    assert run.begin.tags["penstock.rank"] == "0 of 2"
    assert "penstock: rank 1 of 2 records nothing" in capsys.readouterr().out
    with make_flow(shard=(1, 2)) as flow:
        make_model().fit(flow, verbose=0, callbacks=[Tracker(every_rank=True)])
    assert sent.made[1].begin.tags["penstock.rank"] == "1 of 2"
    assert sent.made[1].messages[-1].status == "FINISHED"


def test_trouble_is_told_once_and_training_goes_on(sent: type[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    class Troubled(Sent):
        def send(self, message: Any) -> None:
            self.troubles.append("the disk is full")

    monkeypatch.setattr(_tracker, "Recorder", Troubled)
    with (
        make_flow() as flow,
        pytest.warns(RuntimeWarning, match=r"not recorded as it should be: the disk is full") as told,
    ):
        history = make_model().fit(flow, epochs=3, verbose=0, callbacks=[Tracker()])
    assert [str(each.message) for each in told if each.category is RuntimeWarning] == [
        "penstock: this run is not recorded as it should be: the disk is full"
    ], [str(each.message) for each in told]
    assert len(history.history["loss"]) == 3
    with make_flow() as flow, warnings.catch_warnings():  # also where a warning is an error
        warnings.simplefilter("error")
        assert len(make_model().fit(flow, epochs=3, verbose=0, callbacks=[Tracker()]).history["loss"]) == 3


def test_what_goes_wrong_while_looking_is_told_and_training_goes_on(
    sent: type[Sent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("no more processes")

    monkeypatch.setattr(_tracker, "Recorder", fail)
    with make_flow() as flow, pytest.warns(RuntimeWarning, match="OSError: no more processes"):
        assert make_model().fit(flow, epochs=2, verbose=0, callbacks=[Tracker()]).history


def test_a_batch_that_cannot_be_made_fails_in_training_and_not_before(sent: type[Sent]) -> None:
    calls = []

    def fail(image: Any) -> Any:
        calls.append(image)
        if len(calls) > 8:  # beyond the batch that Keras looks at
            raise ValueError("too dark")
        return image

    flow = ImageDataGenerator(preprocessing_function=fail).flow(X, Y, 8, workers=0)
    with flow, pytest.raises(Exception, match="too dark"):
        make_model().fit(flow, verbose=0, callbacks=[Tracker()])
    (run,) = sent.made
    assert any("too dark" in more.tags.get("penstock.no_digest", "") for more in run.of(More))


def test_of_a_notebook_its_cells_are_recorded(sent: type[Sent], monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(user_ns={"In": ["", "import penstock", 'TOKEN = "hunter2"\n1 + 1']})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with make_flow() as flow:
        make_model().fit(flow, verbose=0, callbacks=[Tracker()])
    (run,) = sent.made
    assert run.begin.script is None
    assert run.begin.tags["mlflow.source.name"] == "notebook.py"
    assert run.begin.files["script/notebook.py"] == b'# %%\nimport penstock\n\n# %%\nTOKEN = "***"\n1 + 1\n'


def test_without_mlflow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tracker, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'Tracker needs MLflow: pip install "penstock\[track\]"'):
        Tracker()


def test_a_flow_of_somebody_elses_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`flow` should be made by penstock, or None\. Received: list"):
        Tracker([])


def test_large_arrays_are_told_by_all_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.keras import _run_params

    monkeypatch.setattr(_run_params, "_CHUNK_BYTES", 100)
    one, other = np.zeros((50, 7)), np.zeros((50, 7))
    other[23, 4] = 1
    prints = [fingerprints(FitCall(array))()["data.fingerprint"] for array in (one, other, np.asfortranarray(one))]
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]
    monkeypatch.setattr(_run_params, "_MUCH_BYTES", 100)
    assert fingerprints(FitCall(one))()["data.fingerprint"].startswith("rows:")


def test_a_run_in_mlflow(mlflow_store: str) -> None:
    from penstock.tracking._mlflow import MlflowStore

    with make_flow() as flow:
        tracker = Tracker(store=mlflow_store, experiment="tracked", name="in mlflow")
        make_model().fit(flow, epochs=2, verbose=0, callbacks=[tracker])
    store = MlflowStore(mlflow_store, make=False)
    (run,) = store.matching(tracker.run_id() or "")
    assert (run.name, run.status) == ("in mlflow", "FINISHED")
    assert run.ended_s is not None
    assert run.ended_s > run.began_s
    assert run.params["generator.rotation_range"] == "30"
    assert run.params["code.commit"]
    assert [point.step for point in store.history(run.id, "loss")] == [0, 1]
    assert run.tags["penstock.verdict"]
    known = json.loads(store.read_file(run.id, "penstock/run.json") or b"")
    assert known["argv"]
    for name in ("model.txt", "packages.txt", "utilisation.png", "utilisation.csv", "verdict.txt"):
        assert store.read_file(run.id, f"penstock/{name}"), name


def test_a_store_that_cannot_be_written_does_not_stop_training(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("my notes")
    tracker = Tracker(store=f"sqlite:///{tmp_path}/mlflow.db")
    with make_flow() as flow, pytest.warns(RuntimeWarning, match="should be a store of MLflow's, and is not"):
        assert make_model().fit(flow, epochs=2, verbose=0, callbacks=[tracker]).history
    assert tracker.run_id() is None
    assert (tmp_path / "mlflow.db").read_text() == "my notes"

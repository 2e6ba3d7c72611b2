"""The verdict after an epoch."""

from __future__ import annotations

import threading
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np
import pytest

from penstock import ImageDataGenerator, feed
from penstock.callbacks import InputReport
from penstock.keras import _input_report

pytestmark = pytest.mark.backends


def model_of(size: int) -> Any:
    model = keras.Sequential([keras.layers.Input((size,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Slow(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, number: int) -> Any:
        threading.Event().wait(0.05)  # the slow source itself, which sleeps outside of the interpreter lock
        return np.zeros((4, 3), "float32"), np.zeros(4, "float32")


def test_a_slow_source_is_told_as_waiting_and_reaches_the_history(capsys: Any) -> None:
    with feed(Slow(), workers=1, max_queue_size=1) as batches:
        report = InputReport(batches)
        history = model_of(3).fit(batches, epochs=2, verbose=0, callbacks=[report]).history
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("input: waited")]
    assert len(lines) == 3
    assert "of all 2 epochs" in lines[2]
    assert "a perfect feed would save at most" in lines[0]
    assert len(report.periods) == len(history["input_wait_s"]) == 2
    assert report.periods[1].wait_s == history["input_wait_s"][1] > 0.1
    assert 0 < history["input_wait_share"][1] <= 1


def test_the_figures_reach_tensorboard(tmp_path: Path) -> None:
    with feed(Slow(), workers=1) as batches:
        callbacks = [InputReport(batches), keras.callbacks.TensorBoard(tmp_path, write_graph=False)]
        history = model_of(3).fit(batches, epochs=2, verbose=0, callbacks=callbacks).history
    written = scalars(tmp_path)
    for name in ("input_wait_s", "input_wait_share"):
        np.testing.assert_allclose(written[f"epoch_{name}"], history[name], rtol=1e-6)


def scalars(folder: Path) -> dict[str, list[float]]:
    """What event files of TensorBoard's hold, by name."""
    import tensorflow as tf

    values: dict[str, list[float]] = {}
    for path in folder.rglob("events.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            for value in tf.compat.v1.Event.FromString(record).summary.value:
                if value.metadata.plugin_data.plugin_name == "scalars" or value.tag.startswith("epoch_"):
                    values.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    return values


def test_validation_is_no_training() -> None:
    x = np.zeros((8, 2, 2, 3), "float32")
    model = keras.Sequential([keras.layers.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    begun, ended, validated_s = [], [], []

    class First(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            begun.append(perf_counter())

    class Last(keras.callbacks.Callback):
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            began = perf_counter()
            threading.Event().wait(0.5)
            validated_s.append(perf_counter() - began)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            ended.append(perf_counter())

    with ImageDataGenerator().flow(x, np.zeros(8), 4) as flow, feed(Slow(), workers=0) as slow:
        report = InputReport(flow.endless())
        validation = [(np.zeros((4, 2, 2, 3), "float32"), batch[1]) for batch in [next(slow)]]
        model.fit(flow, epochs=2, verbose=0, validation_data=validation[0], callbacks=[First(), report, Last()])
    assert report.periods[1].seconds <= ended[1] - begun[1] - validated_s[1]


def test_other_data_are_refused() -> None:
    with pytest.raises(TypeError, match="made by penstock"):
        InputReport([1, 2])  # type: ignore[arg-type]


def test_a_gpu_is_in_the_line_and_in_the_logs(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """No GPU is needed to see that what its library tells arrives."""
    monkeypatch.setattr(_input_report, "gpu_probe", lambda: lambda: {"gpu_0_percent": 12.0, "gpu_1_percent": 41.0})
    with ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4) as flow:
        model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        report = InputReport(flow)
        history = model.fit(flow, epochs=2, verbose=0, callbacks=[report])
    assert history.history["input_gpu_percent"] == [41, 41]
    assert capsys.readouterr().out.count(" · GPU 41 % · ") == 3
    assert not any(thread.name == "penstock-monitor" for thread in threading.enumerate())

"""The monitor as a Keras callback."""

from __future__ import annotations

import gc
import threading
from typing import Any

import keras
import numpy as np
import pytest

from penstock import ImageDataGenerator, Monitor

pytestmark = pytest.mark.backends


def flow_of(count: int = 8) -> Any:
    return ImageDataGenerator().flow(np.zeros((count, 4, 4, 1), "float32"), np.zeros(count), batch_size=4)


@pytest.fixture
def model() -> Any:
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def names(monitor: Monitor) -> list[str]:
    return [("end of " if mark.is_end else "") + mark.name for mark in monitor.records.marks]


def threads() -> int:
    return sum(thread.name == "penstock-monitor" for thread in threading.enumerate())


EPOCH = ["{}", "validation", "end of validation", "end of {}", "callbacks", "end of callbacks"]
TWO_EPOCHS = [name.format(f"epoch {number}") for number in (1, 2) for name in EPOCH]


def test_fit_starts_it_marks_epochs_validation_and_callbacks_and_stops_it(model: Any) -> None:
    monitor = Monitor(0.01)
    with flow_of() as flow, flow_of() as validation:
        model.fit(flow, validation_data=validation, epochs=2, verbose=0, callbacks=[monitor])
    assert names(monitor) == TWO_EPOCHS
    assert not monitor.is_running
    assert threads() == 0
    records = monitor.records
    assert [name for name, _, _ in records.spans("epoch")] == ["epoch 1", "epoch 2"]
    for (_, begin, end), (_, validated, over) in zip(records.spans("epoch"), records.spans("validation"), strict=True):
        assert begin <= validated <= over <= end
    for _, begin, end in records.spans("callbacks"):
        assert begin <= end <= monitor.duration
    assert {"cpu_percent", "memory_mb", "feed_0_samples_per_s"} <= set(records)


def test_the_time_of_other_callbacks_is_between_the_epochs(model: Any) -> None:
    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            threading.Event().wait(0.2)  # the slow callback itself

    monitor = Monitor()
    with flow_of() as flow:
        model.fit(flow, epochs=2, verbose=0, callbacks=[monitor, Slow()])
    spans = monitor.records.spans("callbacks")
    assert len(spans) == 2
    assert all(end - begin >= 0.19 for _, begin, end in spans)


def test_one_that_was_started_before_goes_on_after_fit(model: Any) -> None:
    with flow_of() as flow, Monitor() as monitor:
        monitor.mark("loading")
        for _ in range(2):
            model.fit(flow, verbose=0, callbacks=[monitor])
        assert monitor.is_running
    once = ["epoch 1", "end of epoch 1", "callbacks", "end of callbacks"]
    assert names(monitor) == ["loading", *once, *once]
    assert len(monitor.records.spans("epoch")) == 2


def test_another_one_around_it_measures_too(model: Any) -> None:
    inner = Monitor()
    with flow_of() as flow, Monitor() as outer:
        model.fit(flow, verbose=0, callbacks=[inner])
        assert outer.is_running
        assert not inner.is_running
    assert names(outer) == []
    assert names(inner)[0] == "epoch 1"
    assert outer.duration > inner.duration
    assert "feed_0_samples_per_s" in set(outer.records)


def test_evaluate_and_predict_are_measured_by_themselves(model: Any) -> None:
    for run, name in (("evaluate", "validation"), ("predict", "prediction")):
        monitor = Monitor()
        with flow_of() as flow:
            for _ in range(2):
                getattr(model, run)(flow, verbose=0, callbacks=[monitor])
                assert not monitor.is_running
                assert names(monitor) == [name, f"end of {name}"]
            assert len(monitor.records["time_s"])


def test_every_fit_begins_from_nothing_also_after_one_that_failed(model: Any) -> None:
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise ZeroDivisionError

    monitor = Monitor()
    with flow_of() as flow:
        model.fit(flow, verbose=0, callbacks=[monitor])
        with pytest.raises(ZeroDivisionError):
            model.fit(flow, verbose=0, callbacks=[monitor, Fails()])
        gc.collect()
        assert not monitor.is_running  # though Keras does not tell of such an end
        assert monitor.duration > 0
        assert names(monitor) == ["epoch 1", "end of epoch 1", "callbacks"]
        model.fit(flow, verbose=0, callbacks=[monitor])
    assert names(monitor) == ["epoch 1", "end of epoch 1", "callbacks", "end of callbacks"]
    assert not monitor.is_running
    assert threads() == 0


def test_a_run_that_is_taken_up_again_counts_epochs_as_keras_does(model: Any) -> None:
    monitor = Monitor()
    with flow_of() as flow:
        model.fit(flow, initial_epoch=3, epochs=4, verbose=0, callbacks=[monitor])
    assert [name for name, _, _ in monitor.records.spans("epoch")] == ["epoch 4"]
    assert len(monitor.records.spans("callbacks")) == 1


def test_evaluate_and_predict_around_a_monitor_are_measured(model: Any) -> None:
    with flow_of() as flow, Monitor() as monitor:
        model.evaluate(flow, verbose=0, callbacks=[monitor])
        model.predict(flow, verbose=0, callbacks=[monitor])
    assert names(monitor) == ["validation", "end of validation", "prediction", "end of prediction"]

"""The seam with Keras: what `fit`, `evaluate` and `predict` take from a flow."""

from __future__ import annotations

import gc
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from penstock import BatchError, Flow, ImageDataGenerator

pytestmark = pytest.mark.backends

SAMPLES, BATCH = 14, 4
STEPS = 4


def numbered_flow(shuffle: bool = True, samples: int = SAMPLES, **options: Any) -> Flow:
    """Images whose pixels and label are their number."""
    x = np.zeros((samples, 4, 4, 1), "float32") + np.arange(samples, dtype="float32")[:, None, None, None]
    options = {"workers": 2, "seed": 5, **options}
    return ImageDataGenerator().flow(x, np.arange(samples, dtype="float32"), BATCH, shuffle, **options)


class Recorder:
    """A model that writes down the labels of every batch it is trained or tested on."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        self.model.compile("sgd", self._loss, run_eagerly=True)
        self.model.optimizer.learning_rate = 0.0

    def _loss(self, y_true: Any, y_pred: Any) -> Any:
        try:
            labels = np.asarray(y_true).reshape(-1).astype(int).tolist()
        except Exception:
            labels = None
        if labels is not None:
            self.seen.append(labels)
        return keras.ops.mean(keras.ops.square(y_true - y_pred))


def stream(flow: Flow, batches: int) -> list[list[int]]:
    return [next(flow)[1].astype(int).tolist() for _ in range(batches)]


def test_a_shuffled_fit_takes_every_batch_of_the_stream_once_and_in_its_order() -> None:
    recorder = Recorder()
    with numbered_flow() as flow, numbered_flow() as twin:
        recorder.model.fit(flow, epochs=3, verbose=0)
        assert recorder.seen == stream(twin, 3 * STEPS)
        assert flow.total_batches_seen == 3 * STEPS, "looks at shapes take nothing"
    for epoch in range(3):
        batches = recorder.seen[epoch * STEPS : (epoch + 1) * STEPS]
        assert Counter(sample for batch in batches for sample in batch) == Counter(range(SAMPLES))


def test_epochs_differ_in_order_and_pixels() -> None:
    x = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), "uint8")
    with ImageDataGenerator(rotation_range=90).flow(x, np.arange(8), 8, seed=1, workers=2) as flow:
        (first, y0), (second, y1) = next(flow), next(flow)
    assert y0.tolist() != y1.tolist()
    assert not any(np.array_equal(first[list(y0).index(k)], second[list(y1).index(k)]) for k in range(8))


def test_an_unshuffled_flow_in_a_shuffled_fit_is_shuffled_by_batch() -> None:
    recorder = Recorder()
    with numbered_flow(shuffle=False, samples=40) as flow:
        recorder.model.fit(flow, epochs=2, verbose=0)
    whole = [list(range(start, start + BATCH)) for start in range(0, 40, BATCH)]
    epochs = recorder.seen[:10], recorder.seen[10:]
    assert sorted(epochs[0]) == sorted(epochs[1]) == whole
    assert epochs[0] != whole
    assert epochs[0] != epochs[1]


def test_after_a_shuffled_fit_an_unshuffled_flow_reads_in_its_own_order_again() -> None:
    recorder = Recorder()
    with numbered_flow(shuffle=False, samples=40) as flow:
        recorder.model.fit(flow, verbose=0)
        assert [flow[i][1][0] for i in range(10)] == list(range(0, 40, 4))
        recorder.seen.clear()
        recorder.model.evaluate(flow, verbose=0)
        assert [batch[0] for batch in recorder.seen] == list(range(0, 40, 4))
        assert [batch[0] for batch in stream(flow, 10)] == list(range(0, 40, 4))


def test_a_shuffled_fit_that_begins_in_mid_epoch_loses_and_doubles_nothing() -> None:
    recorder = Recorder()
    with numbered_flow(shuffle=False, samples=40) as flow:
        recorder.seen += stream(flow, 3)
        recorder.model.fit(flow, epochs=2, verbose=0)
    for epoch in (recorder.seen[:10], recorder.seen[10:20]):
        assert sorted(sample for batch in epoch for sample in batch) == list(range(40))
    assert recorder.seen[:10] == sorted(recorder.seen[:10]), "an epoch keeps the order that it began in"


def test_an_unshuffled_fit_takes_the_flows_own_order_and_goes_on_from_epoch_to_epoch() -> None:
    recorder = Recorder()
    with numbered_flow() as flow, numbered_flow() as twin:
        recorder.model.fit(flow, epochs=2, shuffle=False, verbose=0)
        assert recorder.seen == stream(twin, 2 * STEPS)


def test_steps_per_epoch_below_the_length_goes_on_where_it_stopped() -> None:
    recorder = Recorder()
    with numbered_flow() as flow, numbered_flow() as twin:
        recorder.model.fit(flow, epochs=3, steps_per_epoch=2, verbose=0)
        recorder.model.fit(flow, epochs=1, steps_per_epoch=1, verbose=0)
        recorder.model.fit(flow, epochs=1, steps_per_epoch=3, verbose=0)
        assert recorder.seen == stream(twin, 10)


def test_steps_per_epoch_above_the_length_needs_the_endless_view() -> None:
    recorder = Recorder()
    with numbered_flow() as flow, numbered_flow() as twin:
        with pytest.warns(UserWarning, match="ran out of data"):
            recorder.model.fit(flow, steps_per_epoch=STEPS + 2, verbose=0)
        recorder.seen.clear()
        stream(twin, flow.total_batches_seen)
        recorder.model.fit(flow.endless(), epochs=2, steps_per_epoch=STEPS + 3, shuffle=False, verbose=0)
        assert recorder.seen == stream(twin, 2 * (STEPS + 3))


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_compiled_fit_is_trained_on_the_streams_batches_in_their_order(shuffle: bool) -> None:
    """The weights tell: each step's gradient depends on those before. Back ends that compile ask from other threads."""

    def trained(train: Callable[[keras.Model, Flow], object]) -> list[float]:
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        with numbered_flow() as flow:
            train(model, flow)
        return model.layers[-1].get_weights()[0].ravel().tolist()

    def in_two_fits(model: keras.Model, flow: Flow) -> None:
        model.fit(flow, epochs=3, steps_per_epoch=2, shuffle=shuffle, verbose=0)
        assert flow.total_batches_seen == 6
        model.fit(flow, epochs=2, shuffle=shuffle, validation_data=flow, verbose=0)
        assert flow.total_batches_seen == 6 + 2 * STEPS

    def in_a_loop(model: keras.Model, flow: Flow) -> None:
        for _ in range(6 + 2 * STEPS):
            model.train_on_batch(*next(flow))

    assert trained(in_two_fits) == pytest.approx(trained(in_a_loop), rel=1e-4)


def test_training_that_is_stopped_in_an_epoch_goes_on_with_other_batches() -> None:
    recorder = Recorder()
    stop = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: setattr(recorder.model, "stop_training", batch == 1)
    )
    with numbered_flow() as flow:
        recorder.model.fit(flow, callbacks=[stop], verbose=0)
        recorder.model.fit(flow, steps_per_epoch=2, verbose=0)
    # TensorFlow had asked for some more; they are gone, but none comes twice.
    assert len(recorder.seen) == 4
    assert len({tuple(batch) for batch in recorder.seen}) == 4


def test_several_passes_over_one_flow_at_a_time_do_not_mix() -> None:
    """A callback that evaluates on the training flow in mid-epoch."""
    recorder = Recorder()
    evaluated: list[list[list[int]]] = []

    class Evaluate(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            before = len(recorder.seen)
            self.model.evaluate(flow, verbose=0)
            evaluated.append(recorder.seen[before:])
            del recorder.seen[before:]

    with numbered_flow() as flow, numbered_flow() as twin:
        epochs = [stream(twin, STEPS) for _ in range(3)]  # with the epoch's last batch the next one has begun
        recorder.model.fit(flow, epochs=2, callbacks=[Evaluate()], verbose=0)
    assert recorder.seen == epochs[0] + epochs[1]
    assert all(seen in epochs for seen in evaluated)


def test_validation_inside_an_epoch_reads_by_address_and_moves_nothing() -> None:
    recorder = Recorder()
    with numbered_flow(shuffle=False) as validation, numbered_flow() as flow, numbered_flow() as twin:
        recorder.model.fit(flow, epochs=2, validation_data=validation, verbose=0)
        trained = stream(twin, 2 * STEPS)
        validated = [list(range(k, min(k + BATCH, SAMPLES))) for k in range(0, SAMPLES, BATCH)]
        assert recorder.seen == trained[:STEPS] + validated + trained[STEPS:] + validated
        assert validation.total_batches_seen == 0


def test_an_address_is_pure_repeatable_and_moves_nothing() -> None:
    with numbered_flow() as flow, numbered_flow() as twin:
        epoch = stream(twin, STEPS)
        for i in (2, 2, 0, 3, 1, 0, 1, 2, 3, -1, np.int64(1)):
            assert flow[i][1].astype(int).tolist() == epoch[i]
        assert flow.total_batches_seen == 0
        assert stream(flow, STEPS) == epoch
        with pytest.raises(ValueError, match="Asked to retrieve element 4, but the Sequence has length 4"):
            flow[4]


def test_predictions_match_the_filenames_whatever_was_consumed_before(tmp_path: Path) -> None:
    for name, start in (("a", 0), ("b", 100)):
        (tmp_path / name).mkdir()
        for k in range(7):
            Image.new("L", (8, 8), start + k).save(tmp_path / name / f"{k}.png")
    flow = ImageDataGenerator().flow_from_directory(
        tmp_path, (8, 8), "grayscale", class_mode=None, shuffle=False, batch_size=4, workers=2
    )
    model = keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.GlobalAveragePooling2D()])
    expected = [100 * (name[0] == "b") + int(Path(name).stem) for name in flow.filenames]
    with flow:
        for consumed in (0, 1, 2):
            for _ in range(consumed):
                next(flow)
            np.testing.assert_allclose(model.predict(flow, verbose=0)[:, 0], expected)


def test_evaluate_equals_the_sum_over_the_epochs_batches() -> None:
    recorder = Recorder()
    with numbered_flow() as flow:
        loss = recorder.model.evaluate(flow, verbose=0)
        predicted = {
            int(y): float(keras.ops.convert_to_numpy(recorder.model(x[None]))[0, 0])
            for xs, ys in [next(flow) for _ in range(STEPS)]
            for x, y in zip(xs, ys, strict=True)
        }
    assert loss == pytest.approx(np.mean([(y - value) ** 2 for y, value in predicted.items()]), rel=1e-4)


def test_hooks_move_nothing() -> None:
    with numbered_flow() as flow, numbered_flow() as twin:
        flow.on_epoch_begin()
        flow.on_epoch_end()
        first = stream(flow, 2)
        flow.on_epoch_end()
        assert first + stream(flow, 5) == stream(twin, 7)


def test_a_loop_over_addresses_says_by_the_hook_that_the_next_epoch_begins() -> None:
    """As Keras's own iterators, and whatever wraps a flow in a dataset of its own, have it."""
    with numbered_flow() as flow, numbered_flow() as twin:
        seen = []
        for _ in range(3):
            flow.on_epoch_begin()
            seen += [flow[i][1].astype(int).tolist() for i in range(STEPS)]
            flow.on_epoch_end()
        assert seen == stream(twin, 3 * STEPS)


def test_keras_never_starts_an_enqueuer_of_its_own() -> None:
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    with numbered_flow() as flow:
        flow.workers, flow.use_multiprocessing, flow.max_queue_size = 8, True, 3
        assert PyDatasetAdapter(flow).enqueuer is None
        assert (flow.workers, flow.max_queue_size) == (8, 3)


def test_setting_workers_on_a_running_flow_resizes_penstock_and_not_the_stream() -> None:
    with numbered_flow() as flow, numbered_flow() as twin:
        batches = stream(flow, 2)
        flow.workers = 5
        batches += stream(flow, 3)
        assert sum(thread.name.startswith("penstock-") for thread in threading.enumerate()) == 5
        flow.workers = 0
        flow.max_queue_size = 1
        batches += stream(flow, 3)
        assert batches == stream(twin, 8)


def test_the_next_epoch_is_made_while_nobody_asks_for_it() -> None:
    """No stall at an epoch's border: after the last batch of an epoch, the next one's images are already rendered."""
    rendered = threading.Semaphore(0)

    def count(image: Any) -> Any:
        rendered.release()
        return image

    x = np.zeros((8, 4, 4, 1), "float32")
    with ImageDataGenerator(preprocessing_function=count).flow(x, batch_size=4, workers=1, max_queue_size=2) as flow:
        next(flow)
        next(flow)
        for _ in range(8 + 8):
            assert rendered.acquire(timeout=60)


def test_class_weight_and_sample_weight_reach_the_loss() -> None:
    x, y = np.ones((8, 2, 2, 1), "float32"), np.array([0, 1] * 4, "float32")
    model = keras.Sequential([keras.layers.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.layers[-1].set_weights([np.zeros((4, 1)), np.full(1, 3.0)])  # errors: 9 for class 0, 4 for class 1
    with ImageDataGenerator().flow(x, y, 8, workers=1) as flow:
        history = model.fit(flow, class_weight={0: 2.0, 1: 0.0}, verbose=0)
        assert history.history["loss"][0] == pytest.approx((4 * 9 * 2.0) / 8)
    weights = np.array([1.0, 0.5] * 4, "float32")
    with ImageDataGenerator().flow(x, y, 8, sample_weight=weights, workers=1) as flow:
        assert len(next(flow)) == 3
        history = model.fit(flow, verbose=0)
        assert history.history["loss"][0] == pytest.approx((4 * 9 + 4 * 4 * 0.5) / 8)


def test_several_inputs_are_trained_on() -> None:
    """Keras's own iterator gives a list, which TensorFlow's datasets refuse."""
    entrances = keras.layers.Input((4, 4, 1)), keras.layers.Input((1,))
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(entrances[0]), entrances[1]])
    model = keras.Model(list(entrances), keras.layers.Dense(1)(joined))
    model.compile("sgd", "mse")
    x, extra = np.zeros((SAMPLES, 4, 4, 1), "float32"), np.ones((SAMPLES, 1), "float32")
    with ImageDataGenerator().flow((x, [extra]), np.zeros(SAMPLES), BATCH, workers=2) as flow:
        assert isinstance(next(flow)[0], list)
        model.fit(flow, validation_data=flow, verbose=0)
        assert model.evaluate(flow, verbose=0) >= 0


def test_two_flows_at_once_share_nothing() -> None:
    one, two = Recorder(), Recorder()
    with (
        numbered_flow() as flow,
        numbered_flow(seed=6) as other,
        numbered_flow() as twin,
        numbered_flow(seed=6) as twin2,
    ):
        threads = [
            threading.Thread(target=lambda: [one.seen.append(next(flow)[1].astype(int).tolist()) for _ in range(20)]),
            threading.Thread(target=lambda: [two.seen.append(next(other)[1].astype(int).tolist()) for _ in range(20)]),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert one.seen == stream(twin, 20)
        assert two.seen == stream(twin2, 20)


def test_jax_may_run_ahead_with_three_slots_and_no_collector() -> None:
    """JAX aliases the slots' memory and computes later: a slot given back too early would change results in flight.

    The model is slow, so that steps queue up; `predict`'s rows say whether every batch kept its own pixels. Torch
    returns from a step once it is done, and need not be slow.
    """
    samples, side = 96, 16 if keras.backend.backend() == "torch" else 64
    x = np.random.default_rng(0).random((samples, side, side, 3)).astype("float32")
    model = keras.Sequential(
        [
            keras.layers.Input((side, side, 3)),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    expected = model.predict(x, batch_size=2, verbose=0)
    gc.collect()
    gc.disable()
    try:
        flow = ImageDataGenerator().flow(x, expected, 2, shuffle=False, workers=2, max_queue_size=1)
        with flow:
            history = model.fit(flow, epochs=2, verbose=0, shuffle=False)
            assert max(history.history["loss"]) < 1e-10
            np.testing.assert_allclose(model.predict(flow, verbose=0), expected, atol=1e-6)
    finally:
        gc.enable()


def test_fit_with_a_broken_batch_says_which_and_can_go_on() -> None:
    broken = [True]

    def function(image: Any) -> Any:
        if broken[0] and image[0, 0, 0] == 9:
            raise ZeroDivisionError("nine")
        return image

    x = np.arange(SAMPLES, dtype="float32")[:, None, None, None] + np.zeros((1, 4, 4, 1), "float32")
    recorder = Recorder()
    generator = ImageDataGenerator(preprocessing_function=function)
    with generator.flow(x, np.arange(SAMPLES), BATCH, workers=2, shuffle=False) as flow:
        words = r"BatchError: `preprocessing_function` failed on sample 9: ZeroDivisionError: nine"
        # TensorFlow makes an error of its own of what a Python function raises, with all of its text.
        kind = Exception if keras.backend.backend() == "tensorflow" else BatchError
        with pytest.raises(kind) as caught:
            recorder.model.fit(flow, shuffle=False, verbose=0)
        assert re.search(words, f"{type(caught.value).__name__}: {caught.value}")
        if isinstance(caught.value, BatchError):
            assert (caught.value.epoch, caught.value.step, caught.value.index) == (0, 2, 9)
        broken[0] = False
        assert stream(flow, 1) == [[8, 9, 10, 11]]

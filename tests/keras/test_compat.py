"""`fit_generator`, `evaluate_generator`, `predict_generator`: what old scripts pass, and what they get."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import penstock
from penstock import Flow, ImageDataGenerator, evaluate_generator, fit_generator, predict_generator

pytestmark = pytest.mark.backends

SAMPLES, BATCH = 14, 4
STEPS = 4


def images(numbers: Any) -> Any:
    return np.zeros((len(numbers), 4, 4, 1), "float32") + np.asarray(numbers, "float32")[:, None, None, None]


def numbered_flow(shuffle: bool = True, **options: Any) -> Flow:
    """Images whose pixels and label are their number."""
    options = {"workers": 2, "seed": 5, **options}
    return ImageDataGenerator().flow(
        images(range(SAMPLES)), np.arange(SAMPLES, dtype="float32"), BATCH, shuffle, **options
    )


def numbered(batch: int, kind: type = tuple) -> Any:
    """Batch number `batch` of two images each, numbered in a row."""
    numbers = [2.0 * batch, 2.0 * batch + 1]
    return kind((images(numbers), np.array(numbers, "float32")))


class OldSequence:
    """Two images a batch, and no base class."""

    def __init__(self, length: int = 3, kind: type = tuple) -> None:
        self.length = length
        self.kind = kind
        self.ended = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> Any:
        if not 0 <= number < self.length:
            raise IndexError(number)
        return numbered(number, self.kind)

    def on_epoch_end(self) -> None:
        self.ended += 1


class NewSequence(keras.utils.PyDataset):
    def __init__(self, length: int = 3) -> None:
        super().__init__()
        self.length = length
        self.ended = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> Any:
        assert 0 <= number < self.length
        return numbered(number)

    def on_epoch_end(self) -> None:
        self.ended += 1


def averaging_model(loss: Any = "mse", **options: Any) -> keras.Model:
    """Its output is its image's number, also after training."""
    layers = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, "linear", False, "ones")]
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), *layers])
    model.compile(keras.optimizers.SGD(0.0), loss, **options)
    return model


class Recorder:
    """A model whose loss writes down the labels of every batch."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.model = averaging_model(self._loss, run_eagerly=True)

    def _loss(self, y_true: Any, y_pred: Any) -> Any:
        try:
            labels = np.asarray(y_true).reshape(-1).astype(int).tolist()
        except Exception:  # a look at shapes
            labels = None
        if labels is not None:
            self.seen.append(labels)
        return keras.ops.mean(keras.ops.square(y_true - y_pred))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def stream(flow: Flow, batches: int) -> list[list[int]]:
    return [next(flow)[1].astype(int).tolist() for _ in range(batches)]


def pairs(*batches: int) -> list[list[int]]:
    return [[2 * batch, 2 * batch + 1] for batch in batches]


# --- signatures and names ---


def test_the_signatures_are_keras_2s_order() -> None:
    fit = "generator steps_per_epoch epochs verbose callbacks validation_data validation_steps class_weight"
    queue = "max_queue_size workers use_multiprocessing"
    assert list(inspect.signature(fit_generator).parameters) == f"model {fit} {queue} shuffle initial_epoch".split()
    for function in (evaluate_generator, predict_generator):
        parameters = inspect.signature(function).parameters
        assert list(parameters) == f"model generator steps callbacks {queue} verbose".split()
        assert parameters["verbose"].default == 0


def test_keras_1s_names_work_and_say_what_to_write_instead(recorder: Recorder) -> None:
    with numbered_flow() as flow, numbered_flow(shuffle=False) as validation, numbered_flow() as twin:
        with pytest.warns(DeprecationWarning, match="`steps_per_epoch` for `samples_per_epoch`, in batches") as caught:
            history = fit_generator(
                recorder.model,
                flow,
                samples_per_epoch=5,
                nb_epoch=2,
                verbose=0,
                validation_data=validation,
                nb_val_samples=9,
                max_q_size=3,
                nb_worker=1,
                pickle_safe=False,
            )
        assert caught[0].filename == __file__
        trained, validated = stream(twin, 4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
        assert recorder.seen == trained[:2] + validated + trained[2:] + validated
        assert history.epoch == [0, 1]
        assert (flow.max_queue_size, flow.workers) == (3, 1)
        with pytest.warns(DeprecationWarning, match="`steps` for `val_samples`"):
            assert len(predict_generator(recorder.model, validation, val_samples=8)) == 8
        recorder.seen.clear()
        with pytest.warns(DeprecationWarning, match="`steps` for `val_samples`"):
            evaluate_generator(recorder.model, validation, val_samples=8)
        assert len(recorder.seen) == 2


def test_an_unknown_name_is_refused_with_the_nearest_right_one(recorder: Recorder) -> None:
    for name, nearest in (("step_per_epoch", "steps_per_epoch"), ("nb_epochs", "nb_epoch"), ("worker", "workers")):
        with pytest.raises(TypeError, match=rf"unexpected keyword argument '{name}'. Did you mean '{nearest}'\?"):
            fit_generator(recorder.model, OldSequence(), **{name: 1})
    with pytest.raises(TypeError, match="Did you mean 'val_samples'"):
        predict_generator(recorder.model, OldSequence(), nb_val_samples=1)


def test_an_old_name_beside_its_new_one_is_refused(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="got both `epochs` and `nb_epoch`"):
        fit_generator(recorder.model, OldSequence(), epochs=1, nb_epoch=1)
    with pytest.raises(TypeError, match="got both `steps_per_epoch` and `samples_per_epoch`"):
        fit_generator(recorder.model, OldSequence(), 3, samples_per_epoch=6)


def test_arrays_for_a_generator_are_refused(recorder: Recorder) -> None:
    for arrays in (images(range(4)), (images(range(4)), np.arange(4))):
        with pytest.raises(TypeError, match=r"`generator` should be a flow.*For arrays there are `model.fit`"):
            fit_generator(recorder.model, arrays)
    with pytest.raises(TypeError, match="`validation_data` should be a flow"):
        fit_generator(recorder.model, OldSequence(), validation_data=images(range(4)))


@pytest.mark.parametrize("steps", [0, -1, "3", float("nan"), True])
def test_steps_that_are_none_are_refused(recorder: Recorder, steps: Any) -> None:
    with pytest.raises(ValueError, match="`steps_per_epoch` should be a positive number"):
        fit_generator(recorder.model, OldSequence(), steps)


def test_a_fraction_of_a_step_is_a_step(recorder: Recorder) -> None:
    """`steps_per_epoch=2000 / 32` was an integer in Python 2, and went well in Keras 2 with Python 3."""
    fit_generator(recorder.model, OldSequence(), 5 / 2, verbose=0)
    assert len(recorder.seen) == 3


# --- flows ---


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("steps", [1, 3, 4, 5, 11])
def test_any_number_of_steps_takes_the_flows_stream_without_end(recorder: Recorder, steps: int, shuffle: bool) -> None:
    with numbered_flow() as flow, numbered_flow() as twin:
        fit_generator(recorder.model, flow, steps, 3, 0, shuffle=shuffle)
        fit_generator(recorder.model, flow, 2, verbose=0)
        assert recorder.seen == stream(twin, 3 * steps + 2)
        assert flow.total_batches_seen == 3 * steps + 2


@pytest.mark.parametrize("steps", [STEPS, STEPS + 2])
def test_an_unshuffled_flow_is_shuffled_by_batch_if_asked(recorder: Recorder, steps: int) -> None:
    with numbered_flow(shuffle=False) as flow, numbered_flow(shuffle=False) as twin:
        fit_generator(recorder.model, flow, steps, 2, 0, shuffle=False)
        assert recorder.seen == stream(twin, 2 * steps)
        flow.reset()
        recorder.seen.clear()
        fit_generator(recorder.model, flow, steps, 8, 0)
        epochs = [recorder.seen[start : start + STEPS] for start in range(0, 8 * steps, STEPS)]
        whole = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13]]
        assert all(sorted(epoch) == whole for epoch in epochs)
        assert any(epoch != whole for epoch in epochs)


def test_the_endless_view_needs_steps_and_is_trained_on_in_order(recorder: Recorder) -> None:
    with numbered_flow() as flow, numbered_flow() as twin:
        with pytest.raises(ValueError, match="`steps_per_epoch` should say after how many batches to stop"):
            fit_generator(recorder.model, flow.endless())
        fit_generator(recorder.model, flow.endless(), 6, 2, 0)
        assert recorder.seen == stream(twin, 12)


def test_the_endless_view_is_read_by_address_from_the_epochs_start() -> None:
    """Whatever was taken before, `predict` and `evaluate` read batches 0, 1, 2 and on, and move nothing."""
    recorder = Recorder()
    with numbered_flow(shuffle=False) as flow:
        next(flow)
        for steps in (2, STEPS, STEPS + 3):
            expected = list(
                itertools.islice(itertools.cycle([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13]]), steps)
            )
            rows = [number for batch in expected for number in batch]
            for data in (flow.endless(), flow):
                assert predict_generator(recorder.model, data, steps)[:, 0].tolist() == rows
                recorder.seen.clear()
                evaluate_generator(recorder.model, data, steps)
                assert recorder.seen == expected
            assert recorder.model.predict(flow.endless(), steps=steps, verbose=0)[:, 0].tolist() == rows
        assert flow.batch_index == 1
        assert flow.endless()[STEPS + 1][1].tolist() == [4, 5, 6, 7]
        assert [next(iter(flow.endless()))[1][0] for _ in range(2)] == [4, 8]


def test_without_steps_evaluate_and_predict_read_one_epoch(recorder: Recorder) -> None:
    with numbered_flow(shuffle=False) as flow:
        assert predict_generator(recorder.model, flow)[:, 0].tolist() == list(range(SAMPLES))
        loss = evaluate_generator(recorder.model, flow)
        assert loss == pytest.approx(recorder.model.evaluate(flow, verbose=0))
        assert len(recorder.seen) == 2 * STEPS


def test_evaluate_returns_what_kerass_does() -> None:
    assert evaluate_generator(averaging_model(metrics=["mae"]), OldSequence()) == [0.0, 0.0]


@pytest.mark.parametrize("steps", [None, 2, STEPS + 1])
def test_a_validation_flow_is_read_from_its_start_in_every_epoch(recorder: Recorder, steps: int | None) -> None:
    with numbered_flow(shuffle=False) as validation, numbered_flow() as flow, numbered_flow() as twin:
        fit_generator(recorder.model, flow, 1, 2, 0, validation_data=validation, validation_steps=steps)
        trained = stream(twin, 2)
        validated = stream(validation, steps or STEPS)
        assert recorder.seen == trained[:1] + validated + trained[1:] + validated


def test_feeding_is_set_on_the_flow_if_given(recorder: Recorder) -> None:
    with numbered_flow(workers=3, max_queue_size=7) as flow:
        fit_generator(recorder.model, flow, 1, verbose=0)
        assert (flow.workers, flow.max_queue_size) == (3, 7)
        predict_generator(recorder.model, flow, 1, workers=1, max_queue_size=2)
        assert (flow.workers, flow.max_queue_size) == (1, 2)
        evaluate_generator(recorder.model, flow.endless(), 1, workers=2, max_queue_size=4)
        assert (flow.workers, flow.max_queue_size) == (2, 4)
        assert flow.endless().workers == 2


def test_processes_make_a_flows_batches_if_asked(recorder: Recorder) -> None:
    with numbered_flow(workers=1) as flow, numbered_flow() as twin:
        fit_generator(recorder.model, flow, STEPS + 1, verbose=0, use_multiprocessing=True)
        assert flow.use_multiprocessing
        assert flow.endless().use_multiprocessing
        assert recorder.seen == stream(twin, STEPS + 1)
        fit_generator(recorder.model, flow, 1, verbose=0, use_multiprocessing=False)
        assert not flow.use_multiprocessing


# --- other people's sequences ---


@pytest.mark.parametrize("kind", [OldSequence, NewSequence])
def test_a_sequence_is_read_again_when_it_is_over(recorder: Recorder, kind: Any) -> None:
    sequence = kind()
    fit_generator(recorder.model, sequence, 4, 2, 0, shuffle=False)
    assert recorder.seen == pairs(0, 1, 2, 0, 1, 2, 0, 1)
    assert sequence.ended == 2, "its own epochs count"
    recorder.seen.clear()
    fit_generator(recorder.model, sequence, 2, 3, 0, shuffle=False)
    assert recorder.seen == pairs(0, 1, 2, 0, 1, 2)
    recorder.seen.clear()
    fit_generator(recorder.model, sequence, 4, 6, 0)
    turns = [recorder.seen[start : start + 3] for start in range(0, 24, 3)]
    assert all(sorted(turn) == pairs(0, 1, 2) for turn in turns)
    assert any(turn != pairs(0, 1, 2) for turn in turns)
    assert predict_generator(recorder.model, sequence, 4)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 0, 1]


@pytest.mark.parametrize("kind", [tuple, list])
def test_an_old_sequence_without_a_base_class_is_read_in_order(recorder: Recorder, kind: type) -> None:
    sequence = OldSequence(kind=kind)
    fit_generator(recorder.model, sequence, verbose=0, shuffle=False, validation_data=sequence, class_weight={0: 1.0})
    assert recorder.seen == pairs(0, 1, 2, 0, 1, 2)
    assert evaluate_generator(recorder.model, sequence) == 0.0
    assert predict_generator(recorder.model, sequence)[:, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_workers_of_a_sequence_are_set_where_keras_looks_for_them(recorder: Recorder) -> None:
    sequence = NewSequence()
    fit_generator(recorder.model, sequence, verbose=0)
    assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (1, False, 10)
    fit_generator(recorder.model, sequence, 4, 3, verbose=0, workers=2, max_queue_size=5, shuffle=False)
    assert (sequence.workers, sequence.use_multiprocessing, sequence.max_queue_size) == (2, False, 5)
    assert sorted(recorder.seen[3:]) == sorted(pairs(*range(3)) * 4)


def test_samples_are_counted_by_the_first_batch_of_a_sequence(recorder: Recorder) -> None:
    for sequence in (OldSequence(), NewSequence()):
        recorder.seen.clear()
        with pytest.warns(DeprecationWarning, match="names of Keras 1"):
            fit_generator(recorder.model, sequence, samples_per_epoch=7, verbose=0, shuffle=False)
        assert recorder.seen == pairs(0, 1, 2, 0)


# --- plain generators ---


def endless_pairs(kind: type = tuple) -> Iterator[Any]:
    return (numbered(batch, kind) for batch in itertools.count())


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_generator_is_trained_on_in_order_and_loses_nothing(recorder: Recorder, kind: type) -> None:
    generator = endless_pairs(kind)
    fit_generator(recorder.model, generator, 3, 2, 0)
    fit_generator(recorder.model, generator, 1, verbose=0)
    evaluate_generator(recorder.model, generator, 1)
    assert predict_generator(recorder.model, generator, 2)[:, 0].tolist() == [16, 17, 18, 19]
    assert recorder.seen == pairs(*range(8))
    assert next(generator)[1].tolist() == [20, 21]


def test_an_iterator_that_is_no_generator_will_do(recorder: Recorder) -> None:
    """Two flows beside each other: how images and masks were fed."""
    with numbered_flow() as one, numbered_flow() as two, numbered_flow() as twin:
        zipped = zip((x for x, _ in one), (y for _, y in two), strict=True)
        fit_generator(recorder.model, zipped, 6, verbose=0)
        assert recorder.seen == stream(twin, 6)


def test_samples_are_counted_by_a_generators_first_batch_which_is_trained_on(recorder: Recorder) -> None:
    generator, validation = endless_pairs(), endless_pairs(list)
    with pytest.warns(DeprecationWarning, match="names of Keras 1"):
        fit_generator(
            recorder.model, generator, samples_per_epoch=5, verbose=0, validation_data=validation, nb_val_samples=2
        )
    assert recorder.seen == pairs(0, 1, 2, 0)
    assert next(generator)[1].tolist() == [6, 7]


def test_a_validation_generator_goes_on_from_epoch_to_epoch(recorder: Recorder) -> None:
    fit_generator(recorder.model, OldSequence(1), 1, 3, 0, validation_data=endless_pairs(), validation_steps=2)
    assert recorder.seen == pairs(0, 0, 1, 0, 2, 3, 0, 4, 5)


def test_a_generator_needs_steps(recorder: Recorder) -> None:
    for call in (
        lambda: fit_generator(recorder.model, endless_pairs()),
        lambda: fit_generator(recorder.model, OldSequence(), validation_data=endless_pairs()),
        lambda: evaluate_generator(recorder.model, endless_pairs()),
        lambda: predict_generator(recorder.model, endless_pairs()),
    ):
        with pytest.raises(ValueError, match=r"`(validation_)?steps(_per_epoch)?` should say after how many batches"):
            call()


def test_a_generator_that_ends_early_ends_training_with_kerass_warning(recorder: Recorder) -> None:
    with pytest.warns(UserWarning, match="ran out of data"):
        fit_generator(recorder.model, itertools.islice(endless_pairs(), 3), 5, verbose=0)
    assert recorder.seen == pairs(0, 1, 2)
    with (
        pytest.raises(ValueError, match="should yield batches for ever"),
        pytest.warns(DeprecationWarning, match="names of Keras 1"),
    ):
        fit_generator(recorder.model, iter(()), samples_per_epoch=1)
    validation = itertools.islice(endless_pairs(), 1)
    with pytest.raises(Exception, match="It has ended; let it go on for ever"):
        fit_generator(recorder.model, OldSequence(), verbose=0, validation_data=validation, validation_steps=2)


def test_workers_of_a_generator_are_said_to_have_no_effect(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_generator(recorder.model, endless_pairs(), 1, verbose=0, workers=1)
    assert "no effect" not in capsys.readouterr().out
    fit_generator(recorder.model, endless_pairs(), 1, verbose=0, workers=4)
    assert capsys.readouterr().out.count("have no effect on a plain generator") == 1


def test_sample_weights_of_a_generator_reach_the_loss() -> None:
    model = averaging_model()
    weighted = ((x, y + 1, np.array([4.0, 0.0])) for x, y in endless_pairs())
    assert evaluate_generator(model, weighted, 2) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="`class_weight` and `sample_weight` at the same time"):
        fit_generator(model, weighted, 1, class_weight={0: 1.0}, verbose=0)


@pytest.mark.parametrize("labels", ["numbers", "column", "one-hot"])
def test_class_weight_means_the_same_for_a_generator_and_a_sequence(labels: str) -> None:
    classes = np.array([0, 1, 1, 2])
    y = {"numbers": classes, "column": classes[:, None], "one-hot": np.eye(3)[classes]}[labels].astype("float32")
    batch = images(classes), y
    width = 3 if labels == "one-hot" else 1
    losses = []
    for generator in (iter([batch]), [batch]):
        model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(width)])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        model.layers[-1].set_weights([np.zeros((16, width)), np.full(width, 3.0)])
        history = fit_generator(model, generator, 1, class_weight={0: 2.0, 1: 0.5}, verbose=0)
        losses.append(history.history["loss"])
    assert losses[0] == pytest.approx(losses[1])
    errors = ((y.reshape(4, -1) - 3) ** 2).mean(axis=1)
    assert losses[0][0] == pytest.approx((errors * [2.0, 0.5, 0.5, 1.0]).sum() / 4, rel=1e-5)


def test_bare_arrays_can_be_predicted() -> None:
    assert predict_generator(averaging_model(), iter([images([3]), images([5])]), 2)[:, 0].tolist() == [3, 5]


@pytest.mark.parametrize("as_data", [iter, list], ids=["generator", "sequence"])
def test_several_inputs_and_outputs_may_come_in_lists(as_data: Any) -> None:
    first, second = keras.layers.Input((1,)), keras.layers.Input((1,))
    outputs = [keras.layers.Subtract()([first, second]), keras.layers.Add()([first, second])]
    model = keras.Model([first, second], outputs)
    model.compile("sgd", ["mse", "mse"])
    inputs = [np.full((2, 1), 5.0, "float32"), np.full((2, 1), 3.0, "float32")]
    targets = [np.full((2, 1), 1.0, "float32"), np.full((2, 1), 8.0, "float32")]
    assert evaluate_generator(model, as_data([(inputs, targets)]), 1)[0] == pytest.approx(1.0)
    for batch in (inputs, (inputs,), (inputs, targets)):
        difference, total = predict_generator(model, as_data([batch]), 1)
        assert difference[:, 0].tolist() == [2, 2]
        assert total[:, 0].tolist() == [8, 8]


def test_validation_arrays_are_all_used_whatever_the_steps_say(recorder: Recorder) -> None:
    arrays = images([1, 2, 3]), np.array([1, 2, 3], "float32")
    with pytest.warns(DeprecationWarning, match="names of Keras 1"):
        fit_generator(recorder.model, OldSequence(1), validation_data=arrays, nb_val_samples=3, verbose=0)
    fit_generator(recorder.model, OldSequence(1), validation_data=list(arrays), validation_steps=7, verbose=0)
    assert recorder.seen == [[0, 1], [1, 2, 3]] * 2


def test_initial_epoch_and_callbacks_are_handed_on(recorder: Recorder) -> None:
    begun: list[int] = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: begun.append(epoch))
    fit_generator(recorder.model, endless_pairs(), 2, epochs=5, callbacks=[note], initial_epoch=3, verbose=0)
    assert begun == [3, 4]
    assert recorder.seen == pairs(0, 1, 2, 3)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras has it on the other back ends only")
def test_several_steps_per_execution_find_enough_batches() -> None:
    model = averaging_model(steps_per_execution=2)
    assert fit_generator(model, endless_pairs(), 3, epochs=2, verbose=0).epoch == [0, 1]


# --- penstock.legacy ---


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_legacy_gives_the_methods_once_and_leaves_kerass_own_and_penstock_alone_changes_nothing() -> None:
    code = (
        "import importlib, keras, penstock\n"
        "penstock.fit_generator\n"
        "assert not hasattr(keras.Model, 'fit_generator')\n"
        "keras.Model.predict_generator = genuine = lambda self, x: x\n"
        "import penstock.legacy\n"
        "first = keras.Model.fit_generator\n"
        "importlib.reload(penstock.legacy)\n"
        "assert keras.Model.fit_generator is first is penstock.fit_generator\n"
        "assert keras.Model.predict_generator is genuine\n"
        "for kind in (keras.Sequential, keras.Model, type(keras.Model(*[keras.Input((1,))] * 2))):\n"
        "    assert kind.evaluate_generator is penstock.evaluate_generator\n"
        "from penstock.legacy import *\n"
        "assert all(getattr(penstock.legacy, name) is getattr(penstock, name) for name in penstock._LAZY)\n"
        "assert ImageDataGenerator is penstock.ImageDataGenerator\n"
        "assert set(dir(penstock.legacy)) == set(penstock._LAZY)\n"
        "try: penstock.legacy.nothing\n"
        "except AttributeError as error: print(error)"
    )
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "module 'penstock.legacy' has no attribute 'nothing'"
    assert "fit_generator" in penstock.__all__

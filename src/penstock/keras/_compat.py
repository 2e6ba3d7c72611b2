"""`fit_generator`, `evaluate_generator` and `predict_generator`, which Keras 3 no longer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from penstock.keras.old._data import as_batch, as_batch_to_predict
from penstock.keras.old._names import with_old_names
from penstock.keras.old._runs import DEFAULT_QUEUE, OldFeeding, reading, training, validating

_QUEUE = {"max_q_size": "max_queue_size", "nb_worker": "workers", "pickle_safe": "use_multiprocessing"}
_FIT = {"samples_per_epoch": "steps_per_epoch", "nb_epoch": "epochs", "nb_val_samples": "validation_steps", **_QUEUE}
_READ = {"val_samples": "steps", **_QUEUE}


@with_old_names(_FIT)
def fit_generator(
    model: Any,
    generator: Any,
    steps_per_epoch: Any = None,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_data: Any = None,
    validation_steps: Any = None,
    class_weight: Mapping[int, float] | None = None,
    max_queue_size: int = DEFAULT_QUEUE,
    workers: int | str | None = None,
    use_multiprocessing: bool | None = None,
    shuffle: bool = True,
    initial_epoch: int = 0,
) -> Any:
    """Train a model on batches, as Keras 1 and 2 did; after `import penstock.legacy` also `model.fit_generator(...)`.

    Keras 1's names work, with a `DeprecationWarning`: `samples_per_epoch`, `nb_epoch`, `nb_val_samples`, `max_q_size`,
    `nb_worker`, `pickle_safe`. Its order of arguments is Keras 2's but for this: Keras 1's second one in
    `model.fit_generator(generator, 2000, 10)` is a number of samples, and is taken for steps here, as in Keras 2. Give
    it by name.

    Args:
        model: compiled.
        generator: a flow or its endless view, a `keras.utils.PyDataset`, something else with `__len__` and
            `__getitem__`, or a generator or iterator of `(x, y)` or `(x, y, sample_weight)`.
        steps_per_epoch: batches in an epoch; None for `len(generator)`. The next epoch goes on where this one stops,
            and data that is over begins again.
        epochs, verbose, callbacks, initial_epoch: as in `model.fit`.
        validation_data: as `generator`, or a tuple of arrays.
        validation_steps: batches of validation; not needed where there is a length, no matter for arrays. What has a
            length is read from its start every time, a plain generator goes on where it stopped.
        class_weight: class number to weight.
        max_queue_size: batches ahead; 10 leaves the data's own setting.
        workers: None for what a flow was made with, else for one. Set on the data, and no matter for plain generators,
            which one thread at a time can ask.
        use_multiprocessing: None for the data's own setting.
        shuffle: another order of batches every epoch, where the data has a length and flows do not shuffle by sample.

    Returns:
        Keras's `History`.

    Raises:
        ValueError: no steps where the data has no end, or none to take.
        TypeError: an unknown name, an old one beside its new one, or arrays for `generator`.

    Example:
        >>> import keras, numpy as np
        >>> from penstock import ImageDataGenerator, fit_generator
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> fit_generator(model, flow, steps_per_epoch=3, epochs=2, verbose=0).epoch
        [0, 1]
    """
    feeding = OldFeeding(max_queue_size, workers, use_multiprocessing)
    run = training(model, generator, steps_per_epoch, epochs - initial_epoch, shuffle, class_weight, feeding)
    validation = validating(validation_data, validation_steps, feeding)
    with run.without_warning():
        return model.fit(
            run.data,
            steps_per_epoch=run.steps,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation.data,
            validation_steps=validation.steps,
            class_weight=run.class_weight,
            shuffle=run.shuffle,
            initial_epoch=initial_epoch,
        )


@with_old_names(_READ)
def evaluate_generator(
    model: Any,
    generator: Any,
    steps: Any = None,
    callbacks: Any = None,
    max_queue_size: int = DEFAULT_QUEUE,
    workers: int | str | None = None,
    use_multiprocessing: bool | None = None,
    verbose: Any = 0,
) -> Any:
    """Test a model on batches, as Keras 1 and 2 did. See `fit_generator` for the arguments.

    Args:
        steps: batches from the start of the epoch that a flow is in, on into the next ones; None for `len(generator)`.

    Returns:
        The loss, or a list of it and the metrics, as `model.evaluate`.

    Example:
        >>> import keras, numpy as np
        >>> from penstock import ImageDataGenerator, evaluate_generator
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), np.zeros(8), batch_size=4)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> evaluate_generator(model, flow)
        0.0
    """
    feeding = OldFeeding(max_queue_size, workers, use_multiprocessing)
    run = reading(model, generator, steps, as_batch, feeding)
    return model.evaluate(run.data, steps=run.steps, callbacks=callbacks, verbose=verbose)


@with_old_names(_READ)
def predict_generator(
    model: Any,
    generator: Any,
    steps: Any = None,
    callbacks: Any = None,
    max_queue_size: int = DEFAULT_QUEUE,
    workers: int | str | None = None,
    use_multiprocessing: bool | None = None,
    verbose: Any = 0,
) -> Any:
    """Predict for batches, in their order, as Keras 1 and 2 meant to. See `fit_generator` for the arguments.

    Args:
        steps: batches from the start of the epoch that a flow is in, on into the next ones; None for `len(generator)`.

    Returns:
        NumPy arrays, as `model.predict`: row i belongs to `flow.filenames[i]` where the flow does not shuffle.

    Example:
        >>> import keras, numpy as np
        >>> from penstock import ImageDataGenerator, predict_generator
        >>> flow = ImageDataGenerator().flow(np.zeros((8, 4, 4, 1), "float32"), batch_size=4, shuffle=False)
        >>> model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten()])
        >>> predict_generator(model, flow, steps=3).shape
        (12, 16)
    """
    inputs = getattr(model, "inputs", None) or ()
    convert = as_batch_to_predict(len(inputs))
    feeding = OldFeeding(max_queue_size, workers, use_multiprocessing)
    run = reading(model, generator, steps, convert, feeding)
    return model.predict(run.data, steps=run.steps, callbacks=callbacks, verbose=verbose)


def install_methods() -> None:
    """Give `keras.Model` the three as methods; those that it has, by whomever, stay as they are."""
    for function in (fit_generator, evaluate_generator, predict_generator):
        if not hasattr(keras.Model, function.__name__):
            setattr(keras.Model, function.__name__, function)

"""Models by name: the two small networks that `ImageDataGenerator` became known with, and `keras.applications`."""

from __future__ import annotations

import difflib
import inspect
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import keras
import numpy as np

from penstock._types import Array
from penstock.bench.study._models import CATS_DOGS_SIDE_PX, cats_dogs_layers, cifar10_layers
from penstock.cli._endings import CommandError


def classic_model(classes: int, size_px: tuple[int, int] = (CATS_DOGS_SIDE_PX, CATS_DOGS_SIDE_PX)) -> Any:
    """The small network of the cats-and-dogs example that `ImageDataGenerator` became known with.

    Args:
        classes: width of the softmax.
        size_px: height and width of the images, from 22 pixels on.

    Returns:
        A Keras model, compiled for one-hot labels: `(batch, height, width, 3)` from 0 to 1 in, `(batch, classes)` out.
    """
    return _compiled(keras.Sequential([keras.Input((*size_px, 3)), *cats_dogs_layers(classes)]), "rmsprop")


def cifar_model(classes: int, size_px: tuple[int, int]) -> Any:
    """The network of Keras's CIFAR-10 example; as `classic_model`, for images from 10 pixels on."""
    model = keras.Sequential([keras.Input((*size_px, 3)), *cifar10_layers(classes)])
    return _compiled(model, keras.optimizers.RMSprop(1e-4))


_SMALL: Mapping[str, tuple[Callable[[int, tuple[int, int]], Any], int]] = MappingProxyType(
    {"small": (classic_model, 22), "cifar": (cifar_model, 10)}  # and the least side, in pixels, that leaves a pixel
)


def model_names() -> tuple[str, ...]:
    """What `build_model` knows: the small ones first, then those of `keras.applications`, sorted."""
    return (*_SMALL, *sorted(_applications()))


def build_model(name: str, size_px: tuple[int, int], classes: int, weights: Path | None = None) -> Any:
    """Build a model by its name, compiled for one-hot labels with the accuracy as its metric. Downloads nothing.

    Args:
        name: one of `model_names()`.
        size_px: height and width of the images.
        classes: width of the softmax.
        weights: a file to begin with; see `load_weights`.

    Returns:
        A Keras model: `(batch, height, width, 3)` in, `(batch, classes)` out.

    Raises:
        CommandError: no such model, images too small for it, or a file whose weights do not fit.
    """
    shown = "x".join(map(str, size_px))
    if name in _SMALL:
        build, least_px = _SMALL[name]
        if min(size_px) < least_px:
            raise CommandError(
                f"--size should be at least {least_px}x{least_px} for the model {name}. Received: {shown}"
            )
        model = build(classes, size_px)
    else:
        application = getattr(_application(name), name)
        try:
            model = application(weights=None, input_shape=(*size_px, 3), classes=classes)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise CommandError(f"--size {shown} will not do for {name}: {reason}") from None
        model = _compiled(model, keras.optimizers.Adam())
    if weights is not None:
        load_weights(model, weights)
    return model


def load_weights(model: Any, path: Path) -> tuple[str, ...]:
    """Load the weights of a file, in any of Keras's formats, into the layers that they fit.

    Layers of another shape, such as the last one of a model for other classes, keep what they have.

    Returns:
        Names of the arrays that the file has left as they were.

    Raises:
        CommandError: no such file, or one of which nothing fits.
    """
    before = [keras.ops.convert_to_numpy(weight.value).copy() for weight in model.weights]
    by_name = {"by_name": True} if path.suffix in (".h5", ".hdf5") and not path.name.endswith(".weights.h5") else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer that does not fit
            model.load_weights(path, skip_mismatch=True, **by_name)
    except OSError as error:
        raise CommandError(f"--weights: {path} cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"--weights: {path} does not fit the model: {error}") from None
    left = [
        weight
        for weight, value in zip(model.weights, before, strict=True)
        if np.array_equal(keras.ops.convert_to_numpy(weight.value), value)
    ]
    # Biases may well be zero in both; matrices tell.
    if sum(len(weight.shape) > 1 for weight in left) == sum(value.ndim > 1 for value in before):
        raise CommandError(f"--weights: nothing in {path} fits the model. Is it for another one?")
    return tuple(weight.path for weight in left)


def preprocessing(name: str) -> dict[str, Any]:
    """What a model asks of its images: keyword arguments for `ImageDataGenerator`.

    The small ones take 0 to 1, those of `keras.applications` what their own `preprocess_input` makes; where that does
    nothing, since the model does it itself, there is nothing to ask for.

    Args:
        name: one of `model_names()`.
    """
    if name in _SMALL:
        return {"rescale": 1 / 255}
    function = _application(name).preprocess_input
    probe: Array = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    if np.array_equal(function(probe.copy(), data_format="channels_last"), probe):
        return {}
    return {"preprocessing_function": function}


def _compiled(model: Any, optimizer: Any) -> Any:
    model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def _applications() -> dict[str, ModuleType]:
    """Modules by the model's name."""
    found = {}
    for module in vars(keras.applications).values():
        if inspect.ismodule(module) and hasattr(module, "preprocess_input"):
            names = [name for name, value in vars(module).items() if name[0].isupper() and inspect.isfunction(value)]
            found.update(dict.fromkeys(names, module))
    return found


def _application(name: str) -> ModuleType:
    modules = _applications()
    if name not in modules:
        known = model_names()
        lower = {known_name.lower(): known_name for known_name in known}
        near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
        raise CommandError(
            f"--model should be {', '.join(_SMALL)} or a model of keras.applications. Received: {name!r}. "
            + (f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known[len(_SMALL) :])}.")
        )
    return modules[name]

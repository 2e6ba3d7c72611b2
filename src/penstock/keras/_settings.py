"""From the user's arguments to what the inner rooms work with."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np

from penstock._types import Array
from penstock.batches._cache import ImageCache
from penstock.batches._columns import BatchColumn, Values, Weights
from penstock.batches._images import ImageBatches
from penstock.batches._randomness import CounterRandomness, KerasRandomness, Randomness
from penstock.batches._tolerance import Tolerance
from penstock.feeding._plan import ALL, Shard
from penstock.image._augment import Augmentation
from penstock.image._decode import Loading, can_be_written
from penstock.image._draw import Transforms
from penstock.image._render import Rendering
from penstock.image._standardize import Standardization
from penstock.keras._notice import notice
from penstock.sources._arrays import ArraySource
from penstock.sources._encoded import EncodedSource

if TYPE_CHECKING:
    from penstock.keras._flow import Flow


class Generator(Protocol):
    """What a flow reads off the `ImageDataGenerator` that it belongs to."""

    semantics: str
    preprocessing_function: Any
    brightness_range: Any
    _validation_split: float

    @property
    def augmentation(self) -> Augmentation:
        """The ranges as they are now, checked."""
        ...

    def standardization(self) -> Standardization:
        """What is done to values last."""
        ...

    def by_image(self, *, augment: bool) -> Callable[[Array, Transforms], Any] | None:
        """What makes an image from a loaded one and its row of parameters, where the user has replaced a method."""
        ...


class AsTheyAre:
    """The `Generator` of a flow that was made without one: images are loaded, and nothing happens to them."""

    semantics = "corrected"
    preprocessing_function = None
    brightness_range = None
    augmentation = Augmentation()
    _validation_split = 0.0

    def standardization(self) -> Standardization:
        """Nothing."""
        return Standardization()

    def by_image(self, *, augment: bool) -> None:
        """None: nobody has replaced a method."""


def choose_seed(seed: Any, semantics: str, shard: Shard = ALL) -> int:
    """The seed in use: the user's, or one drawn from NumPy's global generator.

    Drawn there, so that `keras.utils.set_random_seed` makes everything reproducible.

    Raises:
        ValueError: it is out of range, or would be another one for each rank.
    """
    # A seed that ranks agree upon by messages would wait for ever where one of them makes no such flow.
    if shard.world * shard.partners > 1 and seed is None:
        raise ValueError(
            f"`seed` should be a number, the same for all {shard.world * shard.partners} ranks: they share one order "
            "of the samples. Give it, or shard=(0, 1) if this process is to get all samples in an order of its own."
        )
    if shard.world > 1 and semantics == "keras":
        raise ValueError(
            'semantics="keras" draws by batch, which ranks share out. Use semantics="corrected" for `shard`, or '
            "shard=(0, 1) if this process is to get all samples."
        )
    limit = 2**32 if semantics == "keras" else 2**64
    if seed is None:
        return int(np.random.randint(2**31 - 1))
    if not isinstance(seed, int | np.integer) or not 0 <= seed < limit:
        raise ValueError(f"`seed` should be None or an integer from 0 to {limit - 1}. Received: {seed!r}")
    return int(seed)


def check_save_to_dir(save_to_dir: Any, save_format: Any) -> None:
    """None, or a folder that is there, and a format that images can be written in."""
    if save_to_dir and not os.path.isdir(save_to_dir):
        raise ValueError(f"`save_to_dir` should be a folder that exists. Received: {save_to_dir!r}")
    if save_to_dir and not can_be_written(save_format):
        raise ValueError(f'`save_format` should be a format that Pillow writes, as "png". Received: {save_format!r}')


def check_dtype(dtype: Any) -> None:
    """A dtype of numbers."""
    try:
        known = np.dtype(dtype).kind in "iufb"
    except TypeError:
        known = False
    if not known:
        raise TypeError(f'`dtype` should be a dtype of numbers, as "float32". Received: {dtype!r}')


def draws_globally(function: Any) -> bool:
    """Whether a function's own code names a global random generator; a guess, good enough for a line of notice."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    return "random" in code.co_names or any(
        getattr(function.__globals__.get(name), "__module__", None) in ("random", "numpy.random")
        for name in code.co_names
    )


def image_batches(
    flow: Flow,
    source: ArraySource | EncodedSource,
    image_shape: tuple[int, ...],
    columns: tuple[BatchColumn, ...],
    value_range: tuple[float, float],
    labels: Any,
    loading: Loading | None = None,
    cache: ImageCache | None = None,
) -> ImageBatches:
    """The maker of a flow's batches, with its generator's settings as they are now.

    Args:
        labels: of each sample, for those who may stand in for one another; None for none.
        loading, cache: of files; None for arrays.
    """
    generator: Generator = flow.image_data_generator
    dtype = np.dtype(flow.dtype)
    as_keras = generator.semantics == "keras"
    augmentation = generator.augmentation
    augment = as_keras or flow.subset != "validation"
    if not augment and augmentation != augmentation.without_randomness():
        notice('penstock: subset="validation" is not augmented (semantics="keras" would augment it).')
        augmentation = augmentation.without_randomness()
    channels_first = flow.data_format == "channels_first"
    channels = image_shape[0 if channels_first else 2]
    if as_keras and augmentation.brightness is not None and channels not in (1, 3, 4):
        raise ValueError(
            f"Keras's brightness goes through Pillow, which knows images of 1, 3 or 4 channels. Received: {channels}. "
            'Use semantics="corrected".'
        )
    if draws_globally(generator.preprocessing_function) and not flow._feeding.has_processes:
        notice(
            "penstock: `preprocessing_function` draws from a global random generator, which threads share; "
            "its draws do not follow from the seed."
        )
    rendering = Rendering(
        augmentation,
        generator.standardization(),
        generator.preprocessing_function,
        channels_first,
        as_keras,
        value_range,
        rounds_to=dtype if dtype.kind in "iu" and loading is None else None,
        by_image=generator.by_image(augment=augment),
    )
    return ImageBatches(
        source,
        (int(image_shape[0]), int(image_shape[1]), int(image_shape[2])),
        dtype,
        min(flow.batch_size, flow.n),
        rendering,
        _randomness(flow, augmentation, as_keras),
        columns,
        loading,
        np.dtype(keras.config.floatx()) if keras.config.floatx() == "float64" else np.dtype(np.float32),
        Tolerance.of(flow.on_error, labels),
        cache,
    )


def weight_columns(flow: Flow, weights: Array | None) -> list[BatchColumn]:
    """The weights that go into a batch, if any do.

    Where a rank may be left without a sample, all batches of all ranks have weights: Keras wants them alike.
    """
    if flow._feeding.shard.world == 1:
        return [] if weights is None else [Values(weights)]
    if weights is None and not flow._leaves_ranks_out:
        return []
    return [Weights(weights, np.dtype(np.float32) if weights is None else weights.dtype)]


def _randomness(flow: Flow, augmentation: Augmentation, as_keras: bool) -> Randomness:
    if as_keras:
        return KerasRandomness(augmentation, flow.seed, flow.n, flow.shuffle, len(flow))
    return CounterRandomness(augmentation, flow.seed, flow.n, flow.shuffle)

"""`ImageDataGenerator`, as Keras had it."""

from __future__ import annotations

import difflib
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from penstock._types import Array
from penstock.image._augment import Augmentation, ShiftRange
from penstock.image._draw import Transforms, as_dict, draw_as_keras
from penstock.image._standardize import Standardization, learn
from penstock.keras._array_flow import NumpyArrayIterator
from penstock.keras._dataframe_flow import DataFrameIterator
from penstock.keras._directory_flow import DirectoryIterator
from penstock.keras._feeding import DEFAULT_TIMEOUT_S, check_pool
from penstock.keras._notice import notice
from penstock.keras._other_sources import OtherSources
from penstock.keras._settings import check_dtype
from penstock.keras._single_image import transformed

_UNFITTED = (
    "This ImageDataGenerator specifies `{}`, but it hasn't been fit on any training data. "
    "Fit it first by calling `.fit(numpy_data)`."
)

_DEPRECATED = {
    "has_ext": "`has_ext` is deprecated and has no effect: file names in the dataframe have to be those on disk.",
    "sort": "`sort` is deprecated and has no effect: with `shuffle=False` batches follow the dataframe's rows.",
    "drop_duplicates": "`drop_duplicates` is deprecated and has no effect: drop them from the dataframe itself.",
    "other": '`class_mode="other"` is deprecated, please use `class_mode="raw"`.',
}


class ImageDataGenerator(OtherSources):
    """Random transformations of images, applied while they are fed to a model.

    The 23 parameters are Keras's, in its order and with its defaults.

    Args:
        featurewise_center: subtract the mean by channel that `fit` has learnt.
        samplewise_center: subtract each image's own mean.
        featurewise_std_normalization: divide by the standard deviation by channel that `fit` has learnt.
        samplewise_std_normalization: divide by each image's own standard deviation.
        zca_whitening: apply the ZCA matrix that `fit` has learnt.
        zca_epsilon: keeps whitening finite.
        rotation_range: degrees, drawn from -range to range.
        width_shift_range, height_shift_range: a float below 1 is a share of the side, one from 1 on is pixels; an
            integer n picks from -(n - 1) to n - 1 pixels; a list picks one of its values with a random sign.
        brightness_range: two factors to draw from; 1 changes nothing.
        shear_range: degrees.
        zoom_range: `z` for 1 - z to 1 + z, or the two factors; above 1 zooms out. Both axes are drawn by themselves.
        channel_shift_range: added to all channels, drawn from -range to range, clipped to the image's own extent.
        fill_mode: "nearest", "constant", "reflect", "wrap", "mirror", "grid-wrap", "grid-constant" or "grid-mirror",
            as SciPy defines them.
        cval: the value outside for the constant modes.
        horizontal_flip, vertical_flip: flip every second image, at random.
        rescale: factor on the values, after `preprocessing_function`.
        preprocessing_function: called with each augmented image, float, rank 3; returns one of the same shape.
        data_format: "channels_last", "channels_first", or None for Keras's setting.
        validation_split: the share that `subset="validation"` takes.
        interpolation_order: 0 nearest, 1 linear, 2 to 5 splines (through SciPy, and slow).
        dtype: of the finished images; None for Keras's `floatx()`.
        pool: an open multiprocessing.Pool or concurrent.futures.Executor that makes the batches of this generator's
            flows; it is never closed here. "ray", or a Ray cluster's address, has them made there. None for workers
            that each flow starts for itself.
        semantics: "corrected" does what the parameters' names say; "keras" is bug for bug what Keras 2.9 to 3 does,
            with its draws. See "Two semantics" in the README.
        dim_ordering: Keras 1's name of `data_format`: "tf", "th" or "default"; deprecated.

    Example:
        >>> import numpy as np
        >>> from penstock import ImageDataGenerator
        >>> x, y = np.zeros((64, 32, 32, 3), "uint8"), np.arange(64)
        >>> generator = ImageDataGenerator(rotation_range=45, width_shift_range=0.1, rescale=1 / 255)
        >>> with generator.flow(x, y, batch_size=16, seed=0, workers=2) as flow:
        ...     images, labels = next(flow)
        >>> images.shape, images.dtype, labels.shape
        ((16, 32, 32, 3), dtype('float32'), (16,))
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[Array], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
        *,
        pool: Any = None,
        semantics: str = "corrected",
        dim_ordering: str | None = None,
    ) -> None:
        if dim_ordering is not None:
            data_format = _data_format(dim_ordering, data_format)
        if semantics not in ("corrected", "keras"):
            raise ValueError(f'`semantics` should be "corrected" or "keras". Received: {semantics!r}')
        data_format = keras.config.image_data_format() if data_format is None else data_format
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                '`data_format` should be `"channels_last"` (channel after row and column) or '
                f'`"channels_first"` (channel before row and column). Received: {data_format}'
            )
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(f"`validation_split` must be strictly between 0 and 1.  Received: {validation_split}")
        if preprocessing_function is not None and not callable(preprocessing_function):
            raise TypeError(f"`preprocessing_function` should be callable. Received: {preprocessing_function!r}")
        if rescale is not None and not (isinstance(rescale, int | float | np.number) and np.isfinite(rescale)):
            raise ValueError(f"`rescale` should be None or a finite number. Received: {rescale!r}")
        check_pool(pool)  # refused here, rather than by the first flow
        self.pool = pool
        self.semantics = semantics
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.shear_range = shear_range
        self.zoom_range = _zoom(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.dtype = keras.config.floatx() if dtype is None else dtype
        self.interpolation_order = interpolation_order
        self.data_format = data_format
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if data_format == "channels_first" else (3, 1, 2)
        self._validation_split = validation_split
        self.mean: Array | None = None
        self.std: Array | None = None
        self.zca_whitening_matrix: Array | None = None
        self.brightness_range = _brightness(brightness_range)
        self._resolve_conflicts()
        check_dtype(self.dtype)
        _ = self.augmentation  # all ranges are checked here

    @property
    def augmentation(self) -> Augmentation:
        """The ranges as they are now, checked."""
        return Augmentation(
            rotation_deg=self.rotation_range,
            shift_horizontal=ShiftRange.parse(self.width_shift_range, "width_shift_range"),
            shift_vertical=ShiftRange.parse(self.height_shift_range, "height_shift_range"),
            shear_deg=self.shear_range,
            zoom=(self.zoom_range[0], self.zoom_range[1]),
            flip_horizontal=bool(self.horizontal_flip),
            flip_vertical=bool(self.vertical_flip),
            channel_shift=self.channel_shift_range,
            brightness=None if self.brightness_range is None else (self.brightness_range[0], self.brightness_range[1]),
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )

    def standardization(self) -> Standardization:
        """What is done to values last, with what `fit` has learnt; warns of what it has not."""
        for asked, learnt, name in (
            (self.featurewise_center, self.mean, "featurewise_center"),
            (self.featurewise_std_normalization, self.std, "featurewise_std_normalization"),
            (self.zca_whitening, self.zca_whitening_matrix, "zca_whitening"),
        ):
            if asked and learnt is None:
                warnings.warn(_UNFITTED.format(name), stacklevel=3)
        return Standardization(
            rescale=self.rescale or None,
            sample_centre=bool(self.samplewise_center),
            sample_scale=bool(self.samplewise_std_normalization),
            mean=self.mean if self.featurewise_center else None,
            std=self.std if self.featurewise_std_normalization else None,
            whitening=self.zca_whitening_matrix if self.zca_whitening else None,
        )

    def by_image(self, *, augment: bool) -> Callable[[Array, Transforms], Any] | None:
        """What flows call for each image instead of the kernels, where a subclass or the user has replaced a method.

        Args:
            augment: let a `get_random_transform` of the user's draw; else nothing happens at random.

        Returns:
            A function of a loaded image, rank 3, and its row of parameters; None where all methods are penstock's.
        """
        own = [
            name
            for name in ("get_random_transform", "apply_transform", "standardize")
            if name in vars(self) or getattr(type(self), name) is not getattr(ImageDataGenerator, name)
        ]
        if not own:
            return None
        notice(f"penstock: {', '.join(own)} of this ImageDataGenerator is your own, so Python makes image after image.")
        return _ByImage(self, augment and own[0] == "get_random_transform")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "pool": None}  # a pool belongs to the process that has opened it

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
        *,
        workers: int | str = "auto",
        max_queue_size: int = 10,
        max_queue_bytes: int | str | None = None,
        use_multiprocessing: bool | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        pool: Any = None,
        on_error: str = "raise",
        shard: tuple[int, int] | str = "auto",
    ) -> NumpyArrayIterator:
        """Batches from images in memory.

        Args:
            x: images of any real dtype, rank 4, memory-mapped or not; or `(images, [extra arrays])`. Not copied.
            y: labels; None for images alone.
            batch_size: images in a batch.
            shuffle: a new order every epoch.
            sample_weight: one weight per image.
            seed: from 0 on; None draws one from NumPy's global generator.
            save_to_dir, save_prefix, save_format: write each delivered image there, too.
            ignore_class_split: do not mind that a subset lacks classes.
            subset: "training" or "validation".
            workers: threads or processes that make batches; 0 is the caller's thread. "auto" begins with two, measures
                as the flow runs, and goes on with the smallest number that keeps the consumer from waiting, within
                CPUs, quota and memory; the batches do not change.
            max_queue_size: batches ready ahead.
            max_queue_bytes: bound on their memory, in bytes or as "2GB".
            use_multiprocessing: True for processes instead of threads: for a `preprocessing_function` in Python. None
                lets `workers="auto"` choose.
            timeout: seconds after which a batch that does not come is an error; None for never.
            pool: an open multiprocessing.Pool or concurrent.futures.Executor that makes the batches, and stays open,
                or a Ray cluster's address; None for the generator's own.
            on_error: what becomes of an image that cannot be made: "raise"; "skip" makes the batch without it;
                "substitute" takes the next good one of the same class. `flow.stats` says which they are.
            shard: `(rank, number of ranks)`: the part of each batch of `number of ranks * batch_size` samples that
                this process trains on. "auto" takes them from torch.distributed, jax.distributed or tf.distribute, and
                is all samples where there is one process; `(0, 1)` is all in any case. Give all ranks the same seed.

        Returns:
            A flow that yields `images`, `(images, y)` or `(images, y, sample_weight)`.

        Raises:
            ValueError: arrays that do not belong together, or a value out of range.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            ignore_class_split=ignore_class_split,
            subset=subset,
            dtype=self.dtype,
            workers=workers,
            max_queue_size=max_queue_size,
            max_queue_bytes=max_queue_bytes,
            use_multiprocessing=use_multiprocessing,
            timeout=timeout,
            pool=self.pool if pool is None else pool,
            on_error=on_error,
            shard=shard,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        *,
        decode: str = "exact",
        workers: int | str = "auto",
        max_queue_size: int = 10,
        max_queue_bytes: int | str | None = None,
        use_multiprocessing: bool | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        pool: Any = None,
        on_error: str = "raise",
        shard: tuple[int, int] | str = "auto",
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> DirectoryIterator:
        """Batches from image files, a folder for each class.

        Args:
            directory: holds one folder per class, images at any depth in it: a path; a URL that fsspec reads, such as
                "s3://bucket/train"; or an archive, as "zip://train.zip", "tar://train.tar", "zip::s3://bucket/a.zip".
            target_size: `(height, width)` in pixels.
            color_mode: "rgb", "rgba" or "grayscale".
            classes: names in the order of their numbers; None for all folders, sorted.
            class_mode: "categorical" (one-hot), "binary" or "sparse" (numbers, as floats), "input" (the images), None.
            batch_size: images in a batch.
            shuffle: a new order every epoch.
            seed: from 0 on; None draws one from NumPy's global generator.
            save_to_dir, save_prefix, save_format: write each delivered image there, too.
            follow_links: walk into linked folders.
            subset: "training" or "validation", by class and rank.
            interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
            keep_aspect_ratio: cut the largest centred part with the target's proportions first.
            decode: "exact" gives Keras's pixels; "fast" decodes a half, a quarter or an eighth of photographs
                that are at least so much larger than `target_size`, which changes pixels.
            workers: threads or processes that make batches; 0 is the caller's thread. "auto" begins with two, measures
                as the flow runs, and goes on with the smallest number that keeps the consumer from waiting, within
                CPUs, quota and memory; the batches do not change.
            max_queue_size: batches ready ahead.
            max_queue_bytes: bound on their memory, in bytes or as "2GB".
            use_multiprocessing: True for processes instead of threads: for a `preprocessing_function` in Python. None
                lets `workers="auto"` choose.
            timeout: seconds after which a batch that does not come is an error; None for never.
            pool: an open multiprocessing.Pool or concurrent.futures.Executor that makes the batches, and stays open,
                or a Ray cluster's address; None for the generator's own.
            on_error: what becomes of an image that cannot be made: "raise"; "skip" makes the batch without it;
                "substitute" takes the next good one of the same class. `flow.stats` says which they are.
            shard: `(rank, number of ranks)`: the part of each batch of `number of ranks * batch_size` samples that
                this process trains on. "auto" takes them from torch.distributed, jax.distributed or tf.distribute, and
                is all samples where there is one process; `(0, 1)` is all in any case. Give all ranks the same seed.
            cache: keeps each image as it is before the random transform, so that it is decoded and resized once:
                "memory", until the flow is closed, or the path of a folder, for later runs, too. None for nothing.
            cache_bytes: bound on what it takes, in bytes or as "8GB"; None for half of the memory that is free, or for
                what leaves a twentieth of the disk free. What has no room is decoded each time.
            storage_options: for URLs: keys, endpoints and the like, as fsspec takes them. They are shown and recorded
                nowhere. None leaves it to the environment and to fsspec's configuration.

        Returns:
            A flow that yields `(images, labels)`, or `images` for `class_mode=None`.

        Raises:
            ImportError: fsspec, or what it needs for such a URL, is not installed.
            OSError: something cannot be listed.
            ValueError: no such folder, no images in it, or a value out of range.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
            decode=decode,
            workers=workers,
            max_queue_size=max_queue_size,
            max_queue_bytes=max_queue_bytes,
            use_multiprocessing=use_multiprocessing,
            timeout=timeout,
            pool=self.pool if pool is None else pool,
            on_error=on_error,
            shard=shard,
            cache=cache,
            cache_bytes=cache_bytes,
            storage_options=storage_options,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: Any = "filename",
        y_col: Any = "class",
        weight_col: Any = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        *,
        keep_aspect_ratio: bool = False,
        decode: str = "exact",
        workers: int | str = "auto",
        max_queue_size: int = 10,
        max_queue_bytes: int | str | None = None,
        use_multiprocessing: bool | None = None,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        pool: Any = None,
        on_error: str = "raise",
        shard: tuple[int, int] | str = "auto",
        cache: str | os.PathLike[str] | None = None,
        cache_bytes: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **deprecated: Any,
    ) -> DataFrameIterator:
        """Batches from image files that a dataframe lists, with what is to be learnt of each.

        Args:
            dataframe: of pandas, Polars, PyArrow or another library that narwhals reads; it is not changed.
            directory: that file names are relative to, a path, a URL or an archive as for `flow_from_directory`; None
                for absolute ones, or for URLs.
            x_col: column of file names.
            y_col: column of labels or values; a list of columns for "multi_output", and for "raw" if there are several.
            weight_col: column of sample weights.
            target_size: `(height, width)` in pixels.
            color_mode: "rgb", "rgba" or "grayscale".
            classes: the classes to keep, in the order of their numbers; rows without any of them are left out.
            class_mode: "categorical" (one-hot; lists of labels give several ones), "binary" or "sparse" (numbers, as
                floats), "raw" (the values, for regression), "multi_output" (a list of arrays, one for each column),
                "input" (the images), None (images alone).
            batch_size: images in a batch.
            shuffle: a new order every epoch.
            seed: from 0 on; None draws one from NumPy's global generator.
            save_to_dir, save_prefix, save_format: write each delivered image there, too.
            subset: "training" or "validation": the rows after, or in, the first `validation_split` of them.
            interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
            validate_filenames: leave out rows whose file is missing or no image; False saves the look at each.
            keep_aspect_ratio: cut the largest centred part with the target's proportions first.
            decode: "exact" gives Keras's pixels; "fast" decodes a half, a quarter or an eighth of photographs
                that are at least so much larger than `target_size`, which changes pixels.
            workers: threads or processes that make batches; 0 is the caller's thread. "auto" begins with two, measures
                as the flow runs, and goes on with the smallest number that keeps the consumer from waiting, within
                CPUs, quota and memory; the batches do not change.
            max_queue_size: batches ready ahead.
            max_queue_bytes: bound on their memory, in bytes or as "2GB".
            use_multiprocessing: True for processes instead of threads: for a `preprocessing_function` in Python. None
                lets `workers="auto"` choose.
            timeout: seconds after which a batch that does not come is an error; None for never.
            pool: an open multiprocessing.Pool or concurrent.futures.Executor that makes the batches, and stays open,
                or a Ray cluster's address; None for the generator's own.
            on_error: what becomes of an image that cannot be made: "raise"; "skip" makes the batch without it;
                "substitute" takes the next good one of the same class. `flow.stats` says which they are.
            shard: `(rank, number of ranks)`: the part of each batch of `number of ranks * batch_size` samples that
                this process trains on. "auto" takes them from torch.distributed, jax.distributed or tf.distribute, and
                is all samples where there is one process; `(0, 1)` is all in any case. Give all ranks the same seed.
            **deprecated: `has_ext`, `sort` and `drop_duplicates` of old scripts: a warning, and no effect.
            cache: keeps each image as it is before the random transform, so that it is decoded and resized once:
                "memory", until the flow is closed, or the path of a folder, for later runs, too. None for nothing.
            cache_bytes: bound on what it takes, in bytes or as "8GB"; None for half of the memory that is free, or for
                what leaves a twentieth of the disk free. What has no room is decoded each time.
            storage_options: for URLs: keys, endpoints and the like, as fsspec takes them. They are shown and recorded
                nowhere. None leaves it to the environment and to fsspec's configuration.

        Returns:
            A flow that yields `(images, labels)`, `(images, labels, weights)`, or `images` for `class_mode=None`.

        Raises:
            ImportError: narwhals, of the extra `dataframe`, is not installed, or what URLs need.
            OSError: a URL cannot be looked at.
            TypeError: no dataframe, values of a wrong type, or a keyword that does not exist.
            ValueError: no such column, or a value out of range.
        """
        if class_mode == "other":
            deprecated["other"] = class_mode = "raw"
        for keyword in deprecated:
            if keyword not in _DEPRECATED:
                raise TypeError(_unexpected(keyword, inspect.signature(self.flow_from_dataframe).parameters))
            warnings.warn(_DEPRECATED[keyword], DeprecationWarning, stacklevel=2)
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            data_format=self.data_format,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            dtype=self.dtype,
            decode=decode,
            validate_filenames=validate_filenames,
            workers=workers,
            max_queue_size=max_queue_size,
            max_queue_bytes=max_queue_bytes,
            use_multiprocessing=use_multiprocessing,
            timeout=timeout,
            pool=self.pool if pool is None else pool,
            on_error=on_error,
            shard=shard,
            cache=cache,
            cache_bytes=cache_bytes,
            storage_options=storage_options,
        )

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn what featurewise centring, normalization and whitening need.

        Args:
            x: images, rank 4.
            augment: learn from augmented images.
            rounds: how often each image is augmented.
            seed: for the augmentation; None draws from NumPy's global generator.
        """
        images = np.asarray(x)
        if images.ndim != 4:
            raise ValueError(f"Input to `.fit()` should have rank 4. Got array with shape: {images.shape}")
        channels = images.shape[self.channel_axis]
        if channels not in (1, 3, 4):
            warnings.warn(
                "Expected input to be images (as Numpy array) following the data format convention "
                f'"{self.data_format}" (channels on axis {self.channel_axis}), i.e. expected either 1, 3 or 4 channels '
                f"on axis {self.channel_axis}. However, it was passed an array with shape {images.shape} "
                f"({channels} channels).",
                stacklevel=2,
            )
        if seed is not None:
            np.random.seed(seed)
        rescale = self.rescale
        if augment:
            kind = np.dtype(self.dtype) if np.dtype(self.dtype).kind == "f" else np.dtype(np.float32)
            augmented = np.empty((rounds * len(images), *images.shape[1:]), kind)
            for k in range(len(augmented)):
                image = images[k % len(images)].astype(kind)
                augmented[k] = self.random_transform(image * kind.type(rescale) if rescale else image)
            images, rescale = augmented, None
        mean, std, whitening = learn(
            images,
            centre=self.featurewise_center,
            scale=self.featurewise_std_normalization,
            whiten=self.zca_whitening,
            zca_epsilon=self.zca_epsilon,
            rescale=rescale,
            channel_axis=self.channel_axis,
        )
        kind = np.dtype(self.dtype) if np.dtype(self.dtype).kind == "f" else np.dtype(np.float32)
        self.mean = self.mean if mean is None else mean.astype(kind)
        self.std = self.std if std is None else std.astype(kind)
        self.zca_whitening_matrix = self.zca_whitening_matrix if whitening is None else whitening.astype(kind)

    def standardize(self, x: Array) -> Array:
        """Apply `preprocessing_function`, rescaling, centring, normalization and whitening.

        Args:
            x: an image or a batch of them; floats are changed in place, unless the function returns a new array.

        Returns:
            The standardized images.
        """
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if x.dtype.kind not in "fc":
            x = x.astype(np.float32)
        standardization = self.standardization()
        if standardization.rescale is not None:
            x *= standardization.rescale
        if standardization.sample_centre:
            x -= np.mean(x, keepdims=True)
        if standardization.sample_scale:
            x /= np.std(x, keepdims=True) + 1e-6
        if standardization.mean is not None:
            x -= standardization.mean
        if standardization.std is not None:
            x /= standardization.std + 1e-6
        if standardization.whitening is not None:
            size = int(np.prod(x.shape[-3:]))
            x = (x.reshape(-1, size) @ standardization.whitening).reshape(x.shape)
        return x

    def get_random_transform(self, img_shape: tuple[int, ...], seed: int | None = None) -> dict[str, Any]:
        """Draw parameters for one image from NumPy's global generator, in Keras's order.

        Args:
            img_shape: rank 3.
            seed: seeds the global generator first, as Keras does.

        Returns:
            theta and shear (degrees), tx and ty (pixels along columns and rows), zx and zy (above 1 zooms out),
            flip_horizontal, flip_vertical, channel_shift_intensity and brightness (None for none).
        """
        if seed is not None:
            np.random.seed(seed)
        row = draw_as_keras(
            self.augmentation,
            np.random,
            img_shape[self.row_axis - 1],
            img_shape[self.col_axis - 1],
            swap_shifts=self.semantics == "keras",
        )
        return as_dict(np.array(row, np.float64))

    def apply_transform(self, x: Array, transform_parameters: Mapping[str, Any]) -> Array:
        """Transform one image as the parameters say.

        Args:
            x: one image, rank 3.
            transform_parameters: as `get_random_transform` returns them; missing ones change nothing.

        Returns:
            A transformed image of the same shape; floating point if values are shifted or scaled, else of `x`'s dtype.
        """
        x = np.asarray(x)
        if x.ndim != 3:
            raise ValueError(f"Input arrays must be multi-channel 2D images. Received: shape {x.shape}")
        return transformed(
            x,
            transform_parameters,
            self.augmentation,
            as_keras=self.semantics == "keras",
            channels_first=self.data_format == "channels_first",
        )

    def random_transform(self, x: Array, seed: int | None = None) -> Array:
        """Transform one image at random.

        Args:
            x: one image, rank 3.
            seed: seeds NumPy's global generator first, as Keras does.
        """
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def _resolve_conflicts(self) -> None:
        """What one option needs of another, with Keras's warnings."""

        def override(name: str, value: bool, by: str) -> None:
            setattr(self, name, value)
            warnings.warn(
                f"This ImageDataGenerator specifies `{by}`, which overrides setting of `{name}`.", stacklevel=4
            )

        if self.zca_whitening:
            if not self.featurewise_center:
                override("featurewise_center", True, "zca_whitening")
            if self.featurewise_std_normalization:
                override("featurewise_std_normalization", False, "zca_whitening")
        if self.featurewise_std_normalization and not self.featurewise_center:
            override("featurewise_center", True, "featurewise_std_normalization")
        if self.samplewise_std_normalization and not self.samplewise_center:
            override("samplewise_center", True, "samplewise_std_normalization")


@dataclass(frozen=True)
class _ByImage:
    """An image made by the methods of a generator.

    Attributes:
        draws: by the generator's `get_random_transform`, whatever the row of parameters says.
    """

    generator: ImageDataGenerator
    draws: bool

    def __call__(self, image: Array, row: Transforms) -> Any:
        """A loaded image, rank 3, finished; its row of parameters is `(1, 10)`."""
        parameters = self.generator.get_random_transform(image.shape) if self.draws else as_dict(row[0])
        return self.generator.standardize(self.generator.apply_transform(image, parameters))


def _unexpected(keyword: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(keyword, [name for name in known if name != "deprecated"], n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"flow_from_dataframe() got an unexpected keyword argument {keyword!r}.{hint}"


def _data_format(dim_ordering: str, data_format: str | None) -> str | None:
    """What Keras 1's `dim_ordering` says."""
    known = {"tf": "channels_last", "th": "channels_first", "default": data_format}
    if dim_ordering not in known:
        raise ValueError(f'`dim_ordering` should be "tf", "th" or "default". Received: {dim_ordering!r}')
    warnings.warn(
        '`dim_ordering` is deprecated: use `data_format="channels_last"` for "tf", "channels_first" for "th".',
        DeprecationWarning,
        stacklevel=3,
    )
    return known[dim_ordering]


def _zoom(zoom_range: Any) -> list[float]:
    if isinstance(zoom_range, float | int):
        return [1 - zoom_range, 1 + zoom_range]
    is_pair = isinstance(zoom_range, Sequence | np.ndarray) and len(zoom_range) == 2
    if is_pair and all(isinstance(value, float | int) for value in zoom_range):
        return [zoom_range[0], zoom_range[1]]
    raise ValueError(f"`zoom_range` should be a float or a tuple or list of two floats. Received: {zoom_range}")


def _brightness(brightness_range: Any) -> Any:
    if brightness_range is not None and (not isinstance(brightness_range, tuple | list) or len(brightness_range) != 2):
        raise ValueError(f"`brightness_range should be tuple or list of two floats. Received: {brightness_range}")
    return brightness_range

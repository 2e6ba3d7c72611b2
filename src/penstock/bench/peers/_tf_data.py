"""tf.data with Keras's preprocessing layers, as their guides put them together.

Layers run on whole batches: 83 us of processor time an image of 32x32, where one image at a time takes 193. For images
of 299x299 both take 11 to 12 ms, and give the same on two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from keras import layers

from penstock.bench._workloads import InFiles, InMemory, Ranges

_AUTO = tf.data.AUTOTUNE


@contextmanager
def memory(data: InMemory, workers: int = 0) -> Iterator[Iterator[Any]]:  # noqa: ARG001
    """From an array; bytes become floats in -1 to 1 as the last step. AUTOTUNE chooses the workers."""
    augment = [*_layers(data.ranges), layers.Rescaling(1 / 127.5, offset=-1)]
    samples = tf.data.Dataset.from_tensor_slices((data.x, data.y)).shuffle(len(data.x)).repeat()
    yield iter(_batches(samples, data.batch_size, augment))


@contextmanager
def files(data: InFiles, workers: int = 0) -> Iterator[Iterator[Any]]:  # noqa: ARG001
    """From JPEG files. AUTOTUNE chooses the workers."""
    size = (data.target_px, data.target_px)

    def read(path: Any, label: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.ensure_shape(tf.image.resize(image, size, method="nearest"), (*size, 3)), label

    paths, labels = data.listed()
    samples = tf.data.Dataset.from_tensor_slices((paths, labels)).shuffle(len(paths)).repeat()
    yield iter(_batches(samples.map(read, num_parallel_calls=_AUTO), data.batch_size, _layers(data.ranges)))


def _batches(samples: Any, batch_size: int, augment: list[Any]) -> Any:
    """Samples repeat before they come here, so that no epoch's end empties the pipeline."""

    def augmented(images: Any, labels: Any) -> Any:
        for layer in augment:
            images = layer(images, training=True)
        return images, labels

    return samples.batch(batch_size).map(augmented, num_parallel_calls=_AUTO).prefetch(_AUTO)


def _layers(ranges: Ranges) -> list[Any]:
    """The layers for `ranges`; where nothing is to happen, no layer."""
    drawn = {"fill_mode": "nearest", "interpolation": "bilinear"}  # ImageDataGenerator's defaults
    made: list[Any] = []
    if ranges.horizontal_flip:
        made.append(layers.RandomFlip("horizontal"))
    if ranges.rotation_range:
        made.append(layers.RandomRotation(ranges.rotation_range / 360, **drawn))
    if ranges.height_shift_range or ranges.width_shift_range:
        made.append(layers.RandomTranslation(ranges.height_shift_range, ranges.width_shift_range, **drawn))
    if ranges.zoom_range != (1.0, 1.0):
        factor = (ranges.zoom_range[0] - 1, ranges.zoom_range[1] - 1)
        made.append(layers.RandomZoom(factor, factor, **drawn))
    if ranges.channel_shift_range:
        made.append(layers.RandomBrightness(ranges.channel_shift_range / 255, value_range=(0, 255)))
    return made

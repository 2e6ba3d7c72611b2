"""The small convolutional network of the cats-and-dogs example that `ImageDataGenerator` became known with."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

INPUT_SIDE_PX = 150


def classic_model(classes: int, size_px: tuple[int, int] = (INPUT_SIDE_PX, INPUT_SIDE_PX)) -> Any:
    """Three convolutions, each with pooling, and two dense layers; compiled for one-hot labels.

    Args:
        classes: width of the softmax.
        size_px: height and width of the images, from 22 pixels on.

    Returns:
        A Keras model: `(batch, height, width, 3)` from 0 to 1 in, `(batch, classes)` out.
    """
    model = keras.Sequential([keras.Input((*size_px, 3))])
    for filters in (32, 32, 64):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    return model

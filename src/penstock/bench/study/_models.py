"""The study's two networks, by name."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

CATS_DOGS_SIDE_PX = 150


def cifar10_model(classes: int = 10, side_px: int = 32) -> Any:
    """The network of Keras's CIFAR-10 example: four convolutions in two blocks, and two dense layers.

    Returns:
        A Keras model, compiled for numbers as labels: `(batch, side, side, 3)` in, `(batch, classes)` out.
    """
    model = keras.Sequential([keras.Input((side_px, side_px, 3))])
    for filters in (32, 64):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D())
        model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(512, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    optimizer = keras.optimizers.RMSprop(learning_rate=0.0001)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def classic_model(classes: int, side_px: int = CATS_DOGS_SIDE_PX) -> Any:
    """The small network of the cats-and-dogs example: three convolutions, each with pooling, and two dense layers.

    Args:
        classes: width of the softmax.
        side_px: of its images.

    Returns:
        A Keras model, compiled for one-hot labels: `(batch, side, side, 3)` from 0 to 1 in, `(batch, classes)` out.
    """
    model = keras.Sequential([keras.Input((side_px, side_px, 3))])
    for filters in (32, 32, 64):
        model.add(layers.Conv2D(filters, 3, activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="softmax"))
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def cats_dogs_model(classes: int = 2, side_px: int = CATS_DOGS_SIDE_PX) -> Any:
    """`classic_model` for images from 0 to 255, which every library delivers, and for numbers as labels."""
    model = keras.Sequential([keras.Input((side_px, side_px, 3)), layers.Rescaling(1 / 255)])
    for layer in classic_model(classes, side_px).layers:
        model.add(layer)
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


MODELS = {"cifar10": cifar10_model, "cats-dogs": cats_dogs_model}

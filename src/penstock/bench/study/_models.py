"""The study's two networks, by name."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

CATS_DOGS_SIDE_PX = 150


def cifar10_layers(classes: int) -> list[Any]:
    """Of the network of Keras's CIFAR-10 example: four convolutions in two blocks, and two dense layers.

    For images of 10 pixels a side and more.
    """
    made: list[Any] = []
    for filters in (32, 64):
        made += [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Conv2D(filters, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
        ]
    dense = layers.Dense(512, activation="relu")
    return [*made, layers.Flatten(), dense, layers.Dropout(0.5), layers.Dense(classes, activation="softmax")]


def cats_dogs_layers(classes: int) -> list[Any]:
    """Of the small network of the cats-and-dogs example: three convolutions with pooling, and two dense layers.

    For images of 22 pixels a side and more, from 0 to 1.
    """
    made: list[Any] = []
    for filters in (32, 32, 64):
        made += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    dense = layers.Dense(64, activation="relu")
    return [*made, layers.Flatten(), dense, layers.Dropout(0.5), layers.Dense(classes, activation="softmax")]


def cifar10_model(classes: int = 10, side_px: int = 32) -> Any:
    """`cifar10_layers`, compiled for numbers as labels: `(batch, side, side, 3)` in, `(batch, classes)` out."""
    model = keras.Sequential([keras.Input((side_px, side_px, 3)), *cifar10_layers(classes)])
    optimizer = keras.optimizers.RMSprop(learning_rate=0.0001)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def cats_dogs_model(classes: int = 2, side_px: int = CATS_DOGS_SIDE_PX) -> Any:
    """`cats_dogs_layers` for images from 0 to 255, which every library delivers; compiled for numbers as labels."""
    inputs = [keras.Input((side_px, side_px, 3)), layers.Rescaling(1 / 255)]
    model = keras.Sequential([*inputs, *cats_dogs_layers(classes)])
    model.compile(optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


MODELS = {"cifar10": cifar10_model, "cats-dogs": cats_dogs_model}

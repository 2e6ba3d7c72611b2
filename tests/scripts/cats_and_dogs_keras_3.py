"""A classifier from very few pictures of cats and dogs, in folders: as one wrote it for Keras 3."""

import os
import sys

import numpy as np
from counting import SamplesSeen, steps_trained
from keras import Input, Sequential
from keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, MaxPooling2D

from penstock import ImageDataGenerator

train_dir = os.path.join(sys.argv[1], "train")
validation_dir = os.path.join(sys.argv[1], "validation")

model = Sequential(
    [
        Input((24, 24, 3)),
        Conv2D(8, 3, activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", SamplesSeen()])

augmented = ImageDataGenerator(rescale=1 / 255, shear_range=20, zoom_range=0.2, horizontal_flip=True)
plain = ImageDataGenerator(rescale=1 / 255)
history = model.fit(
    augmented.flow_from_directory(train_dir, (24, 24), batch_size=8, class_mode="binary"),
    epochs=2,
    validation_data=plain.flow_from_directory(validation_dir, (24, 24), batch_size=8, class_mode="binary"),
    verbose=2,
)
assert steps_trained(model) == 2 * 6
assert history.history["samples"] == [42, 42]
assert history.history["val_samples"] == [18, 18]

flow = plain.flow_from_directory(validation_dir, (24, 24), batch_size=8, class_mode=None, shuffle=False)
network = Sequential([Input((24, 24, 3)), GlobalAveragePooling2D()])
brightness = [int(name.split(".")[1]) / 255 for name in flow.filenames]
np.testing.assert_allclose(network.predict(flow, verbose=2)[:, 0], brightness, atol=1e-5)

"""A classifier from very few pictures of cats and dogs, in folders: as one wrote it for Keras 2."""

import os
import sys

import numpy as np
from counting import SamplesSeen, steps_trained
from keras.layers import Conv2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, MaxPooling2D
from keras.models import Sequential

from penstock.legacy import ImageDataGenerator

train_data_dir = os.path.join(sys.argv[1], "train")
validation_data_dir = os.path.join(sys.argv[1], "validation")
img_width, img_height = 24, 24
nb_train_samples = 42
nb_validation_samples = 18
epochs = 2
batch_size = 8

model = Sequential()
model.add(Conv2D(8, (3, 3), activation="relu", input_shape=(img_height, img_width, 3)))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dropout(0.5))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy", SamplesSeen()])

train_datagen = ImageDataGenerator(rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
test_datagen = ImageDataGenerator(rescale=1.0 / 255)
train_generator = train_datagen.flow_from_directory(
    train_data_dir, target_size=(img_height, img_width), batch_size=batch_size, class_mode="binary"
)
validation_generator = test_datagen.flow_from_directory(
    validation_data_dir, target_size=(img_height, img_width), batch_size=batch_size, class_mode="binary"
)

history = model.fit_generator(
    train_generator,
    steps_per_epoch=nb_train_samples // batch_size,
    epochs=epochs,
    validation_data=validation_generator,
    validation_steps=nb_validation_samples // batch_size,
    class_weight={0: 1.0, 1: 1.5},
    workers=2,
    verbose=2,
)
assert steps_trained(model) == 2 * 5
assert history.history["samples"] == [5 * 8, 2 + 4 * 8], "the second epoch begins with the first one's last batch"
assert history.history["val_samples"] == [2 * 8, 2 * 8]
assert len(model.evaluate_generator(validation_generator, steps=2)) >= 3

# The second part: what a network that others have trained says of each picture, kept for later, in the files' order.
network = Sequential([GlobalAveragePooling2D(input_shape=(img_height, img_width, 3))])
generator = test_datagen.flow_from_directory(
    validation_data_dir, target_size=(img_height, img_width), batch_size=batch_size, class_mode=None, shuffle=False
)
brightness = np.array([int(name.split(".")[1]) / 255 for name in generator.filenames])
features = network.predict_generator(generator, nb_validation_samples // batch_size)
np.testing.assert_allclose(features[:, 0], brightness[:16], atol=1e-5)
features = network.predict_generator(generator, steps=len(generator), workers=4)
np.testing.assert_allclose(features[:, 0], brightness, atol=1e-5)

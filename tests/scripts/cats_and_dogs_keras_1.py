"""A classifier from very few pictures of cats and dogs, in folders: as one wrote it for Keras 1."""

import os
import sys

import numpy as np
from counting import SamplesSeen, steps_trained
from keras.layers import Activation, Conv2D, Dense, Flatten, GlobalAveragePooling2D, MaxPooling2D
from keras.models import Sequential

from penstock.legacy import ImageDataGenerator

train_data_dir = os.path.join(sys.argv[1], "train")
validation_data_dir = os.path.join(sys.argv[1], "validation")
img_width, img_height = 24, 24
nb_train_samples = 42
nb_validation_samples = 18
nb_epoch = 2

model = Sequential()
model.add(Conv2D(8, 3, input_shape=(img_height, img_width, 3)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Flatten())
model.add(Dense(1))
model.add(Activation("sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy", SamplesSeen()])

train_datagen = ImageDataGenerator(rescale=1.0 / 255, shear_range=0.2, zoom_range=0.2, horizontal_flip=True)
test_datagen = ImageDataGenerator(rescale=1.0 / 255)
train_generator = train_datagen.flow_from_directory(
    train_data_dir, target_size=(img_height, img_width), batch_size=8, class_mode="binary"
)
validation_generator = test_datagen.flow_from_directory(
    validation_data_dir, target_size=(img_height, img_width), batch_size=8, class_mode="binary"
)

history = model.fit_generator(
    train_generator,
    samples_per_epoch=nb_train_samples,
    nb_epoch=nb_epoch,
    validation_data=validation_generator,
    nb_val_samples=nb_validation_samples,
    max_q_size=4,
    verbose=2,
)
assert steps_trained(model) == 2 * 6  # 42 samples are 5 batches of 8 and one of 2
assert history.history["samples"] == [42, 42]
assert history.history["val_samples"] == [18, 18]

# The second part: what a network that others have trained says of each picture, kept for later, in the files' order.
network = Sequential([GlobalAveragePooling2D(input_shape=(img_height, img_width, 3))])
generator = test_datagen.flow_from_directory(
    validation_data_dir, target_size=(img_height, img_width), batch_size=8, class_mode=None, shuffle=False
)
features = network.predict_generator(generator, val_samples=nb_validation_samples)
brightness = [int(name.split(".")[1]) / 255 for name in generator.filenames]
assert len(features) == nb_validation_samples
np.testing.assert_allclose(features[:, 0], brightness, atol=1e-5)

# More samples than there are: the data begins again.
history = model.fit_generator(train_generator, samples_per_epoch=60, nb_epoch=1, verbose=2)
assert history.history["samples"] == [42 + 2 * 8]

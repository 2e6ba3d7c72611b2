"""Small colour pictures, augmented in real time: as one writes it for Keras 3."""

import keras
from counting import SamplesSeen, steps_trained
from keras import layers
from small_pictures import load_data

from penstock import ImageDataGenerator

(x_train, y_train), (x_test, y_test) = load_data()

model = keras.Sequential(
    [
        keras.Input(x_train.shape[1:]),
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy", SamplesSeen()])

datagen = ImageDataGenerator(rescale=1 / 255, rotation_range=15, zoom_range=0.1, horizontal_flip=True)
test_datagen = ImageDataGenerator(rescale=1 / 255)
history = model.fit(
    datagen.flow(x_train, y_train, batch_size=16),
    epochs=2,
    validation_data=test_datagen.flow(x_test, y_test, batch_size=16, shuffle=False),
    verbose=2,
)

assert steps_trained(model) == 8
assert history.history["samples"] == [50, 50]
assert history.history["val_samples"] == [20, 20]

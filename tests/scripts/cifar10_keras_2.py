"""Small colour pictures, augmented in real time: as one wrote it for Keras 2."""

from counting import SamplesSeen, steps_trained
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.utils import to_categorical
from small_pictures import load_data

from penstock.legacy import ImageDataGenerator

batch_size = 16
num_classes = 3
epochs = 2

(x_train, y_train), (x_test, y_test) = load_data()
y_train = to_categorical(y_train, num_classes)
y_test = to_categorical(y_test, num_classes)
x_train = x_train.astype("float32") / 255
x_test = x_test.astype("float32") / 255

model = Sequential()
model.add(Conv2D(8, (3, 3), activation="relu", input_shape=x_train.shape[1:]))
model.add(MaxPooling2D())
model.add(Flatten())
model.add(Dense(num_classes, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=RMSprop(0.001), metrics=["accuracy", SamplesSeen()])

datagen = ImageDataGenerator(
    zca_whitening=False,
    rotation_range=0,
    width_shift_range=0.1,
    height_shift_range=0.1,
    fill_mode="nearest",
    horizontal_flip=True,
    validation_split=0.0,
)
datagen.fit(x_train)

history = model.fit_generator(
    datagen.flow(x_train, y_train, batch_size=batch_size),
    steps_per_epoch=x_train.shape[0] / batch_size,  # 3.125 of them
    epochs=epochs,
    validation_data=(x_test, y_test),
    workers=4,
    verbose=2,
)
assert steps_trained(model) == 8
assert history.history["samples"] == [50, 50]
assert history.history["val_samples"] == [20, 20]

# More steps than there are batches: the data begins again.
history = model.fit_generator(datagen.flow(x_train, y_train, batch_size), 6, 2, verbose=2)
assert steps_trained(model) == 8 + 12
assert history.history["samples"] == [50 + 2 * 16, 2 * 50 - 2 * 16]

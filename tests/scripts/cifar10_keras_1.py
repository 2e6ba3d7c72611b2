"""Small colour pictures, augmented in real time: as one wrote it for Keras 1."""

from counting import SamplesSeen, steps_trained
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.utils import to_categorical
from small_pictures import load_data

from penstock.legacy import ImageDataGenerator

batch_size = 16
nb_classes = 3
nb_epoch = 2

(X_train, y_train), (X_test, y_test) = load_data()
Y_train = to_categorical(y_train, nb_classes)
Y_test = to_categorical(y_test, nb_classes)

model = Sequential()
model.add(Conv2D(8, 3, padding="same", input_shape=X_train.shape[1:]))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(nb_classes))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy", SamplesSeen()])

X_train = X_train.astype("float32") / 255
X_test = X_test.astype("float32") / 255

datagen = ImageDataGenerator(
    featurewise_center=True,
    featurewise_std_normalization=True,
    rotation_range=10,
    width_shift_range=0.1,
    height_shift_range=0.1,
    horizontal_flip=True,
)
datagen.fit(X_train)

history = model.fit_generator(
    datagen.flow(X_train, Y_train, batch_size=batch_size),
    samples_per_epoch=X_train.shape[0],
    nb_epoch=nb_epoch,
    verbose=2,
    validation_data=(X_test, Y_test),
    nb_val_samples=X_test.shape[0],
    nb_worker=2,
)

assert steps_trained(model) == 8  # 50 samples are 3 batches of 16 and one of 2
assert history.history["samples"] == [50, 50]
assert history.history["val_samples"] == [20, 20]
score = model.evaluate_generator(datagen.flow(X_test, Y_test, batch_size=batch_size), val_samples=X_test.shape[0])
assert score[-1] == 20

"""Augmentation by a pool of processes, measured for several sizes of it: as one wrote it for a fork of Keras 1."""

import multiprocessing
import signal
import time

import numpy as np
from counting import SamplesSeen
from keras.callbacks import Callback
from keras.layers import Activation, Conv2D, Dense, Flatten
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
X_train = X_train.astype("float32") / 255
X_test = X_test.astype("float32") / 255


def init_worker():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def slow_filter(x):
    for _ in range(3):
        x = (x + np.roll(x, 1, axis=0)) / 2
    return x + np.random.normal(0, 0.01, x.shape)


def create_model():
    model = Sequential()
    model.add(Conv2D(8, 3, padding="same", input_shape=X_train.shape[1:]))
    model.add(Activation("relu"))
    model.add(Flatten())
    model.add(Dense(nb_classes))
    model.add(Activation("softmax"))
    model.compile(loss="categorical_crossentropy", optimizer="sgd", metrics=["accuracy", SamplesSeen()])
    return model


class PressesCtrlC(Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch >= 1:
            signal.raise_signal(signal.SIGINT)


def run(pool, callbacks=()):
    datagen = ImageDataGenerator(
        featurewise_center=False,
        samplewise_center=False,
        featurewise_std_normalization=False,
        samplewise_std_normalization=False,
        zca_whitening=False,
        rotation_range=45,
        width_shift_range=0.2,
        height_shift_range=0.2,
        horizontal_flip=True,
        vertical_flip=False,
        dim_ordering="default",
        preprocessing_function=slow_filter,
        pool=pool,
    )
    datagen.fit(X_train)
    flow = datagen.flow(X_train, Y_train, batch_size=batch_size, seed=7)
    flows.append(flow)  # as in a notebook, where the last one stays alive
    return create_model().fit_generator(
        flow,
        samples_per_epoch=X_train.shape[0],
        nb_epoch=nb_epoch,
        verbose=0,
        validation_data=(X_test, Y_test),
        callbacks=list(callbacks),
    )


flows, digests = [], []
interrupted = False
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background of a shell begins without

pool = multiprocessing.Pool(processes=2, initializer=init_worker)
try:
    run(pool, [PressesCtrlC()])
except KeyboardInterrupt:
    interrupted = True
    pool.terminate()
assert interrupted
old_flow = flows[0]
assert old_flow.total_batches_seen >= 2

for processes in (None, 1, 3):
    pool = multiprocessing.Pool(processes=processes, initializer=init_worker) if processes else None
    started = time.time()
    history = run(pool)
    print("processes:", processes, "seconds:", time.time() - started)
    assert history.history["samples"] == [50, 50]
    if pool is not None:
        flow = ImageDataGenerator(rotation_range=45, preprocessing_function=slow_filter, pool=pool).flow(
            X_train, Y_train, batch_size=batch_size, seed=7
        )
        digests.append([[part.tobytes() for part in next(flow)] for _ in range(5)])
        pool.close()
        pool.join()

# The same noise, whoever draws it.
assert digests[0] == digests[1]
assert len({batch[0] for batch in digests[0]}) == 5

# What had been made ahead is there; then the flow says that its pool is over, and does not wait for it.
ended = ""
try:
    for _ in range(20):
        next(old_flow)
except RuntimeError as error:
    ended = str(error)
assert "pool that makes this flow's batches is over" in ended, ended
assert not multiprocessing.active_children(), multiprocessing.active_children()

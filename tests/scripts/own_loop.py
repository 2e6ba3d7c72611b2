"""Training in a loop of one's own, which has to be left by hand: the generator goes on for ever."""

from counting import steps_trained
from keras.layers import Dense, Flatten
from keras.models import Sequential
from small_pictures import load_data

from penstock.legacy import ImageDataGenerator

batch_size = 16
(X_train, Y_train), _ = load_data()

model = Sequential([Flatten(input_shape=X_train.shape[1:]), Dense(3, activation="softmax")])
model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
datagen = ImageDataGenerator(featurewise_center=True, rotation_range=20, rescale=1 / 255)
datagen.fit(X_train)

samples = 0
for epoch in range(2):
    print("Epoch", epoch)
    batches = 0
    for X_batch, Y_batch in datagen.flow(X_train, Y_train, batch_size=batch_size):
        loss = model.train_on_batch(X_batch, Y_batch)
        samples += len(X_batch)
        batches += 1  # noqa: SIM113
        if batches >= len(X_train) / batch_size:
            break

assert samples == 2 * len(X_train)
assert steps_trained(model) == 8

i = 0
for batch in datagen.flow(X_train[:1], batch_size=1):
    assert batch.shape == (1, 12, 12, 3)
    i += 1
    if i > 20:
        break
assert i == 21

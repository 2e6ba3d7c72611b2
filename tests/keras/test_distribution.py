"""A flow under `keras.distribution`, on two CPU devices, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import keras, jax, numpy as np
from penstock import ImageDataGenerator
assert len(jax.devices()) == 2
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"]))
x = np.arange(32, dtype="float32")[:, None, None, None] * np.ones((1, 4, 4, 1), "float32")
model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)])
model.compile("sgd", "mse")
model.optimizer.learning_rate = 0.0
model.layers[-1].set_weights([np.ones((1, 1)), np.zeros(1)])
with ImageDataGenerator().flow(x, np.arange(32.0), 8, workers=2, seed=0) as flow:
    history = model.fit(flow, epochs=3, verbose=0)
    assert max(history.history["loss"]) < 1e-9, history.history
    assert flow.total_batches_seen == 12
with ImageDataGenerator().flow(x, batch_size=8, shuffle=False, workers=2) as flow:
    np.testing.assert_allclose(model.predict(flow, verbose=0)[:, 0], np.arange(32))
print("done")
"""


def test_fit_and_predict_on_two_devices() -> None:
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout == "done\n", done.stderr

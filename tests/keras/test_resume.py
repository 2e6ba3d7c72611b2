"""Going on where a run was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from penstock import Flow, ImageDataGenerator
from penstock.callbacks import FlowCheckpoint
from penstock.keras._asker import Asker
from penstock.keras._passes import Pass

pytestmark = pytest.mark.backends

X = np.random.default_rng(0).integers(0, 256, (11, 6, 5, 3), "uint8")


def make_flow(batch_size: int = 4, workers: int = 2, seed: int | None = 3, **options: Any) -> Flow:
    generator = ImageDataGenerator(rotation_range=45, **options)
    return generator.flow(X, np.arange(11), batch_size, seed=seed, workers=workers)


def digest(batch: Any) -> tuple[bytes, tuple[int, ...]]:
    return batch[0].tobytes(), tuple(batch[1].tolist())


@pytest.mark.parametrize("semantics", ["corrected", "keras"])
def test_resuming_at_every_step_with_other_workers_gives_the_rest_of_the_stream(semantics: str) -> None:
    with make_flow(semantics=semantics) as flow:
        states, batches = [], []
        for _ in range(9):
            states.append(json.loads(json.dumps(flow.state_dict())))
            batches.append(digest(next(flow)))
    for position, state in enumerate(states):
        with make_flow(workers=position % 4, seed=None, semantics=semantics) as flow:
            flow.load_state_dict(state)
            assert flow.state_dict() == state
            assert [digest(next(flow)) for _ in range(9 - position)] == batches[position:]


@pytest.mark.parametrize("batch_size", [1, 3, 5, 11, 20])
def test_resuming_with_another_batch_size_loses_and_doubles_no_sample(batch_size: int) -> None:
    with make_flow() as flow:
        images: dict[tuple[int, int], bytes] = {}
        for epoch in range(2):
            for _ in range(len(flow)):
                images |= {(epoch, int(y)): image.tobytes() for image, y in zip(*next(flow), strict=True)}
    with make_flow() as flow:
        seen = [int(y) for _ in range(2) for y in next(flow)[1]]
        state = flow.state_dict()
    assert state["samples"] == 8
    with make_flow(batch_size) as flow:
        flow.load_state_dict(state)
        assert flow.state_dict() == state
        while flow.state_dict()["epoch"] == 0:
            xs, ys = next(flow)
            for image, y in zip(xs, ys, strict=True):
                assert image.tobytes() == images[0, int(y)]
            seen += ys.tolist()
        assert sorted(seen) == list(range(11))
        xs, ys = next(flow)
        assert all(image.tobytes() == images[1, int(y)] for image, y in zip(xs, ys, strict=True))


def test_a_state_of_batches_in_shuffled_order_goes_on_in_that_order() -> None:
    def make(batch_size: int = 3) -> Flow:
        return ImageDataGenerator().flow(X, np.arange(11), batch_size, shuffle=False, seed=3, workers=2)

    shuffled_pass = Pass(Asker.SHUFFLED_TRAINING)
    with make() as flow, make() as resumed, make(4) as other:
        first = [flow._take(shuffled_pass)[1].tolist() for _ in range(2)]
        state = flow.state_dict()
        resumed.load_state_dict(state)
        rest = [resumed._take(shuffled_pass)[1].tolist() for _ in range(2)]
        assert sorted(sum(first + rest, [])) == list(range(11))  # noqa: RUF017
        assert rest == [flow._take(shuffled_pass)[1].tolist() for _ in range(2)]
        with pytest.raises(ValueError, match="batch size where batches were shuffled"):
            other.load_state_dict(state)


def test_a_state_of_other_data_or_none_is_refused_and_changes_nothing() -> None:
    with make_flow() as flow:
        state = flow.state_dict()
        for wrong, message in (
            (state | {"version": 2}, "should have version 1. Received: 2"),
            (state | {"fingerprint": "0"}, "belongs to other data"),
            ({"epoch": 3}, "should be a dict with the keys"),
            (None, "should be a dict with the keys"),
        ):
            with pytest.raises(ValueError, match=message):
                flow.load_state_dict(wrong)
        assert flow.state_dict() == state
    with make_flow(semantics="keras") as flow, make_flow(3, semantics="keras") as other:
        next(flow)
        with pytest.raises(ValueError, match="draws by batch"):
            other.load_state_dict(flow.state_dict())


SCRIPT = """
import hashlib, os, signal, sys
import keras, numpy as np
from penstock import ImageDataGenerator
from penstock.callbacks import FlowCheckpoint
from penstock.keras._asker import Asker
from penstock.keras._passes import Pass

folder, kill_after = sys.argv[1], int(sys.argv[2])
x = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 1), "uint8")
flow = ImageDataGenerator(rotation_range=45, rescale=1 / 255).flow(x, np.arange(20.0), 4, seed=3, workers=2)
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])

def loss(y_true, y_pred):
    try:
        print("batch", np.asarray(y_true).reshape(-1).astype(int).tolist(), flush=True)
    except Exception:
        pass
    return keras.ops.mean(keras.ops.square(y_true - y_pred))

class Kill(keras.callbacks.Callback):
    batches = 0
    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

model.compile(keras.optimizers.SGD(1e-4), loss, run_eagerly=True)
steps = 15 if len(sys.argv) < 4 else int(sys.argv[3])
callbacks = [FlowCheckpoint(flow, folder, save_freq=1), Kill()]
model.fit(flow.endless(), steps_per_epoch=steps, verbose=0, callbacks=callbacks)
print("weights", float(np.sum(np.abs(model.layers[-1].kernel))))
"""


@pytest.mark.once
def test_a_killed_training_process_started_again_sees_the_batches_it_would_have_seen(tmp_path: Path) -> None:
    def run(folder: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / folder), *map(str, arguments)]
        environment = os.environ | {"KERAS_BACKEND": "jax"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)

    whole, killed = run("whole", 0), run("killed", 7)
    assert whole.returncode == 0, whole.stderr
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run("killed", 0, 8)
    assert resumed.returncode == 0, resumed.stderr
    assert (killed.stdout + resumed.stdout).splitlines() == whole.stdout.splitlines()
    assert len(whole.stdout.splitlines()) == 16


def test_the_checkpoint_counts_trained_batches_and_not_those_that_were_asked_for(tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    (tmp_path / "model-1.weights.h5").write_text("somebody else's")
    with make_flow() as flow:
        next(flow)
        model.fit(flow, verbose=0, callbacks=[FlowCheckpoint(flow, tmp_path, save_freq=1)])
        state = json.loads((tmp_path / "flow.json").read_text())["flow"]
        assert (state["epoch"], state["samples"]) == (1, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "flow-checkpoint-4.weights.h5",
        "flow.json",
        "model-1.weights.h5",
    ]
    with pytest.raises(ValueError, match="`save_freq` should be"):
        FlowCheckpoint(flow, tmp_path, save_freq=0)

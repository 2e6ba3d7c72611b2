"""Processes that train together, on this machine: each framework with its own, in the run of the suite that is its."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import keras
import numpy as np
import pytest

from penstock import Flow, ImageDataGenerator

pytestmark = pytest.mark.backends

BACKEND = keras.backend.backend()
PATIENCE_S = 300

COMMON = """
import hashlib, json, os, sys
rank = int(os.environ["RANK"])

def flow(samples, **options):
    import numpy as np
    from penstock import ImageDataGenerator
    x = np.random.default_rng(0).random((samples, 4, 4, 1)).astype("float32")
    return ImageDataGenerator(rotation_range=45).flow(x, np.arange(samples), 4, **{"seed": 5, "workers": 1} | options)

def rows(batch):
    x, y, *weights = batch
    counted = weights[0] > 0 if weights else [True] * len(y)
    return [(int(i), hashlib.md5(image.tobytes()).hexdigest()) for image, i, is_own in zip(x, y, counted) if is_own]
"""
exec(COMMON.replace('rank = int(os.environ["RANK"])', ""))  # what the processes do, the tests compare with


def launch(script: str, environments: list[dict[str, str]]) -> list[Any]:
    """What each of some processes prints last, as JSON."""
    running = []
    with ExitStack() as files:
        outs, errs = ([files.enter_context(TemporaryFile("w+")) for _ in environments] for _ in range(2))
        try:
            for rank, environment in enumerate(environments):
                ours = {"KERAS_BACKEND": BACKEND, "CUDA_VISIBLE_DEVICES": "", "RANK": str(rank)}
                command = [sys.executable, "-c", COMMON + script]
                ours = os.environ | ours | environment
                running.append(subprocess.Popen(command, env=ours, stdout=outs[rank], stderr=errs[rank]))
            codes = [process.wait(PATIENCE_S) for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
            for file in outs + errs:
                file.seek(0)
        for code, err in zip(codes, errs, strict=True):
            assert code == 0, err.read()
        return [json.loads(out.read().splitlines()[-1]) for out in outs]


def free_ports(count: int) -> list[int]:
    """Of this machine, a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def alone(samples: int, epochs: int) -> list[list[tuple[int, str]]]:
    """Who is in each epoch, and what of, in a single process."""
    made: Flow = flow(samples, shard=(0, 1))  # type: ignore[name-defined] # noqa: F821
    with made:
        return [
            [row for _ in range(len(made)) for row in rows(next(made))]  # type: ignore[name-defined] # noqa: F821
            for _ in range(epochs)
        ]


def all_rows(steps: Any) -> list[tuple[int, str]]:
    return sorted((index, image) for batch in steps for index, image in batch)


TORCH = """
import torch.distributed as group
store, report = os.environ["STORE"], {}
group.init_process_group("gloo", init_method=f"file://{store}-3", rank=rank, world_size=3)
with flow(26) as three:
    report["three"] = [three.shard.rank, three.shard.world, len(three)]
    report["epoch"] = [rows(next(three)) for _ in range(len(three))]
    report["begun"] = [rows(next(three))]
    state, states = three.state_dict(), [None] * 3
    group.all_gather_object(states, state)
    report["states"] = states
group.destroy_process_group()
if rank < 2:
    group.init_process_group("gloo", init_method=f"file://{store}-2", rank=rank, world_size=2)
    import keras
    class Seen(keras.Sequential):
        def train_step(self, data):
            report["fit"].append(rows([part.numpy() for part in data]))
            return super().train_step(data)
    report["rest"], report["fit"] = [], []
    with flow(26) as two:
        report["two"] = [two.shard.rank, two.shard.world, len(two)]
        two.load_state_dict(state)
        while two.state_dict()["epoch"] == 1:
            report["rest"].append(rows(next(two)))
        model = Seen([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(two, epochs=1, verbose=0)
        report["seen"] = two.total_batches_seen
    group.destroy_process_group()
print(json.dumps(report))
"""


@pytest.mark.skipif(BACKEND != "torch", reason="torch's")
def test_a_process_group_shares_out_epochs_and_goes_on_with_fewer_ranks(tmp_path: Path) -> None:
    ranks = launch(TORCH, [{"STORE": str(tmp_path / "store")}] * 3)
    first, second, third = alone(26, 3)
    assert [rank["three"] for rank in ranks] == [[k, 3, 3] for k in range(3)]
    assert all_rows(batch for rank in ranks for batch in rank["epoch"]) == sorted(first)
    assert all(state == ranks[0]["states"][0] for rank in ranks for state in rank["states"])
    ranks, left = ranks[:2], [batch for rank in ranks for batch in rank["begun"]]
    assert [rank["two"] for rank in ranks] == [[k, 2, 4] for k in range(2)]
    assert all_rows(left + [batch for rank in ranks for batch in rank["rest"]]) == sorted(second)
    assert all_rows(batch for rank in ranks for batch in rank["fit"]) == sorted(third)
    assert [(len(rank["fit"]), rank["seen"]) for rank in ranks] == [(4, 12)] * 2


JAX = """
import jax
jax.distributed.initialize(os.environ["COORDINATOR"], 2, rank)
import keras
import numpy as np
from penstock.callbacks import FlowCheckpoint
keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
report = {}

def trained(samples, epochs=2, **options):
    keras.utils.set_random_seed(1)  # JAX wants the same weights everywhere from the beginning
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    model.set_weights([np.zeros((16, 1)), np.zeros(1)])
    with flow(samples) as own:
        if "folder" in options:
            options["callbacks"] = [FlowCheckpoint(own, options.pop("folder"))]
        losses = model.fit(own, epochs=epochs, verbose=0, **options).history["loss"]
        part = [own.shard.rank, own.shard.world, own.shard.rows_multiple, len(own)]
        return [part, losses, np.concatenate([w.ravel() for w in model.get_weights()]).tolist()]

report["even"] = trained(24)
report["uneven"] = trained(13)
report["begun"] = trained(24, 1, steps_per_epoch=2, folder=os.environ["FOLDER"] + f"/{rank}")
report["files"] = sorted(os.listdir(os.environ["FOLDER"] + f"/{rank}"))
print(json.dumps(report))
"""


@pytest.mark.skipif(BACKEND != "jax", reason="JAX's")
def test_processes_of_jax_train_as_one_would(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    environment = {
        "COORDINATOR": f"127.0.0.1:{port}",
        "FOLDER": str(tmp_path),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    ranks = launch(JAX, [environment] * 2)
    assert [rank["even"][0] for rank in ranks] == [[k, 2, 2, 3] for k in range(2)]

    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    model.set_weights([np.zeros((16, 1)), np.zeros(1)])
    x = np.random.default_rng(0).random((24, 4, 4, 1)).astype("float32")
    with ImageDataGenerator(rotation_range=45).flow(x, np.arange(24), 8, seed=5) as whole:
        losses = model.fit(whole, epochs=2, verbose=0).history["loss"]
    weights = np.concatenate([w.ravel() for w in model.get_weights()])
    for rank in ranks:
        np.testing.assert_allclose(rank["even"][1], losses, rtol=1e-4)
        np.testing.assert_allclose(rank["even"][2], weights, rtol=1e-3)
    # Of the last 5 samples the two devices of each process need as many: else JAX fails, or each rank has another loss.
    assert ranks[0]["uneven"] == [[0, 2, 2, 2], *ranks[1]["uneven"][1:]]

    assert ranks[1]["files"] == []
    saved = json.loads((tmp_path / "0" / "flow.json").read_text())
    assert ranks[0]["files"] == sorted(["flow.json", saved["weights"]])
    with ImageDataGenerator(rotation_range=45).flow(x, np.arange(24), 5, seed=5) as rest:
        order = [int(y) for _ in range(len(rest)) for y in next(rest)[1]]
        rest.load_state_dict(saved["flow"])
        assert [int(y) for _ in range(2) for y in next(rest)[1]] == order[16:]


TENSORFLOW = """
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np
from penstock.keras._ranks import find_ranks
outside = flow(13, shuffle=False)
report = {"outside": [outside.shard.rank, outside.shard.world, find_ranks().by]}
with strategy.scope():
    inside = flow(13, shuffle=False)
    report["inside"] = [inside.shard.rank, inside.shard.world, find_ranks().by]
    model = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
try:
    model.predict(inside, verbose=0)
except ValueError as error:
    report["refused"] = str(error)

@tf.function
def total(numbers):
    def added(own):
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.reduce_sum(own))
    return strategy.experimental_local_results(strategy.run(added, args=(numbers,)))[0]

report["totals"], report["seen"] = [], []
for _ in range(len(outside)):
    batch = next(outside)
    report["seen"].append(rows(batch))
    labels = strategy.experimental_distribute_values_from_function(lambda _: tf.constant(batch[1], tf.float32))
    report["totals"].append(float(total(labels)))
report["rows"] = len(model.predict(flow(13, shuffle=False, shard=(0, 1)), verbose=0))
print(json.dumps(report))
"""


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's")
def test_workers_of_tensorflow_share_out_epochs() -> None:
    ports = free_ports(2)
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    ranks = launch(
        TENSORFLOW,
        [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": k}})} for k in range(2)],
    )
    assert [rank["outside"] for rank in ranks] == [[k, 2, "TF_CONFIG"] for k in range(2)]
    assert [rank["inside"] for rank in ranks] == [[k, 2, "the strategy's cluster"] for k in range(2)]
    seen = [index for rank in ranks for batch in rank["seen"] for index, _ in batch]
    assert sorted(seen) == list(range(13))
    assert [rank["totals"] for rank in ranks] == [[sum(range(8)), sum(range(8, 13))]] * 2
    assert all("TensorFlow shares out each batch" in rank["refused"] for rank in ranks)
    assert [rank["rows"] for rank in ranks] == [13, 13]

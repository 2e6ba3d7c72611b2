"""Ranks that are found, with stand-ins for the frameworks; see test_ranks_together.py for these."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from penstock import Flow, ImageDataGenerator, feed
from penstock.callbacks import FlowCheckpoint
from penstock.feeding._plan import ALL, Shard
from penstock.keras._ranks import find_ranks

X = np.random.default_rng(0).integers(0, 256, (29, 6, 5, 3), "uint8")
BACKEND = keras.backend.backend()


def flow_of(shard: Any = "auto", batch_size: int = 4, **options: Any) -> Flow:
    return ImageDataGenerator(rotation_range=45).flow(
        X, np.arange(29.0), batch_size, **{"seed": 5, "workers": 0, "shard": shard, **options}
    )


def group(rank: int, world: int, *, initialized: bool = True) -> Any:
    """What `torch` looks like to us."""
    return SimpleNamespace(
        distributed=SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda: initialized,
            get_rank=lambda: rank,
            get_world_size=lambda: world,
        )
    )


def processes_of_jax(process: int, processes: int) -> Any:
    """What `jax` looks like to us."""
    return SimpleNamespace(
        distributed=SimpleNamespace(is_initialized=lambda: True),
        process_index=lambda: process,
        process_count=lambda: processes,
    )


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's environment says."""
    monkeypatch.delenv("TF_CONFIG", raising=False)


def test_a_single_process_has_all() -> None:
    assert find_ranks().shard == ALL
    with flow_of() as flow:
        assert (flow.shard, len(flow)) == (Shard(0, 1), 8)


def test_a_process_group_is_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", group(1, 3))
    with flow_of() as flow:
        assert (flow.shard.rank, flow.shard.world, len(flow)) == (1, 3, 3)
        with flow_of((1, 3)) as given:
            assert flow.digest() == given.digest()
    assert capsys.readouterr().out.splitlines() == [
        "penstock: rank 1 of 3 by torch.distributed: of each step's 3 batches this process gets one (shard=(0, 1) has "
        "it get all)."
    ]
    with flow_of((0, 1), seed=None) as flow:
        assert (flow.shard, len(flow)) == (ALL, 8)
    with feed([np.zeros(1)] * 6) as stream:  # a sequence shares itself out, or does not
        assert len(stream) == 6
    with feed([np.zeros(1)] * 6, shard="auto") as stream:
        assert len(stream) == 2


def test_a_group_that_is_not_initialized_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", group(1, 3, initialized=False))
    assert find_ranks().shard == ALL


def test_ranks_that_are_found_need_a_seed_and_samples_that_can_be_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", group(0, 2))
    with pytest.raises(ValueError, match=r"the same for all 2 ranks.*or shard=\(0, 1\)"):
        flow_of(seed=None)
    with pytest.raises(ValueError, match=r'semantics="keras".*or shard=\(0, 1\)'):
        ImageDataGenerator(semantics="keras").flow(X, seed=1)


def test_a_flow_that_was_made_too_early_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with flow_of() as early, flow_of((0, 1)) as given, flow_of() as running:
        next(running)
        monkeypatch.setitem(sys.modules, "torch", group(1, 2))
        with pytest.raises(ValueError, match=r"made for rank 0 of 1, and by now this process is rank 1 of 2"):
            next(early)
        next(given)
        model = keras.Sequential([keras.layers.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(ValueError, match="Make flows after the processes have found each other"):
            model.fit(running, verbose=0)


@pytest.mark.parametrize(
    ("replicas", "shard"),
    [
        (None, Shard(2, 4, rows_multiple=1)),
        (4, Shard(2, 4, rows_multiple=1)),
        (8, Shard(2, 4, rows_multiple=2)),  # two devices each
        (2, Shard(1, 2, 2, 0, rows_multiple=1)),  # a model lies across two processes
        (1, Shard(0, 1, 4, 2, rows_multiple=1)),
    ],
)
def test_processes_of_jax_are_found(replicas: int | None, shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    if BACKEND != "jax" and replicas is not None:
        pytest.skip("keras.distribution is JAX's")
    monkeypatch.setitem(sys.modules, "torch", group(0, 1))
    monkeypatch.setitem(sys.modules, "jax", processes_of_jax(2, 4))
    distribution = None
    if replicas is not None:
        distribution = SimpleNamespace(num_model_replicas=replicas, data_shard_id=2 // max(1, 4 // replicas))
    monkeypatch.setattr(keras.distribution, "distribution", lambda: distribution)
    assert find_ranks().shard == shard
    if replicas == 1:  # all get the same samples, so all need the same seed
        with pytest.raises(ValueError, match="the same for all 4 ranks"):
            flow_of(seed=None)


@pytest.mark.parametrize(
    ("task", "shard"),
    [
        (("chief", 0), Shard(0, 4)),
        (("worker", 0), Shard(1, 4)),
        (("worker", 2), Shard(3, 4)),
        (("evaluator", 0), ALL),
        (("ps", 0), ALL),
        ((None, None), ALL),
    ],
)
def test_workers_of_tensorflow_are_found(task: Any, shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:1", "d:1"], "ps": ["e:1"], "evaluator": ["f:1"]}
    cluster = SimpleNamespace(as_dict=lambda: jobs)
    resolver = SimpleNamespace(task_type=task[0], task_id=task[1], cluster_spec=lambda: cluster)
    strategy = SimpleNamespace(cluster_resolver=resolver)
    for in_scope in (True, False):
        distribute = SimpleNamespace(
            has_strategy=lambda in_scope=in_scope: in_scope,
            get_strategy=lambda: strategy,
            cluster_resolver=SimpleNamespace(TFConfigClusterResolver=lambda: resolver),
        )
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(distribute=distribute))
        monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
        assert find_ranks().shard == (shard if in_scope else ALL)
        monkeypatch.setenv("TF_CONFIG", "{}")
        assert find_ranks().shard == shard
        monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
        assert find_ranks().shard == (shard if in_scope else ALL), "trained by another back end"
        monkeypatch.delenv("TF_CONFIG")


def test_ranks_of_a_feed_shuffle_alike() -> None:
    with feed([np.zeros(1)] * 6, shard=(0, 2)) as one, feed([np.zeros(1)] * 6, shard=(1, 2)) as other:
        assert one.state_dict() == other.state_dict()


def test_ranks_of_jax_have_as_many_rows_each(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    for rank in range(2):
        monkeypatch.setitem(sys.modules, "torch", group(0, 1))
        monkeypatch.setitem(sys.modules, "jax", processes_of_jax(rank, 2))
        for shard in ("auto", (rank, 2)):
            with flow_of(shard, shuffle=False) as flow:
                batches.append([next(flow) for _ in range(len(flow))])
        with pytest.raises(ValueError, match="2 processes of JAX need as many each"):
            flow_of(on_error="skip")
    assert [[len(x) for x, *_ in epoch] for epoch in batches] == [[4, 4, 4, 3]] * 4
    assert [epoch[-1][1].tolist() for epoch in batches] == [[24, 26, 28]] * 2 + [[25, 27, 24]] * 2
    assert [epoch[-1][2].tolist() for epoch in batches] == [[1, 1, 1]] * 2 + [[1, 1, 0]] * 2
    assert all(weights.all() for epoch in batches for *_, weights in epoch[:-1])
    with flow_of((1, 2), shuffle=False) as flow:
        assert flow.explain(0, 3, 2).index == 24


def test_the_first_rank_saves_and_all_go_on(tmp_path: Path) -> None:
    def fit(shard: tuple[int, int], epochs: int) -> Any:
        model = keras.Sequential([keras.layers.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        with flow_of(shard) as flow:
            model.fit(flow, epochs=epochs, verbose=0, callbacks=[FlowCheckpoint(flow, tmp_path)])
            return flow.state_dict()

    fit((1, 2), 1)
    assert not list(tmp_path.iterdir())
    fit((0, 2), 1)
    assert len(list(tmp_path.iterdir())) == 2
    assert fit((1, 2), 1)["epoch"] == 2
    assert json.loads((tmp_path / "flow.json").read_text())["flow"]["epoch"] == 1


def test_predict_says_that_it_gets_a_part(capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([keras.layers.Input((6, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with flow_of((1, 2)) as flow:
        assert [len(model.predict(flow, verbose=0)) for _ in range(2)] == [14, 14]
    said = [line for line in capsys.readouterr().out.splitlines() if "penstock" in line]
    assert said == [
        "penstock: `predict` gets the part of rank 1 of 2 alone; a flow with shard=(0, 1) has all rows, in the order "
        "of its files."
    ]

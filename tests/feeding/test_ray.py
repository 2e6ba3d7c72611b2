"""Batches made on a Ray cluster of three machines, all of them on this one."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from clusters import local_cluster, node_arguments
from makers import ROWS, Maker, check_that_this_is_a_lean_process, die, hang, once
from penstock import BatchError, ImageDataGenerator, WorkerError
from penstock._types import Step
from penstock.feeding._feeder import Feeder
from penstock.feeding._plan import Plan
from penstock.feeding.executors import _ray_cluster
from penstock.feeding.executors._ray import RayExecutor
from penstock.feeding.executors._ray_cluster import RayCluster
from penstock.feeding.executors._ray_watch import Server, Watch
from penstock.feeding.executors._ray_worker import _FLOWS

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\):RuntimeWarning")  # of JAX, where a machine is added

STEPS = 5
X = np.random.default_rng(0).integers(0, 256, (48, 9, 7, 3), "uint8")


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cluster(machines: Any) -> RayCluster:
    return RayCluster("ray")


@pytest.fixture
def feed(cluster: RayCluster) -> Iterator[Callable[..., Feeder]]:
    opened: list[Feeder] = []

    def make(maker: Any, workers: int = 2, timeout_s: float | None = 60.0) -> Feeder:
        count = ROWS * STEPS - 1
        plan = Plan(count, ROWS, lambda epoch: np.arange(count), lambda epoch: np.arange(STEPS))
        opened.append(Feeder(plan, maker, RayExecutor(cluster, workers), max_queue_size=4, timeout_s=timeout_s))
        return opened[-1]

    yield make
    for feeder in opened:
        feeder.close()


def expected(position: int) -> list[int]:
    epoch, number = divmod(position, STEPS)
    return [k + 1000 * epoch for k in range(number * ROWS, min((number + 1) * ROWS, ROWS * STEPS - 1))]


def take(feeder: Feeder, batches: int, start: int = 0) -> list[list[int]]:
    return [feeder.get(position).arrays[1].tolist() for position in range(start, start + batches)]


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what the cluster does in its own time."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Fatal:
    """Ends the first machine that it is called on, but for one; there it waits until that has happened."""

    def __init__(self, folder: Path, spared: str) -> None:
        self.flag = folder / "happened"
        self.spared = spared

    def __call__(self, image: np.ndarray) -> np.ndarray:
        import ray

        if ray.get_runtime_context().get_node_id() not in self.spared and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getppid(), signal.SIGKILL)  # the machine's own process of Ray's
            die()
        until(self.flag.exists)
        return image * 0.5


def test_batches_come_in_order_from_a_lean_process_and_belong_to_the_caller(feed: Callable[..., Feeder]) -> None:
    feeder = feed(Maker(check_that_this_is_a_lean_process))
    kept = [feeder.get(position) for position in range(12)]  # more than there are slots
    assert [batch.arrays[1].tolist() for batch in kept] == [expected(position) for position in range(12)]
    assert all(array.flags.writeable for batch in kept for array in batch.arrays)
    assert {worker.thread for worker in feeder.worker_ids} <= {None}


def test_a_machine_that_is_lost_changes_nothing(machines: Any, tmp_path: Path) -> None:
    generator = ImageDataGenerator(rotation_range=30, zoom_range=0.2, preprocessing_function=None)
    with generator.flow(X, np.arange(48), 4, seed=3, workers=0) as flow:
        before = [next(flow) for _ in range(24)]
    spared = "".join(node["NodeID"] for node in ray.nodes())
    lost = machines.add_node(**node_arguments())
    until(lambda: sum(node["Alive"] for node in ray.nodes()) == 3)
    fatal = Fatal(tmp_path, spared)
    generator.preprocessing_function = fatal
    with generator.flow(X, np.arange(48), 4, seed=3, pool="ray", workers=3) as flow:
        after = [next(flow) for _ in range(24)]
        assert flow.stats.dropped == 0
    assert fatal.flag.exists()
    machines.remove_node(lost, allow_graceful=False)  # what is left of it: its agents
    for (x, y), (other_x, other_y) in zip(before, after, strict=True):
        assert x.tobytes() == (2 * other_x).tobytes()
        assert y.tolist() == other_y.tolist()


def test_a_killed_process_is_replaced_and_its_batch_made_again(feed: Callable[..., Feeder], tmp_path: Path) -> None:
    assert take(feed(Maker(once(tmp_path, die))), 8) == [expected(position) for position in range(8)]


def test_a_batch_that_kills_its_processes_is_given_up_and_the_others_are_there(feed: Callable[..., Feeder]) -> None:
    def trouble(step: Step) -> None:
        if step.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    feeder = feed(Maker(trouble))
    assert take(feeder, 1) == [expected(0)]
    with pytest.raises(WorkerError, match=r"3 processes of the Ray cluster in a row were lost while they made batch 1"):
        feeder.get(1)
    assert take(feeder, 2, 2) == [expected(2), expected(3)]


def test_a_users_error_is_told_in_its_place_and_not_tried_again(feed: Callable[..., Feeder], tmp_path: Path) -> None:
    calls = tmp_path / "calls"

    def trouble(step: Step) -> None:
        if step.number == 2:
            with calls.open("a") as file:
                file.write("x")
            raise ArithmeticError("not batch 2")

    feeder = feed(Maker(trouble))
    assert take(feeder, 2) == [expected(0), expected(1)]
    with pytest.raises(BatchError, match="ArithmeticError: not batch 2") as caught:
        feeder.get(2)
    assert (caught.value.epoch, caught.value.step) == (0, 2)
    assert "in trouble" in caught.value.traceback_text
    assert "on Ray's node 127.0.0.1" in "".join(caught.value.__notes__)
    assert calls.read_text() == "x"
    assert take(feeder, 2, 3) == [expected(3), expected(4)]


def test_large_arrays_are_one_map_for_all_and_a_changed_maker_reaches_them(feed: Callable[..., Feeder]) -> None:
    table = np.arange(1 << 18, dtype="f8")

    def trouble(step: Step) -> None:
        assert not maker.table.flags.writeable
        assert not maker.table.flags.owndata

    maker = Maker(trouble, table)
    feeder = feed(maker)
    assert feeder.get(1).arrays[0][:, 0].tolist() == [4, 5, 6, 7]
    feeder.renew()  # nothing has changed
    assert feeder._executor._number == 0
    table += 100
    feeder.renew()
    assert feeder.get(1).arrays[0][:, 0].tolist() == [104, 105, 106, 107]


def test_a_function_that_writes_to_a_large_array_has_a_copy(feed: Callable[..., Feeder]) -> None:
    table = np.arange(1 << 18, dtype="f8")

    def trouble(step: Step) -> None:
        table[step.indices] = 5 + step.number

    feeder = feed(Maker(trouble, table))
    assert [feeder.get(k).arrays[0][0, 0] for k in (0, 1, 2)] == [5, 6, 7]
    assert table.tolist()[:4] == [0, 1, 2, 3]


def test_close_ends_what_is_under_way_and_frees_the_store(feed: Callable[..., Feeder]) -> None:
    def free_cpus() -> float:
        return float(ray.available_resources().get("CPU", 0.0))

    def kept() -> set[Any]:
        return set(ray._private.worker.global_worker.core_worker.get_all_reference_counts())

    until(lambda: free_cpus() == 2)
    gc.collect()
    before = kept()
    feeder = feed(Maker(lambda step: step.number and hang(), np.zeros(1 << 18)))
    assert take(feeder, 1) == [expected(0)]
    until(lambda: free_cpus() == 0)
    assert len(kept() - before) >= 3  # the maker, its array, and what is under way
    feeder.close()
    until(lambda: free_cpus() == 2)
    gc.collect()  # what was thrown holds the frames that it went through
    until(lambda: kept() <= before)


def test_a_process_lets_go_of_a_maker_that_has_rested() -> None:
    _FLOWS.of("one")
    resting = _FLOWS.of("other")
    resting.rest()
    _FLOWS.forget(time.monotonic() + 1)
    assert "other" not in _FLOWS._flows
    _FLOWS.of("one").rest()
    _FLOWS.forget(time.monotonic() + 1)
    assert _FLOWS._flows == {}


def test_global_generators_are_seeded_for_each_sample(cluster: RayCluster) -> None:
    def noisy(image: np.ndarray) -> np.ndarray:
        return image + np.random.uniform(size=image.shape)

    flows = [ImageDataGenerator(preprocessing_function=noisy).flow(X, None, 4, seed=3, pool="ray") for _ in range(2)]
    digests = {flow.digest() for flow in flows}
    for flow in flows:
        flow.close()
    assert len(digests) == 1


def test_a_file_that_a_machine_does_not_see_is_told_with_the_machine(cluster: RayCluster, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(X[0]).save(tmp_path / name / "0.png")
    with ImageDataGenerator().flow_from_directory(tmp_path, (8, 8), batch_size=2, pool="ray") as flow:
        (tmp_path / "b" / "0.png").unlink()
        with pytest.raises(BatchError, match=r"b/0\.png.*seen from Ray's node 127\.0\.0\.1"):
            next(flow)


def test_a_pool_of_rays_stands_for_its_cluster(cluster: RayCluster) -> None:
    from ray.util.multiprocessing import Pool

    pool = Pool(2)
    with ImageDataGenerator().flow(X, None, 4, seed=3, pool=pool) as flow:
        assert flow.workers == 2
        assert len(next(flow)) == 4
    assert pool.apply(abs, (-3,)) == 3
    pool.terminate()
    with pytest.raises(ValueError, match="that is closed"):
        ImageDataGenerator().flow(X, None, 4, pool=pool)


def test_a_head_that_does_not_answer_is_an_error(
    feed: Callable[..., Feeder], cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = nobody.getsockname()
    monkeypatch.setattr(cluster, "_watch", Watch([Server("its head", *address, 0.0, 0.0)]))
    monkeypatch.setattr(_ray_cluster, "_LOOK_S", 0.1)
    feeder = feed(Maker(lambda step: hang()), timeout_s=None)
    with pytest.raises(WorkerError, match=r"is gone: its head at 127\.0\.0\.1:\d+ does not answer"):
        feeder.get(0)


def test_head_and_this_machines_raylet_are_looked_at_and_answer(cluster: RayCluster) -> None:
    assert [server.what for server in cluster._watch._servers] == [
        "its head",
        "the part of Ray on this machine (raylet)",
    ]
    assert cluster._watch.all_answer()
    assert cluster._watch.look() is None


def test_a_connection_that_was_ended_is_an_error(
    feed: Callable[..., Feeder], cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = feed(Maker())
    monkeypatch.setattr(cluster, "_job", "another")
    with pytest.raises(WorkerError, match=r"ray\.shutdown\(\) was called"):
        take(feeder, 1)


def test_one_cluster_at_a_time(cluster: RayCluster) -> None:
    with pytest.raises(ValueError, match=r"connected to the Ray cluster at 127\.0\.0\.1:\d+, and Ray allows one"):
        ImageDataGenerator().flow(X, None, 4, pool="elsewhere:6379")
    address = ray.get_runtime_context().gcs_address
    assert RayCluster(address).workers == 2


def test_an_address_where_nobody_is_is_an_error_at_once(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        with pytest.raises(WorkerError, match=f"{address}' cannot be reached: ConnectionRefusedError"):
            RayCluster(address)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    with pytest.raises(WorkerError, match="cannot be reached"):
        RayCluster("ray")


def test_a_word_that_is_no_address_is_refused_before_any_flow() -> None:
    with pytest.raises(ValueError, match=r'`pool` should be "ray" .* Received: \'spark\''):
        ImageDataGenerator(pool="spark")


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "penstock\[ray\]"'):
        ImageDataGenerator(pool="ray")


PROGRAM = """
import socket
import numpy as np, psutil
from penstock import ImageDataGenerator

with ImageDataGenerator().flow(np.zeros((8, 5, 5, 3), "uint8"), None, 4, pool="ray", workers=1) as flow:
    next(flow)
    mine = psutil.Process().children(recursive=True)
    listening = {c.laddr.ip for p in mine for c in p.net_connections() if c.status == "LISTEN"}
    print("listens on", *sorted(listening))
print("processes", *[process.pid for process in mine])
"""


def test_without_a_cluster_one_is_started_which_ends_with_the_program() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # Ray allows no long path
        starts_and_ends(Path(folder))


def starts_and_ends(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    # As if the last cluster on this machine had been killed: Ray keeps its address.
    environment["RAY_TMPDIR"] = str(tmp_path)
    (tmp_path / "ray").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{nobody.getsockname()[1]}")
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "penstock: started Ray on this machine, with" in done.stdout
    assert "listens on 127.0.0.1 ::ffff:127.0.0.1\n" in done.stdout
    pids = done.stdout.rpartition("processes")[2].split()
    assert pids
    until(lambda: not any(is_running(int(pid)) for pid in pids))


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()

"""A queue that memory has no room for is refused, with the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock import ImageDataGenerator, feed
from penstock.feeding import _room
from penstock.feeding._free_memory import free_bytes


def test_free_memory_is_the_machines_or_what_the_containers_limit_leaves(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16000000 kB\nMemFree:   1 kB\nMemAvailable:    8000000 kB\n")
    assert free_bytes(meminfo, tmp_path / "none") == 8_000_000 * 1024
    second = tmp_path / "second"
    second.mkdir()
    (second / "memory.max").write_text("3000000\n")
    (second / "memory.current").write_text("2500000\n")
    (second / "memory.stat").write_text("anon 1\ninactive_file 400000\n")
    assert free_bytes(meminfo, second) == 900_000
    (second / "memory.max").write_text("max\n")
    assert free_bytes(meminfo, second) == 8_000_000 * 1024
    first = tmp_path / "first" / "memory"
    first.mkdir(parents=True)
    (first / "memory.limit_in_bytes").write_text("3000000\n")
    (first / "memory.usage_in_bytes").write_text("2000000\n")
    (first / "memory.stat").write_text("inactive_file 7\ntotal_inactive_file 100000\n")
    assert free_bytes(meminfo, tmp_path / "first") == 1_100_000
    assert free_bytes(tmp_path / "none", tmp_path / "none") is None


def test_it_is_known_here() -> None:
    free = free_bytes()
    assert free is None or free > 1_000_000


def test_a_flow_whose_queue_has_no_room_is_refused_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_room, "free_bytes", lambda: 100_000_000)
    flow = ImageDataGenerator().flow(np.zeros((512, 256, 256, 3), "uint8"), batch_size=64, workers=1, max_queue_size=2)
    words = (
        r"A queue of 2 batches of 50 MB would take 101 MB, and 100 MB of memory are free. Make batches smaller, or set "
        r'max_queue_bytes="50MB"\.'
    )
    with pytest.raises(ValueError, match=words):
        next(flow)
    flow.max_queue_size = 1
    assert next(flow).shape == (64, 256, 256, 3)
    with pytest.raises(ValueError, match="A queue of 8 batches"):
        flow.max_queue_size = 8
    assert flow.max_queue_size == 1
    assert flow.peak_bytes == 64 * 256 * 256 * 3 * 4
    next(flow)
    flow.close()


@pytest.mark.parametrize("processes", [False, True])
def test_batches_of_a_users_own_object_are_refused_once_their_size_is_known(
    processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_room, "free_bytes", lambda: 100_000_000)
    large: Any = [np.full((32, 1 << 20), k, "uint8") for k in range(6)]
    with feed(large, workers=2, use_multiprocessing=processes, max_queue_size=4) as stream:
        for _ in range(2):
            with pytest.raises(
                ValueError,
                match=r"4 batches of 34 MB would take 134 MB.* Set max_queue_size and workers to 1 at most, or",
            ):
                next(stream)
        stream.max_queue_bytes = "50MB"
        assert [int(next(stream)[0, 0]) for _ in range(4)] == [0, 1, 2, 3]


def test_a_small_queue_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_room, "free_bytes", lambda: 1)
    with ImageDataGenerator().flow(np.zeros((8, 16, 16, 3), "uint8"), batch_size=4) as flow:
        next(flow)

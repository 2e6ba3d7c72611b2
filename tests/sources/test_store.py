"""Images that are kept: never wrong ones, whoever writes, dies, cuts short or corrupts."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kept_images import FILES, RECORD, VALUES, change, check, had, nothing_known, put, store_of, write_files
from leftovers import shared_memory
from penstock.sources import _store_files
from penstock.sources._stamps import FileNames
from penstock.sources._store import Store
from penstock.sources._store_files import HEADER_BYTES, FolderPlace
from penstock.sources._store_memory import MemoryPlace

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs flock")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    (tmp_path / "images").mkdir()
    return write_files(tmp_path / "images")


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    return FolderPlace(str(tmp_path / "cache"), "name")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_kept_is_found_by_this_and_by_later_runs(place: FolderPlace, paths: list[str], dtype: Any) -> None:
    store = store_of(place, paths)
    assert had(store, range(FILES)) == {}
    put(store, paths, [3, 1, 7], dtype)
    check(store, paths, 3)
    assert {values.dtype for values in had(store, range(FILES)).values()} == {np.dtype(dtype)}
    put(store, paths, range(FILES), dtype)
    check(store, paths, FILES)
    check(store_of(place, paths), paths, FILES)
    check(store_of(place, paths[5:]), paths[5:], 7)  # by its path, whatever its number
    assert store.held == (FILES, FILES * store.padded_values(np.dtype(dtype).itemsize) * np.dtype(dtype).itemsize)
    assert store.complaints == ()


def test_both_types_lie_beside_one_another(place: FolderPlace, paths: list[str]) -> None:
    store = store_of(place, paths)
    put(store, paths, [0, 1])
    put(store, paths, [1, 2], np.float32)
    put(store, paths, [3])
    found = had(store, range(FILES))
    assert {sample: values.dtype.itemsize for sample, values in found.items()} == {0: 1, 1: 1, 2: 4, 3: 1}
    check(store, paths, 4)


def test_a_file_that_changed_is_made_anew(place: FolderPlace, paths: list[str]) -> None:
    store = store_of(place, paths)
    put(store, paths, range(FILES))
    change(Path(paths[4]), 99)  # as large as before
    Path(paths[5]).unlink()
    assert sorted(set(range(FILES)) - set(had(store, range(FILES)))) == [4, 5]
    put(store, paths, [4])
    check(store, paths[:5], 5)
    check(store_of(place, paths), paths[:5])


def test_a_file_that_is_just_being_written_is_not_kept(place: FolderPlace, paths: list[str]) -> None:
    """Another change within what a file system's clock tells apart would go unnoticed."""
    now_s = int(Path(paths[0]).stat().st_mtime_ns) and int(__import__("time").time())
    os.utime(paths[0], ns=(0, now_s * 1_000_000_000))
    store = store_of(place, paths)
    put(store, paths, [0, 1])
    assert list(had(store, [0, 1])) == [1]


def test_files_named_twice_are_kept_once(place: FolderPlace, paths: list[str]) -> None:
    twice = [*paths, *paths]
    store = store_of(place, twice)
    put(store, twice, [0, 12, 3])
    assert sorted(had(store, range(24))) == [0, 3, 12, 15]
    assert store.held == (2, 2 * RECORD)


def test_files_whose_keys_share_a_half_are_told_apart(place: FolderPlace, paths: list[str]) -> None:
    names = FileNames.of(paths)
    keys = names.keys.copy()
    keys[1, 0] = keys[0, 0]
    for path in paths[:2]:
        os.utime(path, ns=(0, 10**15 + 1))
    store = Store(place, FileNames(names.text, names.starts, keys), VALUES)
    put(store, paths, range(FILES))
    check(store, paths, FILES - 1)


def test_relative_paths_are_the_same_files(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store_of(place, paths), paths, range(FILES))
    monkeypatch.chdir(Path(paths[0]).parent)
    check(store_of(place, [os.path.basename(path) for path in paths]), paths, FILES)


@pytest.mark.parametrize("limit", [0, RECORD - 1, 5 * RECORD + 7, 100 * RECORD])
def test_a_bound_is_kept_to_and_what_is_there_stays(tmp_path: Path, paths: list[str], limit: int) -> None:
    for place, lines in (
        (FolderPlace(str(tmp_path / "cache"), "name", limit + HEADER_BYTES), RECORD // 2),
        (MemoryPlace(limit, nothing_known), 0),
    ):
        store = store_of(place, paths)
        put(store, paths, range(4))
        put(store, paths, range(4, FILES))
        first = set(had(store, range(FILES)))
        assert limit // (RECORD + lines) <= len(first) <= limit // RECORD or len(first) == FILES
        assert store.held[1] <= limit
        put(store, paths, range(FILES))
        assert set(had(store, range(FILES))) == first
        assert store.takes_more == (limit == 100 * RECORD)
        said = [f"there is room for none of its images, of {RECORD} bytes each" in told for told in store.complaints]
        assert said == [True] * (limit < RECORD)  # of a part that is kept nothing is said
        store.close()


def test_memory_leaves_as_much_free_as_it_takes(paths: list[str]) -> None:
    for limit, free, expected in ((None, 8 * RECORD, 4), (5 * RECORD, 10**9, 5), (10**9, 4 * RECORD, 3)):
        place = MemoryPlace(limit, lambda free=free: free)  # type: ignore[misc]
        store = store_of(place, paths)
        put(store, paths, range(FILES))
        assert len(had(store, range(FILES))) == expected


def test_memory_is_one_for_all_processes_and_nothing_is_left_of_it(paths: list[str]) -> None:
    before = shared_memory()
    store = store_of(MemoryPlace(10**6, nothing_known), paths)
    put(store, paths, range(5))
    other = pickle.loads(pickle.dumps(store))
    check(other, paths, 5)
    put(other, paths, range(FILES))
    check(store, paths, FILES)
    found = store.find(np.arange(FILES))
    held = bytes(found.images[:RECORD])
    store.close(), other.close()
    store.close()
    assert had(store, range(FILES)) == {}
    put(store, paths, range(FILES))
    assert bytes(found.images[:RECORD]) == held  # who is at it goes on
    del found
    gc.collect()
    assert shared_memory() == before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is this process's own")
def test_memory_that_is_gone_is_not_taken_for_another_file(paths: list[str], tmp_path: Path) -> None:
    store = store_of(MemoryPlace(10**6, nothing_known), paths)
    payload = pickle.dumps(store)
    store.close()
    gc.collect()
    files = [open(tmp_path / str(k), "w+b") for k in range(8)]  # noqa: SIM115 - with the numbers that are free again
    other = pickle.loads(payload)
    put(other, paths, range(FILES))
    assert had(other, range(FILES)) == {}
    assert "the cache cannot be used" in other.complaints[0]
    for file in files:
        file.close()
        assert os.path.getsize(file.name) == 0


# --- damage ---


def damaged(place: FolderPlace, ending: str) -> Path:
    return Path(place.folder) / f"{place.name}{ending}"


def test_images_whose_bytes_changed_are_made_anew(place: FolderPlace, paths: list[str]) -> None:
    put(store_of(place, paths), paths, range(FILES))
    with open(damaged(place, ".images"), "r+b") as file:
        file.seek(3 * RECORD + 50)
        byte = file.read(1)[0]
        file.seek(3 * RECORD + 50)
        file.write(bytes([byte ^ 1]))
    store = store_of(place, paths)
    assert sorted(set(range(FILES)) - set(had(store, range(FILES)))) == [3]
    assert store.find(np.array([3])).value_bytes[0] == 0  # and it stays so
    put(store, paths, [3])
    check(store, paths, FILES)
    check(store_of(place, paths), paths, FILES)


@pytest.mark.parametrize("ending", [".index", ".images"])
@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "foreign", "zeros", "longer"])
def test_files_that_are_damaged_are_noticed(place: FolderPlace, paths: list[str], ending: str, damage: str) -> None:
    running = store_of(place, paths)
    put(running, paths, range(FILES))
    path = damaged(place, ending)
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        changed = {
            "empty": b"",
            "cut": whole[: len(whole) // 2 + 5],
            "foreign": np.random.default_rng(1).bytes(len(whole)),
            "zeros": bytes(len(whole)),
            "longer": whole + b"more that is no line",
        }
        path.write_bytes(changed[damage])  # the same file, which another run has open
    for store in (store_of(place, paths), running):
        check(store, paths)
        put(store, paths, range(FILES))
        check(store, paths)
    later = store_of(place, paths)
    put(later, paths, range(FILES))
    check(store_of(place, paths), paths, FILES)


def test_a_map_whose_file_was_cut_short_is_not_touched(place: FolderPlace, paths: list[str]) -> None:
    """That would be a signal, and the end of the process."""
    store = store_of(place, paths)
    put(store, paths, range(FILES))
    check(store, paths, FILES)
    os.truncate(damaged(place, ".images"), 2 * RECORD)
    check(store, paths, 2)


def test_space_that_is_given_out_again_after_a_cut_is_not_taken_for_what_was_there(
    place: FolderPlace, paths: list[str]
) -> None:
    store = store_of(place, paths)
    put(store, paths, range(FILES))
    check(store, paths, FILES)
    os.truncate(damaged(place, ".images"), 0)
    put(store, paths, [5])  # which lies where sample 0 was
    assert sorted(had(store, [5])) == [5]
    assert had(store, [0]) == {}  # in a batch without one that is new
    check(store, paths, 1)


@given(data=st.data())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_what_is_found_is_what_the_files_show(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    paths = write_files(folder, 5)
    place = FolderPlace(str(folder / "cache"), "name", data.draw(st.sampled_from([None, 1000])))
    stores = [store_of(place, paths), store_of(place, paths[::-1])]
    for turn in range(data.draw(st.integers(1, 12))):
        what = data.draw(st.sampled_from(["put", "put", "change", "new", "corrupt", "cut"]))
        number = data.draw(st.integers(0, 1))
        its_paths = paths[::-1] if number else paths
        if what == "put":
            samples = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=5, unique=True))
            put(stores[number], its_paths, samples, data.draw(st.sampled_from([np.uint8, np.float32])))
        elif what == "change":
            change(Path(data.draw(st.sampled_from(paths))), 100 + turn)
        elif what == "new":
            stores[number] = store_of(place, its_paths)
        elif (path := damaged(place, data.draw(st.sampled_from([".index", ".images"])))).exists():
            size = path.stat().st_size
            if what == "cut":
                os.truncate(path, data.draw(st.integers(0, size)))
            elif size:
                # Before anybody has had a look at it: what is checked once is not checked again in the same run.
                stores = [store_of(place, paths), store_of(place, paths[::-1])]
                raw = bytearray(path.read_bytes())
                raw[data.draw(st.integers(0, size - 1))] ^= data.draw(st.integers(1, 255))
                path.write_bytes(raw)
        for store, names in zip(stores, (paths, paths[::-1]), strict=True):
            check(store, names)


# --- what cannot be written ---


def test_a_folder_that_cannot_be_written_is_read(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store_of(place, paths), paths, range(5))
    real = os.open

    def refuse(path: Any, flags: int, *rest: Any) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest)

    monkeypatch.setattr(_store_files.os, "open", refuse)
    store = store_of(place, paths)
    put(store, paths, range(FILES))
    check(store, paths, 5)
    assert not store.takes_more
    assert len(store.complaints) == 1
    assert "nothing is added to the cache: Read-only file system" in store.complaints[0]
    empty = store_of(FolderPlace(place.folder, "another"), paths)
    put(empty, paths, range(FILES))
    assert had(empty, range(FILES)) == {}
    (said,) = empty.complaints
    assert re.match(rf"the cache cannot be used: Read-only file system \('{place.folder}/.*'\)\. Files are", said)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_full_disk_ends_the_keeping_and_nothing_else(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    store = store_of(place, paths)
    put(store, paths, range(4))
    real, done = os.pwrite, []

    def write(descriptor: int, data: Any, offset: int) -> int:
        done.append(offset)
        if len(done) == writes:  # as much as there is room for
            return real(descriptor, data[: len(data) // 2], offset)
        if len(done) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", write)
    put(store, paths, range(FILES))
    assert not store.takes_more
    assert "No space left on device" in store.complaints[0]
    monkeypatch.undo()
    check(store, paths)
    assert set(had(store, range(FILES))) >= set(range(4))
    later = store_of(place, paths)
    put(later, paths, range(FILES))
    check(later, paths, FILES)


def test_a_store_that_cannot_be_read_is_done_without(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store_of(place, paths), paths, range(FILES))
    store = store_of(place, paths)

    def fail(*args: Any, **how: Any) -> Any:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("mmap.mmap", fail)
    assert had(store, range(FILES)) == had(store, range(FILES)) == {}
    assert store.complaints == ("the cache cannot be read: Cannot allocate memory. Files are decoded each time.",)
    assert store.held == (0, 0)


def test_somebody_who_keeps_the_lock_holds_nobody_up(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(place, paths)
    put(store, paths, range(4))
    monkeypatch.setattr(_store_files, "_PATIENCE_S", 0.0)
    with open(Path(place.folder) / "penstock.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        put(store, paths, range(FILES))
        check(store, paths, 4)
        assert "another process keeps it locked" in store.complaints[0]


# --- several at once ---

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from kept_images import *
from penstock.sources._store_files import FolderPlace
from penstock.sources._store_memory import MemoryPlace
place, paths = FolderPlace({folder!r}, "name"), {paths!r}
store = {memory} and Store(MemoryPlace(10**6, nothing_known), FileNames.of(paths), VALUES) or store_of(place, paths)
had(store, range(FILES))
{gate}
print("ready", flush=True)
sys.stdin.readline()
for k in range(0, FILES, 2):
    put(store, paths, [k, k + 1])
check(store, paths, FILES)
print("done", flush=True)
sys.stdin.readline()
"""
# Stops after the images, in the middle of the first line of the index, with the lock held.
GATE = """
real = os.pwrite
def write(descriptor, data, offset):
    if descriptor != store._files.index:
        return real(descriptor, data, offset)
    real(descriptor, data[:40], offset)
    print("stopped", flush=True)
    sys.stdin.readline()
os.pwrite = write
"""


def child(place: FolderPlace, paths: list[str], *, gate: str = "", memory: bool = False) -> Any:
    code = CHILD.format(
        tests=str(Path(__file__).parents[1]), folder=place.folder, paths=paths, gate=gate, memory=memory
    )
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def tell(process: Any) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_that_write_at_once_do_each_other_no_harm(place: FolderPlace, paths: list[str]) -> None:
    with child(place, paths) as one, child(place, paths) as other:
        both = (one, other)
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            tell(process)
        assert [process.stdout.readline() for process in both] == ["done\n"] * 2
        check(store_of(place, paths), paths, FILES)
        for process in both:
            tell(process)
        assert [process.wait(60) for process in both] == [0, 0]
    assert damaged(place, ".index").stat().st_size % 64 == 0


def test_a_process_that_is_killed_in_the_middle_leaves_a_folder_that_works(
    place: FolderPlace, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = store_of(place, paths)
    put(running, paths, [0, 1, 2])
    with child(place, paths, gate=GATE) as process:
        assert process.stdout.readline() == "ready\n"
        tell(process)
        assert process.stdout.readline() == "stopped\n"
        check(running, paths, 3)
        monkeypatch.setattr(_store_files, "_PATIENCE_S", 0.0)
        late = store_of(place, paths)
        check(late, paths, 3)
        assert "nothing is added to the cache: another process keeps it locked" in late.complaints[0]
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    for store in (running, store_of(place, paths)):
        check(store, paths)
        put(store, paths, range(FILES))
        check(store, paths, FILES)
        assert store.complaints == ()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /dev/shm")
def test_a_process_that_is_killed_leaves_nothing_of_its_memory(
    place: FolderPlace, paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    before = set(os.listdir("/dev/shm"))
    with child(place, paths, memory=True) as process:
        assert process.stdout.readline() == "ready\n"
        tell(process)
        assert process.stdout.readline() == "done\n"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert not {name for name in set(os.listdir("/dev/shm")) - before if "penstock" in name}
    assert os.listdir(tmp_path / "tmp") == []
    assert not Path(place.folder).exists()

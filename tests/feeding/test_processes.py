"""Worker processes: the same batches, whatever happens to them, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from forks import forked
from makers import ROWS, Heavy, Maker, check_that_this_is_a_lean_process, die, hang, once
from penstock import BatchError, WorkerError
from penstock._types import Step
from penstock.feeding import _memory
from penstock.feeding._feeder import Feeder
from penstock.feeding._memory import Segment
from penstock.feeding._plan import Plan
from penstock.feeding.executors import _companion
from penstock.feeding.executors._companion import Companion
from penstock.feeding.executors._processes import ProcessExecutor
from penstock.feeding.executors._travel import pack

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="descriptors are handed over as POSIX does it"),
    pytest.mark.usefixtures("quick_collections"),
]

STEPS = 5


def feeder(maker: Maker, workers: int = 2, timeout_s: float | None = 120.0, depth: int = 4) -> Feeder:
    plan = Plan(ROWS * STEPS - 1, ROWS, lambda epoch: np.arange(ROWS * STEPS - 1), lambda epoch: np.arange(STEPS))
    return Feeder(plan, maker, ProcessExecutor(workers, timeout_s), max_queue_size=depth)


def expected(position: int) -> list[int]:
    epoch, number = divmod(position, STEPS)
    return [k + 1000 * epoch for k in range(number * ROWS, min((number + 1) * ROWS, ROWS * STEPS - 1))]


def take(feed: Feeder, batches: int, start: int = 0) -> list[list[int]]:
    return [feed.get(position).arrays[1].tolist() for position in range(start, start + batches)]


def workers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended, and is about to be waited for, included
            if "executors._worker" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture(autouse=True)
def _nothing_left() -> Any:
    """No process, no descriptor."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    assert workers() == []
    gc.collect()  # an error's traceback holds the batches that it was about
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1


# --- batches --------------------------------------------------------------------------------------------------------


def test_batches_come_in_order_and_keep_their_values() -> None:
    feed = feeder(Maker())
    kept = [feed.get(position) for position in range(12)]  # more than there are slots: the others are copied
    assert [batch.arrays[1].tolist() for batch in kept] == [expected(position) for position in range(12)]
    assert feed.stats.overflows > 0
    feed.close()
    assert [batch.arrays[0][:, 0].tolist() for batch in kept[:5]] == [
        [float(k) for k in expected(position)] for position in range(5)
    ]


def test_large_arrays_travel_once_whatever_their_layout() -> None:
    table = np.arange(600_000.0).reshape(1000, 600)
    for array in (table, np.asfortranarray(table), table[::2], table.T, np.arange(10)):
        luggage = pack(Maker(table=[array, array]))
        large = array.nbytes >= 1 << 20
        assert len(luggage.segments) == (1 if large else 0)
        assert len(luggage.payload) < 20_000
        for segment in luggage.segments.values():
            segment.close()
    feed = feeder(Maker(table=np.asfortranarray(np.arange(400_000).reshape(4, -1)).T[:, 1]))
    assert [feed.get(k).arrays[0][0, 0] for k in range(3)] == [100_000, 100_004, 100_008]
    feed.close()


def test_a_worker_imports_neither_keras_nor_a_back_end() -> None:
    feed = feeder(Maker(check_that_this_is_a_lean_process), workers=1)
    assert take(feed, 1) == [expected(0)]
    feed.close()


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_killed_worker_is_replaced_and_its_batch_made_again(tmp_path: Path) -> None:
    feed = feeder(Maker(once(tmp_path, die)))
    assert take(feed, 9) == [expected(position) for position in range(9)]
    feed.close()


def test_idle_workers_may_be_killed_too() -> None:
    feed = feeder(Maker())
    batches = take(feed, 2)
    for process in workers():
        process.kill()
    assert batches + take(feed, 10, 2) == [expected(position) for position in range(12)]
    feed.close()


def test_deaths_of_the_same_batch_end_in_an_error_that_says_how(tmp_path: Path) -> None:
    feed = feeder(Maker(lambda step: die() if step.number == 2 else None))
    assert take(feed, 2) == [expected(0), expected(1)]
    with pytest.raises(WorkerError, match=r"3 worker processes in a row died .* batch 2 of epoch 0") as caught:
        feed.get(2)
    assert "(samples 8, 9, 10, 11)" in str(caught.value)
    assert "ended by signal SIGKILL" in str(caught.value)
    assert take(feed, 1, 3) == [expected(3)], "other batches can be had"
    feed.close()


def test_a_death_after_a_while_says_how_much_memory_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_companion, "_LOOK_S", 0.05)
    monkeypatch.setattr(_companion, "DEATHS", 1)

    def die_later(step: Step) -> None:
        import threading

        threading.Timer(0.5, die).start()
        hang()

    feed = feeder(Maker(die_later), workers=1)
    with pytest.raises(WorkerError, match=r"SIGKILL, (last seen with|having used up to) \d+ MB"):
        feed.get(0)
    feed.close()


def test_slots_of_outgrown_sizes_are_given_back() -> None:
    from penstock import feed

    class Growing:
        def __len__(self) -> int:
            return 60

        def __getitem__(self, k: int) -> Any:
            return np.full((1000 + 100 * k, 8), k, "float32")

    with feed(Growing(), workers=2, use_multiprocessing=True) as batches:
        for k in range(60):
            batch = next(batches)
            assert (batch.shape, batch[0, 0], batch[-1, -1]) == ((1000 + 100 * k, 8), k, k)
        del batch
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) < 120


def test_batches_that_are_kept_stay_as_they_were_although_others_are_dropped() -> None:
    """Slots, and memory beyond them, first for a short batch: none is taken for another."""
    feed = feeder(Maker(), depth=2)
    kept = {}
    for position in range(60):
        batch = feed.get(position)
        if position % 3:
            kept[position] = batch
    for position, batch in kept.items():
        assert batch.arrays[1].tolist() == expected(position)
    feed.close()


def test_forgotten_at_once_it_leaves_no_worker_waiting() -> None:
    for taken in range(4):
        feed = feeder(Maker(), workers=3)
        take(feed, taken)
        del feed
        gc.collect()
    deadline = time.monotonic() + 30
    while workers():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_that_stalls_is_ended_by_an_error_that_names_the_batch(tmp_path: Path) -> None:
    feed = feeder(Maker(once(tmp_path, hang)), timeout_s=1.0)
    assert take(feed, 2) == [expected(0), expected(1)]
    with pytest.raises(WorkerError, match=r"batch 2 of epoch 0: a worker process has not answered for 1 s"):
        feed.get(2)
    assert take(feed, 3, 2) == [expected(2), expected(3), expected(4)], "asking again makes it again"
    feed.close()


def test_a_worker_that_stands_still_at_its_start_is_ended_although_its_pipe_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_companion, "_ANSWER_S", 1.0)
    begin = Companion._start
    stands_still = True

    def start(companion: Companion) -> None:
        begin(companion)
        assert companion._process is not None
        if stands_still:
            companion._process.send_signal(signal.SIGSTOP)

    monkeypatch.setattr(Companion, "_start", start)
    names = b"name" * 2_000_000  # more than a pipe holds
    feed = feeder(Maker(lambda step: len(names)), workers=1, depth=1)  # the next batch would begin before it may
    with pytest.raises(WorkerError, match="has not taken what makes the batches for 1 s, and was ended"):
        feed.get(0)
    stands_still = False
    monkeypatch.setattr(_companion, "_ANSWER_S", 60.0)
    assert take(feed, 2) == [expected(0), expected(1)], "asking again makes it again"
    feed.close()


def test_errors_come_in_order_with_the_workers_traceback() -> None:
    def fail(step: Step) -> None:
        if step.number == 1:
            raise LookupError("nothing there")

    feed = feeder(Maker(fail))
    assert take(feed, 1) == [expected(0)]
    for _ in range(2):
        with pytest.raises(BatchError, match="batch 1 of epoch 0 could not be made: LookupError: nothing") as caught:
            feed.get(1)
        assert (caught.value.epoch, caught.value.step) == (0, 1)
        assert "In worker process" in caught.value.__notes__[0]
        assert "in fail" in caught.value.traceback_text
    assert take(feed, 1, 2) == [expected(2)]
    feed.close()


def test_errors_of_a_users_own_kind_are_named() -> None:
    class Mine(BatchError):
        def __init__(self, step: Step) -> None:
            super().__init__("mine")
            self.lock = (k for k in range(3))  # which cannot be pickled

    def fail(step: Step) -> None:
        raise Mine(step)

    feed = feeder(Maker(fail))
    with pytest.raises(BatchError, match="Mine: mine"):
        feed.get(0)
    feed.close()


def test_paths_that_are_no_text_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/nowhere")])
    feed = feeder(Maker())
    assert take(feed, 1) == [expected(0)]
    feed.close()


def test_arrays_that_are_more_than_memory_travel_whole() -> None:
    masked = np.ma.masked_greater(np.arange(200_000), 10)
    records = np.zeros(100_000, [("a", "i8"), ("b", "f4")])

    def look(step: Step) -> None:
        assert masked[11] is np.ma.masked
        assert records["a"].shape == (100_000,)

    feed = feeder(Maker(look))
    assert take(feed, 1) == [expected(0)]
    feed.close()


def test_code_that_ends_the_interpreter_is_an_error_of_that_batch() -> None:
    feed = feeder(Maker(lambda step: sys.exit("bye") if step.number == 1 else None))
    with pytest.raises(BatchError, match="SystemExit: bye"):
        take(feed, 2)
    feed.close()


def test_an_interrupt_is_the_main_processs_alone() -> None:
    feed = feeder(Maker())
    batches = take(feed, 3)
    for process in workers():
        process.send_signal(signal.SIGINT)
    before = {process.pid for process in workers()}
    assert batches + take(feed, 6, 3) == [expected(position) for position in range(9)]
    assert {process.pid for process in workers()} == before
    feed.close()


def test_what_cannot_travel_is_named_at_once() -> None:
    numbers = (k for k in range(3))
    with pytest.raises(TypeError, match=r"cannot be made by other processes: .*generator.*use_multiprocessing=False"):
        feeder(Maker(lambda step: next(numbers)))


def test_locks_travel_as_locks_of_the_workers_own() -> None:
    import threading

    held, again, condition = threading.Lock(), threading.RLock(), threading.Condition()

    def use(step: Step) -> None:
        with held, again, again, condition:
            condition.notify_all()

    with held:
        feed = feeder(Maker(use))
        assert take(feed, 3) == [expected(0), expected(1), expected(2)]
    feed.close()


def test_memory_that_cannot_be_had_falls_back_to_a_file_and_then_to_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = os.posix_fallocate

    def full(times: int) -> Callable[[int, int, int], None]:
        def allocate(descriptor: int, offset: int, nbytes: int) -> None:
            asked.append(nbytes)
            if len(asked) <= times:
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor, offset, nbytes)

        return allocate

    monkeypatch.setattr(_memory.os, "posix_fallocate", full(1))
    segment = Segment(4096)
    segment.memory[:] = 7
    segment.close()
    segment.close()
    assert segment.memory[4095] == 7
    asked.clear()
    monkeypatch.setattr(_memory.os, "posix_fallocate", full(2))
    with pytest.raises(WorkerError, match=r"2.0 MB of memory to share .* No space left on device\. Lower the batch"):
        Segment(2_000_000)


def test_a_worker_that_is_told_to_stop_in_a_users_function_ends(tmp_path: Path) -> None:
    started = tmp_path / "happened"
    feed = feeder(Maker(once(tmp_path, hang, at=(0, 0))), workers=1)
    feed.look_ahead(0, 3)
    deadline = time.monotonic() + 60
    while not started.exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    feed.close()


@pytest.mark.parametrize("tries", [1, 2])
def test_the_number_of_tries_is_what_the_constant_says(monkeypatch: pytest.MonkeyPatch, tries: int) -> None:
    monkeypatch.setattr(_companion, "DEATHS", tries)
    feed = feeder(Maker(lambda step: die()), workers=1)
    with pytest.raises(WorkerError, match=f"{tries} worker processes in a row"):
        feed.get(0)
    feed.close()


# --- whole programs -------------------------------------------------------------------------------------------------

SCRIPT = """
import os, sys
import numpy as np
from penstock import ImageDataGenerator

class Plus:
    def __init__(self, by):
        self.by = by
    def __call__(self, image):
        return image + self.by

seven = 7
x = np.zeros((64, 8, 8, 3), "uint8")
generator = ImageDataGenerator(preprocessing_function=lambda image: Plus(seven)(image))
flow = generator.flow(x, batch_size=4, workers=2, use_multiprocessing=True)
for step, batch in enumerate(flow):
    assert (batch == 7).all()
    if step == 3:
        break
import psutil
print("left in the middle", *(child.pid for child in psutil.Process().children()), flush=True)
END
"""


def gone(pids: Sequence[str]) -> bool:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != "zombie" for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # there is nothing to wait on: they are not our children
    return True


ENDS = ("", "raise SystemExit(0)", "flow.close()", "del flow", "keep = [flow]; keep.append(keep)", "flow.workers = 0")


def test_programs_without_a_main_guard_run_and_leave_no_process(tmp_path: Path) -> None:
    for done in forked([SCRIPT.replace("END", end) for end in ENDS], tmp_path):
        assert (done.returncode, done.stderr) == (0, ""), done.args
        assert done.stdout.startswith("left in the middle"), done.args
        assert gone(done.stdout.split()[4:]), done.args


def test_workers_end_with_a_parent_that_is_killed() -> None:
    script = SCRIPT.replace("END", "import threading; threading.Event().wait()")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = process.stdout.readline().split()[4:]
        process.kill()
        process.wait()
    assert len(children) >= 2
    assert gone(children)


def test_a_worker_that_starts_late_gets_a_large_maker_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_companion, "_LOOK_S", 0.05)
    monkeypatch.setattr(_companion, "_PROGRAM", f"import time; time.sleep(1); {_companion._PROGRAM}")
    feed = feeder(Maker(Heavy()), workers=1)
    assert take(feed, 1) == [expected(0)]
    feed.close()

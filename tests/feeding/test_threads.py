"""Worker threads end with what they belong to."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fakes import FakeMaker
from forks import forked
from penstock._types import Step
from penstock.feeding.executors._threads import ThreadExecutor

STEP = Step(0, 0, 1, np.arange(2))


def out() -> list[np.ndarray]:
    return [np.empty((2, 3), "f4"), np.empty(2, "i8")]


def test_closing_finishes_the_batch_at_hand_and_cancels_the_rest() -> None:
    gate = threading.Event()
    maker = FakeMaker(gates={(0, 0): gate})
    executor = ThreadExecutor(1)
    executor.start(maker)
    first, second = executor.submit(STEP, out()), executor.submit(Step(0, 1, 2, np.arange(2)), out())
    assert maker.started.acquire(timeout=60)
    executor._crew.dismiss()
    gate.set()
    executor.close()
    assert first.result(60).samples == 2
    assert second.cancelled()
    assert maker.made == [(0, 0)]


def test_an_idle_worker_holds_no_batch() -> None:
    import weakref

    executor = ThreadExecutor(1)
    executor.start(FakeMaker())
    arrays = out()
    reference = weakref.ref(arrays[0])
    executor.submit(STEP, arrays).result(60)
    executor.submit(STEP, out()).result(60)
    del arrays
    assert reference() is None
    executor.close()


SCRIPT = """
import numpy as np
from penstock import ImageDataGenerator
x = np.zeros((64, 8, 8, 3), "uint8")
{setup}
flow = ImageDataGenerator(rotation_range=10{options}).flow(x, batch_size=4, workers=3, shuffle=False)
for step, batch in enumerate(flow):
    if step == 3:
        break
print("left in the middle")
{end}
"""


ENDS = (
    "",
    "raise SystemExit(0)",
    "flow.close()",
    "del flow",
    "keep = [flow]; keep.append(keep)",
    "import gc; gc.disable()",
)


def test_the_interpreter_ends_although_the_consumer_stopped_in_the_middle(tmp_path: Path) -> None:
    for done in forked([SCRIPT.format(setup="", options="", end=end) for end in ENDS], tmp_path):
        assert (done.returncode, done.stderr) == (0, ""), done.args
        assert done.stdout == "left in the middle\n", done.args


def test_the_interpreter_ends_although_a_users_function_never_returns() -> None:
    setup = """
import threading, penstock.feeding.executors._threads as threads
threads._JOIN_S = 0.1
x[40:] = 1
def stuck(image):
    if image[0, 0, 0] == 1:
        threading.Event().wait()
    return image
"""
    script = SCRIPT.format(setup=setup, options=", preprocessing_function=stuck", end="")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_crew_that_cannot_begin_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if thread.name == "penstock-2":
            raise RuntimeError("can't start new thread")
        begin(thread)

    before = set(threading.enumerate())
    monkeypatch.setattr(threading.Thread, "start", limited)
    executor = ThreadExecutor(4)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        executor.start(FakeMaker())
    assert set(threading.enumerate()) <= before

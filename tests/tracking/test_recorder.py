"""The program's end of the pipe."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from penstock.tracking._messages import End, Epoch, More
from penstock.tracking._recorder import Recorder
from stores import begin

# Keep what is sent, unpickled by nobody, in a file.
KEEP = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
HANG = "import sys; sys.stdin.close(); import time; time.sleep(600)"


def lost() -> End:
    return End("FAILED", 5.0, "lost")


def kept(path: Path) -> list[object]:
    messages = []
    with path.open("rb") as file:
        while True:
            try:
                messages.append(pickle.load(file))
            except EOFError:
                return messages


def recorder(program: str, *arguments: str, patience_s: float = 60) -> Recorder:
    return Recorder(begin(), lost, patience_s, [sys.executable, "-c", program, *arguments])


def test_messages_arrive_in_order_and_those_that_take_long_are_made_by_the_thread(tmp_path: Path) -> None:
    path, makers = tmp_path / "kept", []
    sending = recorder(KEEP, str(path))

    def later() -> More:
        makers.append(threading.current_thread())
        return More(tags={"a": "b"})

    sending.send(later)
    sending.send(Epoch(0, {"loss": 1.0}, 2.0))
    assert not sending.has_ended
    sending.end(End("FINISHED", 3.0))
    assert sending.has_ended
    sending.end(End("FAILED", 4.0))  # too late
    assert kept(path)[1:] == [More(tags={"a": "b"}), Epoch(0, {"loss": 1.0}, 2.0), End("FINISHED", 3.0)]
    assert makers[0] is not threading.current_thread()
    assert sending.troubles == ()


def test_one_that_is_forgotten_ends_as_lost(tmp_path: Path) -> None:
    sending = recorder(KEEP, str(tmp_path / "kept"))
    process = sending._line._process
    del sending
    gc.collect()
    process.wait(60)
    assert kept(tmp_path / "kept")[-1] == lost()


def test_what_fails_to_be_found_out_is_a_trouble(tmp_path: Path) -> None:
    sending = recorder(KEEP, str(tmp_path / "kept"))

    def fail() -> More:
        raise ValueError("no such thing")

    sending.send(fail)
    sending.end(End("FINISHED", 3.0))
    assert sending.troubles == ("ValueError: no such thing",)
    assert kept(tmp_path / "kept")[-1] == End("FINISHED", 3.0)


def test_a_process_that_hangs_is_waited_for_only_so_long() -> None:
    sending = recorder(HANG, patience_s=0.1)
    process = sending._line._process
    sending.send(More(files={"large": bytes(10_000_000)}))  # far more than a pipe holds
    sending.end(End("FINISHED", 3.0))
    assert process.poll() is not None
    assert sending.troubles[-1] == "the store has not answered for 0.1 s, so the record is not complete"


def test_a_process_that_dies_is_a_trouble() -> None:
    sending = recorder("raise SystemExit(3)")
    assert sending.run_id(60) is None
    sending.send(More(files={"large": bytes(1_000_000)}))
    sending.end(End("FINISHED", 3.0))
    assert sending.troubles == ("the process that writes has ended with 3",)


def test_the_interpreters_end_tells_how_and_waits(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = eval(sys.argv[1])\n"
        "from penstock.tracking._recorder import Recorder\n"
        "from penstock.tracking._messages import End\n"
        "from stores import begin\n"
        "kept = Recorder(begin(), lambda: End('FAILED', 1.0, repr(getattr(sys, 'last_value', None))), 60,\n"
        f"    [sys.executable, '-c', {KEEP!r}, sys.argv[2]])\n"
        "raise ValueError('as it happens')\n"
    )
    command = [sys.executable, "-c", code, repr([str(Path(__file__).parents[1])]), str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stderr.rstrip().endswith("ValueError: as it happens")
    # It is complete by now: nothing was left running.
    assert kept(tmp_path / "kept")[-1] == End("FAILED", 1.0, "ValueError('as it happens')")


def test_a_program_that_is_killed_leaves_a_run_that_says_so(tmp_path: Path, mlflow_store: str) -> None:
    from penstock.tracking._mlflow import MlflowStore

    code = (
        "import os, sys; sys.path[:0] = eval(sys.argv[1])\n"
        "from penstock.tracking._recorder import Recorder\n"
        "from stores import begin\n"
        "kept = Recorder(begin(store=sys.argv[2]), lambda: None)\n"
        "print(kept._line._process.pid, kept.run_id(100), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, repr([str(Path(__file__).parents[1])]), mlflow_store]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=200, check=False)
    assert done.returncode == -9
    pid, run = done.stdout.split()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(100)
    (found,) = MlflowStore(mlflow_store, make=False).matching(run)
    assert (found.status, found.tags["penstock.end"]) == ("KILLED", "the program was killed")
    assert found.params["flow.batch_size"] == "4"

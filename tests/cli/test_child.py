"""Programs that commands run, and that end with them."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from penstock.cli._child import Child, Launch, run_child

WAITS = """
import os, signal, sys
signal.signal(signal.SIGINT, lambda *_: (print("asked", flush=True), sys.exit(7)))
os.kill(int(sys.argv[1]), signal.SIGINT)  # as Ctrl-C would the command
while True:
    signal.pause()
"""


def test_ctrl_c_is_passed_on_and_the_program_may_end_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    ended = run_child(Launch((sys.executable, "-c", WAITS, str(os.getpid())), tmp_path, dict(os.environ), log))
    assert (ended.code, ended.signal, log.read_text()) == (7, signal.SIGINT, "asked\n")


def test_a_child_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    child = Child(Launch((sys.executable, "-c", deaf), tmp_path, dict(os.environ), tmp_path / "log.txt"))
    child.ask(signal.SIGINT, grace_s=-1.0)
    child.hurry()
    assert child.wait(30) in (-signal.SIGKILL, -signal.SIGINT)  # the latter before it has become deaf


COMMAND = """
import os, pathlib, sys
from penstock.cli._child import Launch, run_child
run_child(Launch(sys.argv[1:], pathlib.Path.cwd(), dict(os.environ)))
"""
# One that ends in order when it is asked, and says so; its own child, which does not ask, goes with it.
IN_ORDER = """
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit()))
print("ready", flush=True)
signal.pause()
"""


def test_a_program_ends_in_order_when_its_command_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, sys.executable, "-c", IN_ORDER], stdout=subprocess.PIPE, cwd=tmp_path
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        command.kill()
        # All of them hold the other end: it is closed when the last one has ended.
        assert select.select([command.stdout], [], [], 60)[0]
        assert command.stdout.read() == b"saved\n"


def test_nothing_is_left_of_a_program_that_has_ended(tmp_path: Path) -> None:
    child = Child(Launch((sys.executable, "-c", "print('done')"), tmp_path, dict(os.environ), tmp_path / "log.txt"))
    assert child.wait(60) == 0
    child.kill()
    assert (tmp_path / "log.txt").read_text() == "done\n"
    assert not [each for each in psutil.Process().children() if "_guard" in " ".join(each.cmdline())]


WISHES = """
import os, pathlib, select, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is begun with it ignored
terminal = os.open(sys.argv[2], os.O_RDWR)  # of this process, which has none yet
for number in range(3):
    os.dup2(terminal, number)
from penstock.cli._stop_signals import stop_wishes
with stop_wishes() as wish:
    print("ready", flush=True)
    while not wish:  # the signal may come before anything could wait for it
        select.select([], [], [], 0.05)
    print("it is over", flush=True)
    print("it is over", flush=True, file=sys.stderr)
    pathlib.Path(sys.argv[1]).write_text(wish.signal.name)
"""


def test_a_terminal_that_is_closed_is_a_wish_and_what_is_said_then_no_error(tmp_path: Path) -> None:
    near, far = pty.openpty()
    words = [sys.executable, "-c", WISHES, str(tmp_path / "wish.txt"), os.ttyname(far)]
    with subprocess.Popen(words, start_new_session=True) as process:
        with open(near, "rb", buffering=0) as screen:
            assert screen.readline() == b"ready\r\n"
        os.close(far)
        assert process.wait(60) == 0
    assert (tmp_path / "wish.txt").read_text() == "SIGHUP"

"""The examples that everybody started from run to their end with only their import line changed.

One script each of Keras 1's, 2's and 3's time and idiom. They check themselves: steps, samples, the order of
predictions.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.backends

FOLDER = Path(__file__).parents[1] / "scripts"
# Scripts of one time run in one process, one after the other, since loading Keras takes longer than most; what forks
# has one of its own.
TOGETHER = (
    ("cifar10_keras_1", "cats_and_dogs_keras_1"),
    ("pool_keras_1",),
    ("cifar10_keras_2", "cats_and_dogs_keras_2", "own_loop"),
    ("cifar10_keras_3", "cats_and_dogs_keras_3"),
)
PROGRAM = """
import os, runpy, sys
folder, pictures, *scripts = sys.argv[1:]
sys.path[0] = folder
for script in scripts:
    os.write(2, f"--- {script}\\n".encode())
    sys.argv = [os.path.join(folder, script + ".py"), pictures]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs, of one grey each, which the name says: `cats/cat.17.png`."""
    made = tmp_path_factory.mktemp("pictures")
    for part, count in (("train", 21), ("validation", 9)):
        for number, kind in enumerate(("cat", "dog")):
            folder = made / part / f"{kind}s"
            folder.mkdir(parents=True)
            for k in range(count):
                grey = 10 + 100 * number + 4 * k
                Image.new("RGB", (30, 26), (grey,) * 3).save(folder / f"{kind}.{grey}.png")
    return made


@pytest.mark.parametrize("scripts", TOGETHER, ids="+".join)
def test_scripts_of_old_run_with_only_their_import_line_changed(scripts: tuple[str, ...], pictures: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(FOLDER), str(pictures), *scripts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ran out of data" not in done.stderr
    said = dict(part.split("\n", 1) for part in done.stderr.split("--- ")[1:])
    assert tuple(said) == scripts
    for script, errors in said.items():
        assert ("names of Keras 1" in errors) == script.endswith("keras_1"), (script, errors)


def test_every_script_is_run() -> None:
    patterns = ("cifar10_*.py", "cats_*.py", "own_*.py", "pool_*.py")
    found = sorted(path.stem for pattern in patterns for path in FOLDER.glob(pattern))
    assert sorted(sum(TOGETHER, ())) == found
    assert len(found) == 8

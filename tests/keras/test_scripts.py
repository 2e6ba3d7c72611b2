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

SCRIPTS = sorted(
    path
    for pattern in ("cifar10_*", "cats_*", "own_*", "pool_*")
    for path in Path(__file__).parents[1].glob(f"scripts/{pattern}.py")
)


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


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_of_old_runs_with_only_its_import_line_changed(script: Path, pictures: Path) -> None:
    done = subprocess.run([sys.executable, script, pictures], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ran out of data" not in done.stderr
    assert ("names of Keras 1" in done.stderr) == script.stem.endswith("keras_1"), done.stderr


def test_there_is_a_script_of_every_time() -> None:
    assert len(SCRIPTS) == 8

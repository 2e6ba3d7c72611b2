"""The rooms of the house, and which may know which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import penstock

SOURCE = Path(penstock.__file__).parent
ROOMS = {
    "image": {"_types", "_errors", "_compile"},
    "sources": {"_types", "_errors", "_compile", "_scratch"},
    "feeding": {"_types", "_errors", "_pending"},
    "batches": {"_types", "_errors", "_scratch", "image", "sources"},
    "autotune": set(),
    "planning": set(),
    "monitor": {"_types", "_errors", "feeding"},
    "tracking": {"_types", "_errors", "feeding", "monitor"},
    "keras": {"_types", "_errors", "image", "sources", "feeding", "batches", "monitor", "autotune", "tracking"},
    "callbacks": {"keras"},
    "legacy": {"keras"},
    "cli": {"_types", "_errors", "image", "sources", "feeding", "batches", "monitor", "tracking", "keras", "bench"}
    | {"planning"},
    "bench": {"_types", "_errors", "image", "sources", "feeding", "batches", "monitor", "keras", "planning"},
    "_types": {"_pending"},
    "_scratch": {"_types"},
    "_pending": set(),
    "_errors": set(),
    "_compile": set(),
}
DOORS = {  # one door for each foreign package, outside the ends (cli, bench)
    "numba": {"_compile.py"},
    "simplejpeg": {"image/_decode.py"},
    # Beside the decoder, which reads: what draws pictures for people to look at.
    "PIL": {"image/_decode.py", "image/_picture.py"},
    "scipy": {"image/_geometry.py"},
    "psutil": {"monitor/_probes.py", "tracking/_processes.py"},
    "pynvml": {"monitor/_gpu_probe.py"},
    "matplotlib": {"monitor/_plot.py"},
    "prometheus_client": {"monitor/_metrics.py"},
    "jax": {"keras/_trace.py"},
    "mlflow": {"tracking/_mlflow.py"},
    "fsspec": {"sources/_file_system.py"},
    "pycurl": {"sources/_curl.py"},
    "sqlalchemy": {"sources/_database.py", "sources/_engine.py"},
    "datasets": {"sources/_arrow.py"},
    "pyarrow": {"sources/_arrow.py"},
    # This side of the cluster, and the other.
    "ray": {"feeding/executors/_ray_connect.py", "feeding/executors/_ray_worker.py"},
}
ENDS = ("cli", "bench")
PEER_DOORS = {  # what the benchmark measures penstock against
    "absl": {"bench/peers/_grain.py"},
    "albumentations": {"bench/peers/_albumentations.py", "bench/peers/_torch_loader.py"},
    "cv2": {"bench/peers/_albumentations.py"},
    "grain": {"bench/peers/_grain.py"},
    "tensorflow": {"bench/peers/_tf_data.py", "keras/_trace.py"},
    "torch": {"bench/peers/_torch_loader.py", "cli/_train_state.py", "keras/_trace.py"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    allowed = ROOMS[room] | {room}
    for name in imports(path):
        if name.startswith("penstock."):
            part = penstock._LAZY.get(name.split(".")[1], name).split(".")[1]
            assert part in allowed or not list(SOURCE.glob(f"{part}*")), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_foreign_package_has_one_door(path: Path) -> None:
    relative = path.relative_to(SOURCE)
    for name in imports(path):
        package = name.split(".")[0]
        if package in DOORS and relative.parts[0] not in ENDS:
            assert str(relative) in DOORS[package], name
        if package in PEER_DOORS:
            assert str(relative) in PEER_DOORS[package], name
        if package == "keras":
            assert relative.parts[0] in ("keras", *ENDS), name


def test_importing_penstock_imports_no_framework() -> None:
    code = (
        "import sys, penstock, penstock.feeding._feeder, penstock.batches._images, penstock.monitor\n"
        "import penstock.feeding.executors._ray, penstock.feeding.executors._ray_worker\n"
        "heavy = {'keras', 'jax', 'torch', 'tensorflow', 'ray', 'mlflow', 'matplotlib', 'pandas', 'rich', 'typer',\n"
        "    'prometheus_client', 'fsspec', 'aiohttp', 'pycurl', 'sqlalchemy', 'datasets', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in penstock.__all__:
        assert getattr(penstock, name) is not None
    assert set(dir(penstock)) == {*penstock.__all__, "callbacks", "monitor"}
    code = "import penstock; print(penstock.callbacks.InputReport.__name__, penstock.monitor.serve_metrics.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["InputReport", "serve_metrics"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        penstock.nothing  # noqa: B018


def test_changelog_and_version_agree() -> None:
    changelog = (SOURCE.parents[1] / "CHANGELOG.md").read_text()
    assert f"## [{penstock.__version__}]" in changelog

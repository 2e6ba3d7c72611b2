"""A folder of photographs, cut from those that scikit-image and scikit-learn ship; nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from penstock.cli._endings import CommandError, in_the_way

SHORTEST_SIDE_PX, LONGEST_SIDE_PX = 300, 500
MANIFEST = "penstock-demo.json"
# Class, package, file. Where a release no longer ships one of them, the others do.
_SHIPPED = (
    ("astronaut", "skimage", "data/astronaut.png"),
    ("cat", "skimage", "data/chelsea.png"),
    ("coffee", "skimage", "data/coffee.png"),
    ("flower", "sklearn", "datasets/images/flower.jpg"),
    ("galaxies", "skimage", "data/hubble_deep_field.jpg"),
    ("motorcycle", "skimage", "data/motorcycle_left.png"),
    ("rocket", "skimage", "data/rocket.jpg"),
    ("temple", "sklearn", "datasets/images/china.jpg"),
)
_FEWEST_CLASSES = 4
_CELLS = 4  # a photograph's places form a board of 4 x 4: training crops lie on its black cells, validation on white


@dataclass(frozen=True)
class Photograph:
    """A photograph that comes with an installed package.

    Attributes:
        name: its class.
        path: its file.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class CropFolder:
    """Crops of photographs, in class folders.

    Attributes:
        training, validation: each holds one folder per photograph.
        classes: names of the photographs.
        training_crops, validation_crops: how many.
        reused: whether they were there already.
    """

    training: Path
    validation: Path
    classes: tuple[str, ...]
    training_crops: int
    validation_crops: int
    reused: bool


@dataclass(frozen=True)
class _Crop:
    subset: Literal["training", "validation"]
    class_number: int
    name: str
    number: int

    @property
    def file(self) -> str:
        return f"{self.subset}/{self.name}/{self.number:05d}.jpg"


@dataclass(frozen=True)
class _Recipe:
    classes: list[str]
    crops: int
    seed: int
    version: int = 1


def shipped_photographs() -> tuple[Photograph, ...]:
    """The photographs that are installed here.

    Raises:
        ModuleNotFoundError: scikit-image or scikit-learn is not installed.
        CommandError: fewer than 4 of their photographs are there.
    """
    found = []
    for name, package, file in _SHIPPED:
        spec = find_spec(package)  # says where a package is without importing it, which would take a second
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        path = Path(spec.submodule_search_locations[0], file)
        if path.is_file():
            found.append(Photograph(name, path))
    if len(found) < _FEWEST_CLASSES:
        raise CommandError(
            f"scikit-image and scikit-learn here ship {len(found)} of the {len(_SHIPPED)} photographs that the demo "
            f"knows, and it needs {_FEWEST_CLASSES}. Show it your own images: penstock demo --data DIR"
        )
    return tuple(found)


def make_crops(folder: Path, crops: int, seed: int, on_crop: Callable[[], object] = lambda: None) -> CropFolder:
    """Cut photographs to JPEGs of 300 to 500 pixels a side, four fifths for training, a fifth for validation.

    A folder made before is used again, or made anew where `crops` or `seed` differ. Only files that were made here are
    ever removed.

    Args:
        folder: made if it is not there.
        crops: how many in all.
        seed: the same seed cuts the same crops.
        on_crop: called after each crop.

    Raises:
        CommandError: the folder holds something else.
    """
    photographs = shipped_photographs()
    recipe = _Recipe([photograph.name for photograph in photographs], crops, seed)
    plan = _planned(recipe)
    files = [crop.file for crop in plan]
    old = _read_manifest(folder)
    reused = (
        old.get("recipe") == asdict(recipe)
        and old.get("complete") is True
        and all((folder / file).is_file() for file in files)
    )
    if not reused:
        mine = set(old.get("files", ()))
        for file in files:
            if file not in mine and (folder / file).exists():
                raise in_the_way(folder / file)
        for file in mine:
            (folder / file).unlink(missing_ok=True)
        # Written before the crops are: an interrupted run leaves nothing that the next one does not know as its own.
        _write_manifest(folder, recipe, files, complete=False)
        images = {photograph.name: Image.open(photograph.path).convert("RGB") for photograph in photographs}
        for crop in plan:
            _save(_cut(images[crop.name], crop, seed), folder / crop.file)
            on_crop()
        _write_manifest(folder, recipe, files, complete=True)
    held_out = sum(crop.subset == "validation" for crop in plan)
    names = tuple(recipe.classes)
    return CropFolder(folder / "training", folder / "validation", names, crops - held_out, held_out, reused)


def _planned(recipe: _Recipe) -> list[_Crop]:
    plan = []
    for class_number, name in enumerate(recipe.classes):
        count = recipe.crops // len(recipe.classes) + (class_number < recipe.crops % len(recipe.classes))
        held_out = max(1, count // 5)
        plan += [_Crop("validation" if k < held_out else "training", class_number, name, k) for k in range(count)]
    return plan


def _cut(photograph: Image.Image, crop: _Crop, seed: int) -> Image.Image:
    """A window of random proportions, size and place, at a random number of pixels."""
    random = np.random.default_rng([seed, crop.class_number, crop.number])
    width_px, height_px = (int(side) for side in random.integers(SHORTEST_SIDE_PX, LONGEST_SIDE_PX, 2, endpoint=True))
    largest = min(photograph.width / width_px, photograph.height / height_px)
    scale = largest * random.uniform(0.5, 0.95)
    across, down = random.random(2)
    if (int(_CELLS * across) + int(_CELLS * down)) % 2 != (crop.subset == "validation"):
        across = (across + 1 / _CELLS) % 1  # to the next cell, which has the other colour
    left, top = across * (photograph.width - scale * width_px), down * (photograph.height - scale * height_px)
    window = (left, top, left + scale * width_px, top + scale * height_px)
    return photograph.resize((width_px, height_px), Image.Resampling.BICUBIC, box=window)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=90)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """What the folder says about itself; empty if there is none yet."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return {}
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = [Path(file) for file in manifest["files"]]
        if any(file.is_absolute() or ".." in file.parts for file in files):
            raise ValueError("files outside the folder")
    except (OSError, ValueError, KeyError, TypeError):
        raise in_the_way(folder) from None
    return dict(manifest)


def _write_manifest(folder: Path, recipe: _Recipe, files: list[str], *, complete: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"made_by": "penstock demo", "recipe": asdict(recipe), "complete": complete, "files": files})
    (folder / MANIFEST).write_text(text, "utf-8")

"""A folder in which a recorded run can run again, and change nothing outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.cli._endings import CommandError
from penstock.cli._recipe import Recipe, script_on_disk
from penstock.tracking._secrets import mask_text

_MOST_UP = 8  # folders between the working folder and what lies beside it
_PENSTOCK = "from penstock.cli import main; main()"


@dataclass(frozen=True)
class Checkout:
    """What was made ready.

    Attributes:
        folder: to work in.
        command: to run.
        shown: the same without what was masked when it was recorded.
        linked: what of the recorded working folder is seen through links: path there, and where it leads.
        path: folders to look for modules in.
        text: of the script that runs; empty for `penstock train`.
    """

    folder: Path
    command: tuple[str, ...]
    shown: tuple[str, ...]
    linked: tuple[tuple[Path, Path], ...] = ()
    path: tuple[str, ...] = ()
    text: bytes = b""


def check_folder(out: Path) -> None:
    """Make sure that nothing is overwritten.

    Raises:
        CommandError: there is something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CommandError(f"--out should be a new folder or an empty one, and {str(out)!r} is not. Choose another.")


def find_data(recipe: Recipe, data: Path | None, links: Sequence[str]) -> dict[str, Path]:
    """Where what a run reads is now, by how it was named.

    Args:
        recipe: what was recorded.
        data: where the images are now; None for where they were.
        links: what else it reads, relative to its working folder.

    Raises:
        CommandError: it is gone; the text has the path.
    """
    if data is not None and not recipe.data:
        raise CommandError(f"--data replaces a folder of images, and run {recipe.run.id[:8]} has recorded none.")
    if data is not None and recipe.script is not None and Path(recipe.data[0]).is_absolute():
        raise CommandError(
            f"--data cannot replace {recipe.data[0]!r}: the script gives the whole path. "
            "Make the images available there."
        )
    found = {}
    for number, name in enumerate((*recipe.data, *links)):
        path = data.absolute() if data is not None and not number else recipe.folder / name
        if not path.exists():
            hint = "" if number or recipe.script is not None else " Say where it is now with --data DIR."
            raise CommandError(f"The run read {name!r}, and {str(path)!r} is not there.{hint}")
        found[name] = path
    return found


def check_out(recipe: Recipe, arguments: Sequence[str], found: dict[str, Path], root: Path) -> Checkout:
    """Write the recorded script, link the data that it names by relative paths, and say what to run.

    Args:
        recipe: what was recorded.
        arguments: the same with what was masked.
        found: where what it reads is, by how it is named.
        root: an empty folder.
    """
    if recipe.script is None:
        rest = ["--track", "--out", str(root / "run")]
        begin = [sys.executable, "-P", "-c", _PENSTOCK, "train"]
        inputs = {name: str(path) for name, path in found.items()}
        words = [inputs[arguments[0]], *arguments[1:]]
        return Checkout(root, (*begin, *words, *rest), ("penstock", "train", *words, *rest))
    base = Path(os.path.normpath(recipe.folder))
    relative = {name: os.path.relpath(base / name, base) for name in found}
    relative = {name: path for name, path in relative.items() if not os.path.isabs(name) or not path.startswith("..")}
    script = os.path.relpath(recipe.script, base)
    is_far = _ups(script) > _MOST_UP
    ups = max(map(_ups, (*relative.values(), *(() if is_far else (script,)))), default=0)
    work = root / "work"
    folder = work.joinpath(*base.parts[len(base.parts) - ups :]) if ups else work
    folder.mkdir(parents=True)
    linked: list[tuple[Path, Path]] = []
    for name, path in relative.items():
        place = Path(os.path.normpath(folder / path))
        if place in (folder, *folder.parents):
            raise CommandError(f"The run read {name!r}, which holds its own working folder; it cannot run elsewhere.")
        if any(place.is_relative_to(there) for there, _ in linked):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(found[name].resolve(), target_is_directory=found[name].is_dir())
        linked.append((place, found[name]))
    copy = root / "script" / recipe.script.name if is_far else Path(os.path.normpath(folder / script))
    if any(copy.resolve().is_relative_to(path.resolve()) for _, path in linked):  # a link that holds the script, too
        copy = root / "script" / recipe.script.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    text = _text_to_run(recipe)
    copy.write_bytes(text)
    # Modules that lie beside the script are found where it was.
    return Checkout(
        folder,
        (sys.executable, str(copy), *arguments),
        (os.path.basename(sys.executable), str(copy), *recipe.arguments),
        tuple(linked),
        (str(recipe.script.parent),),
        text,
    )


def _text_to_run(recipe: Recipe) -> bytes:
    """The script as it was recorded; with what was masked in it, if the one on disk differs in nothing else."""
    now = script_on_disk(recipe)
    return now.encode() if now is not None and mask_text(now).encode() == recipe.text else recipe.text


def is_edited(recipe: Recipe) -> bool:
    """Whether the script on disk is another one by now, or gone."""
    now = script_on_disk(recipe)
    return recipe.script is not None and (now is None or mask_text(now).encode() != recipe.text)


def _ups(relative: str) -> int:
    return sum(part == ".." for part in Path(relative).parts)

"""What a store knows of how to run a run again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.cli._endings import CommandError
from penstock.cli._train_options import TRAIN_COMMAND, TRAIN_CONTINUES
from penstock.tracking._environment import what_counts
from penstock.tracking._secrets import MASK
from penstock.tracking._store import NOTEBOOK, Run, Store

_VERSION = 1  # of run.json
_OF_THE_MACHINE = (
    "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "CUDA_PATH", "CUDA_CACHE_PATH", "NUMBA_CACHE_DIR", "KERAS_HOME",
)  # fmt: skip
_OF_THE_COMMAND = ("TF_ENABLE_ONEDNN_OPTS",)  # which `main` sets, for itself


@dataclass(frozen=True)
class Recipe:
    """How a run was begun.

    Attributes:
        run: the run. first: the one that it went on with, or itself.
        folder: that it worked in.
        script: its file; None for `penstock train`. text: what was in it.
        arguments: after the script, or after `penstock train`; what was masked is "***".
        environment: that makes a difference. masked: names of it whose values are not known.
        data: folders and files that it read, as they were given, if they are known.
    """

    run: Run
    first: Run
    folder: Path
    script: Path | None
    text: bytes
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    masked: tuple[str, ...]
    data: tuple[str, ...]

    def environment_here(self, here: Mapping[str, str]) -> dict[str, str]:
        """All of the environment to run it in: what there is, with what was recorded."""
        return {name: value for name, value in here.items() if name not in _OF_THE_COMMAND} | dict(self.environment)

    def unknown_then(self, here: Mapping[str, str]) -> dict[str, str]:
        """What makes a difference in the environment here, and was not in it then."""
        then = (*self.environment, *self.masked, *_OF_THE_MACHINE, *_OF_THE_COMMAND)
        return {name: value for name, value in what_counts(here).items() if name not in then}


def read_recipe(store: Store, run: Run) -> Recipe:
    """Look it up.

    Raises:
        CommandError: it is not known, or of another version.
    """
    known = _run_json(store, run)
    environment = {str(name): str(value) for name, value in known["environment"].items() if name not in _OF_THE_MACHINE}
    if (backend := run.params.get("fit.backend")) is not None:
        environment.setdefault("KERAS_BACKEND", backend)
    masked = tuple(name for name, value in environment.items() if MASK in value)
    environment = {name: value for name, value in environment.items() if name not in masked}
    if TRAIN_COMMAND in run.tags:
        arguments = tuple(map(str, json.loads(run.tags[TRAIN_COMMAND])))
        options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
        read = (arguments[0], *(options[name] for name in ("--validation-dir", "--weights") if name in options))
        first = _first(store, run)
        return Recipe(run, first, Path(known["folder"]), None, b"", arguments, environment, masked, read)
    if known["script"] is None:
        if store.read_file(run.id, f"penstock/script/{NOTEBOOK}") is not None:
            raise CommandError(
                f"Run {run.id[:8]} is a notebook's, and only scripts and `penstock train --track` can be run again. "
                f"The cells that it had run are among its files, as penstock/script/{NOTEBOOK}."
            )
        raise CommandError(
            f"Run {run.id[:8]} was no script's (but `python -c`'s or standard input's), and cannot be run again."
        )
    script = Path(known["script"])
    text = store.read_file(run.id, f"penstock/script/{script.name}")
    if text is None:
        raise CommandError(f"Run {run.id[:8]} has no text of its script, {script}: it was too long, or no text.")
    directory = run.params.get("data.directory", "None")
    data = () if directory in ("", "None") else (directory,)
    arguments = tuple(map(str, known["argv"][1:]))
    return Recipe(run, run, Path(known["folder"]), script, text, arguments, environment, masked, data)


def filled_in(arguments: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Arguments with what was masked.

    Args:
        arguments: as they were recorded.
        given: of each that was masked, `NAME=VALUE`: its option's name, or its number among the arguments, from 1.

    Raises:
        CommandError: one is not given, or there is no such one.
    """
    values = dict[str, str]()
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise CommandError("--arg should be NAME=VALUE, with an option's name, as token=VALUE.")
        values[name.lstrip("-")] = value
    filled, missing = list(arguments), list[str]()
    for number, argument in enumerate(arguments):
        if MASK not in argument:
            continue
        option, sign, _ = argument.partition("=")
        before = arguments[number - 1] if number else ""
        has_name = argument == MASK and before.startswith("-") and "=" not in before
        name = before if has_name else option if argument == f"{option}={MASK}" else str(number + 1)
        if name.lstrip("-") not in values:
            missing.append(name)
        else:
            value = values.pop(name.lstrip("-"))
            filled[number] = f"{option}={value}" if argument == f"{option}={MASK}" else value
    if missing:
        hint = " ".join(f"--arg {name.lstrip('-')}=VALUE" for name in missing)
        raise CommandError(
            f"Some arguments were masked when the run was recorded: {', '.join(missing)}. "
            f"Give what they stand for: {hint}"
        )
    if values:
        raise CommandError(f"--arg names {', '.join(values)}, and no argument of that name was masked.")
    return tuple(filled)


def _run_json(store: Store, run: Run) -> dict[str, Any]:
    text = store.read_file(run.id, "penstock/run.json")
    if text is None:
        raise CommandError(
            f"Run {run.id[:8]} does not tell how it was run: penstock's Tracker has not recorded it, or its files "
            f"are not where {store.uri} says."
        )
    try:
        known: dict[str, Any] = json.loads(text)
        version = known["version"]
        if version == _VERSION:
            known = {name: known[name] for name in ("argv", "script", "folder", "environment")}
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"What run {run.id[:8]} tells of how it was run is damaged: {error}.") from None
    if version != _VERSION:
        raise CommandError(
            f"Run {run.id[:8]} was recorded by another version of penstock, as format {version}. Use that."
        )
    return known


def _first(store: Store, run: Run) -> Run:
    """The run that began what others went on with; the earliest that the store has."""
    seen = {run.id}
    while (before := run.tags.get(TRAIN_CONTINUES)) and before not in seen:
        found = store.matching(before)
        if len(found) != 1:
            break
        run = found[0]
        seen.add(run.id)
    return run


def script_on_disk(recipe: Recipe) -> str | None:
    """The script's text as it is now; None if it is gone."""
    try:
        return None if recipe.script is None else Path(os.fspath(recipe.script)).read_text("utf-8")
    except (OSError, ValueError):
        return None

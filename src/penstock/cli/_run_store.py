"""The store that `penstock runs` and `penstock compare` read."""

from __future__ import annotations

from penstock.cli._endings import CommandError
from penstock.tracking._store import Run, Store


def open_store(uri: str | None) -> Store:
    """One that is there.

    Raises:
        ModuleNotFoundError: MLflow is not installed.
        StoreError: it is not there, of another version, or does not answer.
    """
    from penstock.tracking._mlflow import MlflowStore

    return MlflowStore(uri, make=False)


def find_run(store: Store, word: str) -> Run:
    """The run whose id begins so, or whose name this is.

    Raises:
        CommandError: there is none, or several.
    """
    found = store.matching(word)
    if len(found) == 1:
        return found[0]
    if not found:
        raise CommandError(f"{store.uri} has no run {word!r}. `penstock runs` lists those that it has.")
    some = ", ".join(f"{run.id[:12]} ({run.name})" for run in found[:5])
    raise CommandError(f"{word!r} stands for several runs: {some}. Give enough of an id.")

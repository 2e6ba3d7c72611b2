"""What a run was made on and what there is now, and how two runs of the same compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from penstock.cli._checkout import is_edited
from penstock.cli._recipe import Recipe
from penstock.cli._runs_report import keras_metrics
from penstock.tracking._code import commit_of, package_versions
from penstock.tracking._machine import machine
from penstock.tracking._store import Run, Store


@dataclass(frozen=True)
class Change:
    """Something that is not as it was.

    Attributes:
        part: "package", "machine", "code" or "data".
        name: what.
        then, now: None for nothing.
    """

    part: str
    name: str
    then: str | None
    now: str | None


@dataclass(frozen=True)
class StreamMatch:
    """Whether the model was fed the same bytes.

    Attributes:
        verdict: "same", "different", or "unknown".
        reason: in words, with the digests.
    """

    verdict: Literal["same", "different", "unknown"]
    reason: str


@dataclass(frozen=True)
class MetricMatch:
    """A metric after the last epoch that both runs have.

    Attributes:
        name: Keras's.
        epoch: from 0.
        then, now: its values.
    """

    name: str
    epoch: int
    then: float
    now: float


def changes_since(store: Store, recipe: Recipe) -> Sequence[Change]:
    """Packages, hardware and code that are not as they were."""
    text = (store.read_file(recipe.run.id, "penstock/packages.txt") or b"").decode("utf-8", "replace")
    packages = {name: version for name, _, version in (line.partition("==") for line in text.splitlines()) if name}
    hardware = _part(recipe.run, "machine")
    now = machine()
    return (
        *(_changes("package", packages, package_versions()) if packages else ()),
        *_changes(
            "machine", {name: hardware[name] for name in hardware if name in now or name.startswith("gpu_")}, now
        ),
        *_code_changes(store, recipe),
    )


def data_changes(then: Run, now: Run) -> Sequence[Change]:
    """What the two runs were trained on, as far as they differ."""
    old, new = _part(then, "data"), _part(now, "data")
    for known in (old, new):
        known.pop("directory", None)
        if "fingerprint_without_times" in known:  # a copy has other times, and is the same data
            known.pop("fingerprint", None)
    return _changes("data", old, new)


def match_streams(then: Run, now: Run) -> StreamMatch:
    """Compare the digests that both runs have of the same batches."""
    old, new = stream_digests(then), stream_digests(now)
    for run, digests, which in ((then, old, "recorded"), (now, new, "new")):
        if not digests:
            why = run.tags.get("penstock.no_digest", "its data are no stream of penstock's")
            return StreamMatch("unknown", f"the {which} run has no digest: {why}")
    epochs = [run.params.get("stream.digest_epoch", "0") for run in (then, now)]
    if epochs[0] != epochs[1]:
        return StreamMatch("unknown", f"the digests are of epoch {epochs[0]} and of epoch {epochs[1]}")
    both = sorted(old.keys() & new.keys())
    if not both:
        return StreamMatch("unknown", f"the digests are of {max(old)} batches and of {max(new)}")
    count = both[-1]
    what = f"the first {count} batches of epoch {epochs[0]}" if count > 1 else f"the first batch of epoch {epochs[0]}"
    if old[count] == new[count]:
        return StreamMatch("same", f"{what}: digest {new[count]}")
    first = next(number for number in both if old[number] != new[number])
    where = f"; batch {first - 1} is the first that differs" if first - 1 in both or first == 1 else ""
    return StreamMatch("different", f"{what}: digest {old[count]} then, {new[count]} now{where}")


def stream_digests(run: Run) -> dict[int, str]:
    """Digests of a run's first batches, by how many they are of."""
    found = dict(enumerate(run.params.get("stream.digests", "").split(), 1))
    count = run.params.get("stream.digest_batches", "")
    if count.isdecimal() and "stream.digest" in run.params:
        found[int(count)] = run.params["stream.digest"]
    return found


def match_metrics(store: Store, then: Run, now: Run) -> Sequence[MetricMatch]:
    """Of every metric of the model's, after the last epoch that both runs have."""
    found = []
    for name, _ in keras_metrics(then):
        if name not in now.metrics:
            continue
        old = {point.step: point.value for point in store.history(then.id, name)}
        new = {point.step: point.value for point in store.history(now.id, name)}
        if both := old.keys() & new.keys():
            epoch = max(both)
            found.append(MetricMatch(name, epoch, old[epoch], new[epoch]))
    return found


def _part(run: Run, part: str) -> dict[str, str]:
    return {name.partition(".")[2]: value for name, value in run.params.items() if name.partition(".")[0] == part}


def _changes(part: str, then: Mapping[str, str], now: Mapping[str, str]) -> list[Change]:
    names = dict.fromkeys((*then, *now))
    return [Change(part, name, then.get(name), now.get(name)) for name in names if then.get(name) != now.get(name)]


def _code_changes(store: Store, recipe: Recipe) -> list[Change]:
    found = []
    if is_edited(recipe) and recipe.script is not None:
        gone = not recipe.script.is_file()
        found.append(Change("code", recipe.script.name, "as recorded, which runs", "gone" if gone else "edited since"))
    if recipe.script is None:  # penstock's own commit, if any
        return found
    then = recipe.run.params.get("code.commit")
    folders = (recipe.folder, recipe.script.parent)
    commit = next((commit for folder in folders if folder.is_dir() and (commit := commit_of(folder))), None)
    found += _changes("code", {} if then is None else {"commit": then}, {} if commit is None else {"commit": commit.id})
    diff = store.read_file(recipe.run.id, "penstock/diff.patch") or b""
    if then is not None and commit is not None and diff.decode("utf-8", "replace") != (commit.diff or ""):
        found.append(
            Change("code", "what is not committed", _lines(diff.decode("utf-8", "replace")), _lines(commit.diff))
        )
    return found


def _lines(diff: str | None) -> str:
    if diff is None:
        return "too long"
    changed = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in diff.splitlines() if line)
    return f"{changed} lines"

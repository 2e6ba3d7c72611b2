"""The runs of a sweep: each combination of what options of `penstock train` were given."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from penstock.cli._endings import CommandError

MOST_RUNS = 10_000
_WHOLE = ("augment", "weights", "validation-dir")  # whose values may hold commas: they are repeated instead
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Point:
    """One combination.

    Attributes:
        values: of options, by name without dashes before it.
    """

    values: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of its folder: another one for other values, whatever their order."""
        text = ",".join(f"{name}={value}" for name, value in sorted(self.values.items())) or "run"
        plain = re.sub(r"[^\w.,=+-]", "_", text)
        if plain == text and len(text) <= _LONGEST_NAME:
            return text
        return f"{plain[:_LONGEST_NAME]}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"

    @property
    def arguments(self) -> list[str]:
        """For `penstock train`."""
        return [f"--{name}={value}" for name, value in self.values.items()]


def read_grid(words: Sequence[str], known: Collection[str]) -> tuple[Point, ...]:
    """All combinations, the last option's values in turn.

    Args:
        words: `--batch-size 32,256` or `--batch-size=32,256`; an option that is repeated has all its values.
        known: names of the options that may be given.

    Raises:
        CommandError: no such option, none before a value, or too many combinations.

    Example:
        >>> [point.name for point in read_grid(["--seed", "0,1", "--epochs=3"], ["seed", "epochs"])]
        ['epochs=3,seed=0', 'epochs=3,seed=1']
    """
    values: dict[str, list[str]] = {}
    left = list(words)
    while left:
        word, sign, value = left.pop(0).partition("=")
        name = word.removeprefix("--")
        if not word.startswith("--") or name not in known:
            raise CommandError(
                f"Options should be those of `penstock train` that make a run: {', '.join(sorted(known))}. "
                f"Received: {word!r}"
            )
        if not sign:
            if not left:
                raise CommandError(f"{word} needs a value.")
            value = left.pop(0)
        some = [value] if name in _WHOLE else [part.strip() for part in value.split(",")]
        if "" in some and name != "augment":
            raise CommandError(f"{word} should be values with commas between them. Received: {value!r}")
        values.setdefault(name, []).extend(some)
    columns = [[(name, value) for value in dict.fromkeys(some)] for name, some in values.items()]
    count = 1
    for column in columns:
        count *= len(column)
    if count > MOST_RUNS:
        raise CommandError(f"That makes {count:,} runs; {MOST_RUNS:,} are the most.")
    return tuple(Point(dict(pairs)) for pairs in itertools.product(*columns))

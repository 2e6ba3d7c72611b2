"""Conditions on runs, as a user writes them: `val_accuracy > 0.8 and batch_size = 32`."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.cli._endings import CommandError
from penstock.tracking._store import Run

_TERM = re.compile(
    r"\s*(?P<name>[A-Za-z_][\w./\-]*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"']+)\s*(?:(?P<more>and\b|&&?)|$)",
    re.IGNORECASE,
)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
# Where a name without its first part is looked for, in this order.
PARTS = ("flow", "generator", "optimizer", "fit", "model", "data", "stream", "code", "machine", "version", "settings")


@dataclass(frozen=True)
class Condition:
    """One comparison.

    Attributes:
        name: of a metric, a setting, or one of "status", "name", "id", "seconds".
        sign: how to compare.
        value: with what.
    """

    name: str
    sign: str
    value: str

    def holds(self, run: Run) -> bool:
        """Whether a run has such a value; False where it has none of this name."""
        found = lookup(run, self.name)
        if found is None:
            return False
        one, other = _number(found), _number(self.value)
        if one is not None and other is not None:
            return _SIGNS[self.sign](one, other)
        return _SIGNS[self.sign](found.lower(), self.value.lower()) if self.sign in ("=", "==", "!=") else False


def parse_where(text: str) -> tuple[Condition, ...]:
    """Comparisons joined by `and`.

    Raises:
        CommandError: it is something else.

    Example:
        >>> parse_where("val_accuracy>0.8 and status = 'FINISHED'")
        (Condition(name='val_accuracy', sign='>', value='0.8'), Condition(name='status', sign='=', value='FINISHED'))
    """
    conditions, at, more = [], 0, True
    while more:
        found = _TERM.match(text, at)
        if found is None:
            raise CommandError(
                '--where should be comparisons such as "val_accuracy > 0.8 and batch_size = 32". '
                f"Received: {text!r}, not understood from {text[at:].strip()!r} on."
            )
        value = found["value"]
        conditions.append(Condition(found["name"], found["sign"], value[1:-1] if value[0] in "\"'" else value))
        at, more = found.end(), found["more"] is not None
    return tuple(conditions)


def lookup(run: Run, name: str) -> str | None:
    """What a run has by this name: a word of its own, a metric's last value, a setting, with or without its part."""
    if name in ("id", "name", "status"):
        return str(getattr(run, name))
    if name == "seconds":
        return None if run.ended_s is None else str(run.ended_s - run.began_s)
    kind, _, rest = name.partition(".")
    named: Mapping[str, Any] | None = {"metrics": run.metrics, "params": run.params, "tags": run.tags}.get(kind)
    if named is not None:
        return None if rest not in named else str(named[rest])
    if name in run.metrics:
        return str(run.metrics[name])
    return next(
        (run.params[each] for each in (name, *(f"{part}.{name}" for part in PARTS)) if each in run.params), None
    )


def check_known(name: str, runs: Sequence[Run], option: str) -> None:
    """Refuse a name that none of the runs has.

    Raises:
        CommandError: it is such a one; the text has the nearest that there is.
    """
    if runs and all(lookup(run, name) is None for run in runs):
        names = {"status", "name", "id", "seconds"}
        for run in runs:
            names |= set(run.metrics) | set(run.params) | {each.partition(".")[2] for each in run.params}
        near = difflib.get_close_matches(name, sorted(names), 1, 0.5)
        raise CommandError(
            f"{option} names {name!r}, which none of the runs has{f'; did you mean {near[0]!r}?' if near else '.'}"
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

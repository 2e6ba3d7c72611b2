"""Findings as rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.bench.study._findings import Findings, Measured
from penstock.bench.study._setting import CHOOSES_ITSELF

_NOT_MEASURED = "-"
_NONE = "caller's thread"


@dataclass(frozen=True)
class Row:
    """A setting's figures.

    Attributes:
        cells: as many as there are titles.
        is_best: of its batch size, among penstock's.
    """

    cells: tuple[str, ...]
    is_best: bool


def titles(findings: Findings, *, trained: bool) -> tuple[str, ...]:
    """Of the columns; times are those of the same number of images, on the whole tree of processes."""
    first = ("batch", "fed by", "workers") if len(findings.batch_sizes) > 1 else ("fed by", "workers")
    use = ("waited", "CPU", *(("GPU",) if _has_gpu(findings) else ())) if trained else ()
    return (*first, "time, s", "user, s", "system, s", "images/s", "speed-up (95 %)", *use)


def rows_of(findings: Findings, images: int, *, trained: bool) -> Iterator[Row]:
    """A row for each setting that has been measured."""
    several, has_gpu = len(findings.batch_sizes) > 1, _has_gpu(findings)
    for each in findings.measured:
        setting = each.setting
        best = findings.best(setting.batch_size)
        workers = f"{setting.workers}" if setting.workers or setting.is_ours else _NOT_MEASURED
        workers = "itself" if setting.feed in CHOOSES_ITSELF else workers
        first = (f"{setting.batch_size:,}",) if several else ()
        times = tuple(seconds(images * each.per_image(name)) for name in ("user_s", "system_s"))
        summary, share = each.summary, each.wait_share
        use = (_percent(None if share is None else 100 * share), _percent(each.mean_of("cpu_percent")))
        yield Row(
            (
                *first,
                _NONE if setting.is_baseline else setting.feed,
                workers,
                seconds(each.seconds_for(images)),
                *times,
                f"{rate(summary.median)}{' *' if summary.unstable else ''}",
                _speed_up(findings, each),
                *(use if trained else ()),
                *((_percent(each.mean_of("gpu_percent")),) if trained and has_gpu else ()),
            ),
            is_best=best is not None and best.setting == setting,
        )


def _has_gpu(findings: Findings) -> bool:
    return any(each.mean_of("gpu_percent") is not None for each in findings.measured)


def rate(value: float) -> str:
    """Images a second, with three digits that count."""
    if value < 100:
        return f"{value:.3g}"
    digits = len(str(int(value)))
    return f"{round(value, 3 - digits):,.0f}"


def seconds(value: float) -> str:
    """With a hundredth at most."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _speed_up(findings: Findings, each: Measured) -> str:
    speed_up = findings.speed_up(each)
    if speed_up is None:
        return _NOT_MEASURED
    if each.setting.is_baseline:
        return "1x"
    return str(speed_up)


def _percent(value: float | None) -> str:
    return _NOT_MEASURED if value is None else f"{value:.0f} %"

"""Findings as rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.bench.study._findings import Findings, Measured
from penstock.bench.study._setting import CHOOSES_ITSELF

_NOT_MEASURED = "-"
_NONE = "no workers"


@dataclass(frozen=True)
class Row:
    """A setting's figures.

    Attributes:
        cells: as many as there are titles.
        is_best: of its batch size, among penstock's.
    """

    cells: tuple[str, ...]
    is_best: bool


def titles(findings: Findings, *, trained: bool, compact: bool = False) -> tuple[str, ...]:
    """Of the columns; times are those of the same number of images, on the whole tree of processes.

    Args:
        findings: what was measured.
        trained: whether a model trained.
        compact: leave CPU time out, and how busy the machine was.
    """
    first = ("batch", "fed by", "workers") if len(findings.batch_sizes) > 1 else ("fed by", "workers")
    waited = ("waited",) if trained else ()
    if compact:
        return (*first, "time, s", "images/s", "speed-up (95 %)", *waited)
    use = ("CPU", *(("GPU",) if _has_gpu(findings) else ())) if trained else ()
    return (*first, "time, s", "user, s", "system, s", "images/s", "speed-up (95 %)", *waited, *use)


def rows_of(findings: Findings, images: int, *, trained: bool, compact: bool = False) -> Iterator[Row]:
    """A row for each setting that has been measured; see `titles`."""
    several, has_gpu = len(findings.batch_sizes) > 1, _has_gpu(findings)
    for each in findings.measured:
        setting = each.setting
        best = findings.best(setting.batch_size)
        workers = f"{setting.workers}" if setting.workers or setting.is_ours else _NOT_MEASURED
        workers = "itself" if setting.feed in CHOOSES_ITSELF else workers
        first = (f"{setting.batch_size:,}",) if several else ()
        cpu_s = () if compact else tuple(seconds(images * each.per_image(name)) for name in ("user_s", "system_s"))
        summary, share = each.summary, each.wait_share
        use: tuple[str, ...] = ()
        if trained:
            use += (_percent(None if share is None else 100 * share),)
        if trained and not compact:
            use += (_percent(each.mean_of("cpu_percent")),)
            use += (_percent(each.mean_of("gpu_percent")),) if has_gpu else ()
        yield Row(
            (
                *first,
                _NONE if setting.is_baseline else setting.feed,
                workers,
                seconds(each.seconds_for(images)),
                *cpu_s,
                f"{rate(summary.median)}{' *' if summary.unstable else ''}",
                _speed_up(findings, each),
                *use,
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

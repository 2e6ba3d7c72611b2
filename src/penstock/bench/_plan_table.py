"""The tables of guide/planning.md: what an image costs a core, and what was foretold beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from penstock.bench._measure import DISTURBED_CORES
from penstock.bench._plan_rows import BY_RATES, MEASURED
from penstock.bench._record import Record, RowRecord, SideRecord
from penstock.planning._rates import Rates, foretold_s


def rates_table(rates: Rates) -> str:
    """Readings with what the fit says of them, and the fit."""
    lines = [
        "| an image of | file | to | batch of | measured, ms of a core | fitted, ms |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for r in rates.readings:
        fitted = 1000 * foretold_s(rates.cost, r) / r.batch_size
        lines.append(
            f"| {r.source_px / 1e6:.3f} MP | {r.source_bytes / 1e3:.0f} kB | {r.target_px / 1e6:.3f} MP "
            f"| {r.batch_size} | {1000 * r.seconds / r.batch_size:.3f} | {fitted:.3f} |"
        )
    cost = rates.cost
    lines += [
        "",
        "| a core spends | |",
        "|---|--:|",
        f"| on a batch, to read and decode it, and to transform it | {1e3 * cost.decode_batch_s:.2f} ms and "
        f"{1e3 * cost.transform_batch_s:.2f} ms |",
        f"| on an image | {1e3 * cost.image_s:.3f} ms |",
        f"| on a megapixel as it is stored | {1e9 * cost.source_px_s:.2f} ms |",
        f"| on a megabyte of its file | {1e9 * cost.source_byte_s:.2f} ms |",
        f"| on a megapixel of the batch | {1e9 * cost.target_px_s:.2f} ms |",
        *([f"| on a request, by {rates.requests} | {1e3 * rates.request_s:.2f} ms |"] if rates.request_s else []),
        "",
        f"{rates.images[0].upper()}{rates.images[1:]}, {_settings(rates)}, on {rates.cores} cores of {rates.cpu} at a "
        f"time, {rates.date[:10]}. The fit is off by {rates.residual:.0%} (root mean square); of a size that it was "
        f"not fitted to, by {rates.error:.0%}. A batch's time varies by {rates.spread:.0%}.",
    ]
    return "\n".join(lines) + "\n"


def foretold_table(record: Record) -> str:
    """What was foretold beside what was measured, and how busy the machine was meanwhile."""
    lines = [
        "| | measured | foretold | foretold / measured | waits, measured | foretold |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in record.rows:
        lines += _lines(row)
    readings = [reading for row in record.rows for side in row.sides for reading in side.readings]
    others = [reading.others_cores for reading in readings if reading.wall_s]  # what is only worked out takes no time
    machine = record.machine
    lines += [
        "",
        f"Medians of {record.settings['rounds']} rounds in turns on {machine.cores_usable} cores of {machine.cpu}, "
        f"{machine.date[:10]}"
        + (
            f"; other programs took {median(others):.1f} of them (median), up to {max(others):.1f}."
            if max(others, default=0.0) > DISTURBED_CORES
            else "."
        ),
    ]
    return "\n".join(lines) + "\n"


def _lines(row: RowRecord) -> Iterator[str]:
    for claim in row.claims:
        foretold, measured = row.side(claim.side), row.against(claim)
        how = ", by rates alone" if claim.side.endswith(BY_RATES) else ""
        name = measured.name.removesuffix(f", {MEASURED}")
        value = foretold.summary.median / measured.summary.median
        figures = (_median(measured), _median(foretold), f"{value:.2f}", _waits(measured), _waits(foretold))
        yield f"| {row.title}, {name}{how} | {' | '.join(figures)} |"


def _median(side: SideRecord) -> str:
    value = side.summary.median
    return f"{value:,.0f} {side.unit}" if value >= 100 else f"{value:.3g} {side.unit}"


def _waits(side: SideRecord) -> str:
    """The share of time that is in a reading's parts, as percent."""
    shares = [reading.parts[0] for reading in side.readings if reading.parts]
    return f"{median(shares):.0%}" if shares else "-"


def _settings(rates: Rates) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in rates.settings.items())


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)

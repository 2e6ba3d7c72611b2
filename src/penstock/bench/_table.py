"""A record as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.bench._errors import BenchError
from penstock.bench._measure import DISTURBED_CORES
from penstock.bench._record import EXTRA, SHARE, SPEED_UP, Claim, Record, RowRecord

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_HEADERS = {
    SPEED_UP: ("", "Keras, images/s", "penstock, images/s", "ratio of medians", "target"),
    SHARE: ("penstock against itself", "images/s", "then, images/s", "ratio of medians", "target"),
    EXTRA: ("under `model.fit`", "constant batch, ms", "fed, ms", "difference of medians, ms", "target"),
}
_MARK = " ⚠"


def table(record: Record) -> str:
    """One table for each kind of claim, then machine and versions."""
    blocks = []
    for kind, header in _HEADERS.items():
        lines = [_line(row, claim) for row in record.rows for claim in row.claims if claim.kind == kind]
        if lines:
            blocks.append("\n".join([_cells(header), "|---|--:|--:|--:|--:|", *lines]))
    return "\n\n".join([*blocks, *_remarks(record)]) + "\n"


def put_between_markers(text: str, block: str) -> str:
    """Replace what stands between the two markers.

    Raises:
        BenchError: they are not there, once each and in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise BenchError(f"there should be one {BEGIN} and, after it, one {END}. Found: not so")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{block.strip()}\n{END}{after}"


def _line(row: RowRecord, claim: Claim) -> str:
    verdict = row.verdict(claim)
    title = f"{row.title}: {claim.title}" if claim.title else row.title
    side, against = row.side(claim.side).summary, row.side(claim.against).summary
    medians = (f"{_number(one.median)}{_MARK if one.unstable else ''}" for one in (against, side))
    mark = "" if verdict.is_met is None else " ✓" if verdict.is_met else " ✗"
    return _cells((title, *medians, _value(claim, verdict.value), _target(claim) + mark))


def _cells(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(claim: Claim, value: float) -> str:
    if claim.kind == SPEED_UP:
        return f"{value:.1f}x"
    return f"{value:.2f}" if claim.kind == SHARE else f"{value:+.1f}"


def _target(claim: Claim) -> str:
    if claim.target is None:
        return "-"
    return f"{'≤' if claim.kind == EXTRA else '≥'} {claim.target:g}{'x' if claim.kind == SPEED_UP else ''}"


def _number(value: float) -> str:
    """Three digits that count, thousands set apart."""
    if value < 100:
        return f"{value:.3g}"
    digits = len(str(int(value)))
    return f"{round(value, 3 - digits):,.0f}"


def _remarks(record: Record) -> Iterator[str]:
    machine, settings = record.machine, record.settings
    names = {"numpy": "NumPy", "numba": "Numba", "keras": "Keras", "scipy": "SciPy", "pillow": "Pillow", "jax": "JAX"}
    versions = ", ".join(f"{names.get(name, name)} {version}" for name, version in machine.packages.items())
    commit = f" ({machine.commit})" if machine.commit else ""
    yield (
        f"Medians of {settings['rounds']} interleaved rounds of at least {settings['seconds']:g} s a side, "
        f"{machine.cores_usable} cores of {machine.cpu}, {machine.memory_bytes / 2**30:.0f} GiB, {machine.system}, "
        f"{machine.date[:10]}. penstock {machine.penstock}{commit}, Python {machine.python}, {versions}."
    )
    if settings.get("quick"):
        yield "A quick run on tiny data: it shows that the benchmark works, and no speed."
    readings = [reading for row in record.rows for side in row.sides for reading in side.readings]
    disturbed = [reading.others_cores for reading in readings if reading.others_cores > DISTURBED_CORES]
    if disturbed:
        share = f"{len(disturbed)} of {len(readings)} readings"
        yield f"Other processes took up to {max(disturbed):.1f} cores during {share}: not to be trusted."
    if any(side.summary.unstable for row in record.rows for side in row.sides):
        yield f"{_MARK.strip()} unstable: quartiles more than 15 % of the median apart, or fewer than three rounds."

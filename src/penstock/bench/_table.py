"""A record as Markdown."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from penstock.bench._claim import COST, EXTRA, KINDS, LESS_IS_BETTER, PEER, SHARE, SPEED_UP, Claim
from penstock.bench._errors import BenchError
from penstock.bench._measure import DISTURBED_CORES
from penstock.bench._record import Record, RowRecord, SideRecord

PLACE = "bench"  # the name in the markers that a file has for the main table
_HEADERS = {
    SPEED_UP: ("", "Keras, {unit}", "penstock, {unit}", "ratio of medians", "target"),
    PEER: ("", "peer, {unit}", "penstock, {unit}", "ratio of medians", "target"),
    SHARE: ("penstock against itself", "{unit}", "then, {unit}", "ratio of medians", "target"),
    EXTRA: ("under `model.fit`", "constant batch, {unit}", "fed, {unit}", "difference of medians, {unit}", "target"),
    COST: ("what feeding costs", "median", "target"),
}
_RATIOS = (SPEED_UP, PEER)
_SIGNS = {"us": "µs"}
_MARK = " ⚠"


def table(record: Record, kinds: Collection[str] = KINDS) -> str:
    """One table for each kind of claim and unit; then machine and versions, if all are shown."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row in record.rows:
        for claim in row.claims:
            unit = "" if claim.kind == COST else row.side(claim.side).unit  # costs have theirs in each line
            lines.setdefault((claim.kind, unit), []).append(_line(row, claim))
    blocks = []
    for kind, header in _HEADERS.items():
        for unit in [unit for its_kind, unit in lines if its_kind == kind and kind in kinds]:
            names = tuple(name.format(unit=unit) for name in header)
            blocks.append("\n".join([_cells(names), "|---|" + "--:|" * (len(names) - 1), *lines[kind, unit]]))
    remarks = _remarks(record) if len(kinds) == len(KINDS) else ()
    return "\n\n".join([*blocks, *remarks]) + "\n"


def markers(place: str) -> tuple[str, str]:
    """The two comments between which a table stands."""
    return f"<!-- {place}:begin -->", f"<!-- {place}:end -->"


def put_between_markers(text: str, block: str, place: str = PLACE) -> str:
    """Replace what stands between the two markers of a place.

    Raises:
        BenchError: they are not there, once each and in order.
    """
    begin, end = markers(place)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise BenchError(f"there should be one {begin} and, after it, one {end}. Found: not so")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{block.strip()}\n{end}{after}"


def _line(row: RowRecord, claim: Claim) -> str:
    verdict = row.verdict(claim)
    title = f"{row.title}: {claim.title}" if claim.title else row.title
    side, against = row.side(claim.side), row.against(claim)
    mark = "" if verdict.is_met is None else " ✓" if verdict.is_met else " ✗"
    if claim.kind == COST:
        unit = f" {_SIGNS.get(side.unit, side.unit)}"
        return _cells((title, _median(side, unit), f"{_target(claim, unit)}{mark}"))
    return _cells((title, _median(against), _median(side), _value(claim, verdict.value), _target(claim) + mark))


def _median(side: SideRecord, unit: str = "") -> str:
    return f"{_number(side.summary.median)}{unit}{_MARK if side.summary.unstable else ''}"


def _cells(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _value(claim: Claim, value: float) -> str:
    if claim.kind in _RATIOS:
        return f"{value:.1f}x"
    return f"{value:.2f}" if claim.kind == SHARE else f"{value:+.1f}"


def _target(claim: Claim, unit: str = "") -> str:
    if claim.target is None:
        return "-"
    sign = "≤" if claim.kind in LESS_IS_BETTER else "≥"
    return f"{sign} {claim.target:g}{'x' if claim.kind in _RATIOS else unit}"


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
    yield from dict.fromkeys(_packages_of_peers(row) for row in record.rows if "peers" in row.settings)
    if settings.get("quick"):
        yield "A quick run on tiny data: it shows that the benchmark works, and no speed."
    readings = [reading for row in record.rows for side in row.sides for reading in side.readings]
    disturbed = [reading.others_cores for reading in readings if reading.others_cores > DISTURBED_CORES]
    if disturbed:
        share = f"{len(disturbed)} of {len(readings)} readings"
        yield f"Other processes took up to {max(disturbed):.1f} cores during {share}: not to be trusted."
    if any(side.summary.unstable for row in record.rows for side in row.sides):
        yield f"{_MARK.strip()} unstable: quartiles more than 15 % of the median apart, or fewer than three rounds."


def _packages_of_peers(row: RowRecord) -> str:
    peers = (
        f"{name} with " + ", ".join(f"{package} {version}" for package, version in peer["packages"].items())
        for name, peer in row.settings["peers"].items()
    )
    return f"Each in a process of its own: {'; '.join(peers)}."

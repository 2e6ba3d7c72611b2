"""A study as one page of HTML that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape

from penstock.bench._machine import Machine
from penstock.bench.study._record import MADE_BY, TRAIN, StudyRecord
from penstock.bench.study._rows import rows_of, titles

GENERATOR = f'<meta name="generator" content="{MADE_BY}">'
_STYLE = """
:root { color-scheme: light dark;
  --ink: #1f2328; --paper: #ffffff; --faint: #59636e; --line: #d1d9e0; --best: #ddf4ff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --faint: #9198a1; --line: #3d444d; --best: #14304f; }
}
body { margin: 2rem auto; max-width: 66rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin-bottom: .25rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.faint { color: var(--faint); margin-top: 0; }
.closing { font-size: 1.25rem; font-weight: 600; margin: .5rem 0; }
.warning { border-left: .25rem solid #d4a72c; padding: .25rem .75rem; margin: .5rem 0; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .75rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.word, td.word { text-align: left; }
tr.best td { background: var(--best); font-weight: 600; }
img { width: 100%; height: auto; }
code { font-size: .9em; }
"""
STOPPED = "Stopped before its end; this is what was measured by then."


def page(record: StudyRecord, pictures: Mapping[str, bytes]) -> str:
    """The whole page.

    Args:
        record: of a study.
        pictures: PNG by theme, "light" and "dark".
    """
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        GENERATOR,
        f"<title>{escape(record.title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        *_body(record, pictures),
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _body(record: StudyRecord, pictures: Mapping[str, bytes]) -> Iterator[str]:
    settings, findings = record.settings, record.findings
    yield f"<h1>{escape(record.title)}</h1>"
    yield f'<p class="faint">{escape(machine_line(record.machine, record.devices))}</p>'
    for line in findings.closing_lines():
        yield f'<p class="closing">{escape(line)}</p>'
    if not record.is_complete:
        yield f'<p class="warning">{STOPPED}</p>'
    for line in findings.warnings():
        yield f'<p class="warning">{escape(line)}</p>'
    light, dark = (base64.b64encode(pictures[theme]).decode("ascii") for theme in ("light", "dark"))
    yield "<picture>"
    yield f'<source media="(prefers-color-scheme: dark)" srcset="data:image/png;base64,{dark}">'
    yield f'<img alt="Time and speed-up over the number of workers" src="data:image/png;base64,{light}">'
    yield "</picture>"
    yield "<h2>Every setting</h2>"
    yield from _table(record)
    yield f"<p>{escape(how_line(record))}</p>"
    yield "<h2>How it was measured</h2>"
    yield f"<p><code>{escape(str(settings.get('command', '')))}</code></p>"
    yield f"<p>{escape(versions_line(record.machine))}</p>"
    for name, how in settings.get("peers", {}).items():
        versions = ", ".join(f"{package} {version}" for package, version in how["packages"].items())
        yield f"<p>{escape(name)} ({escape(versions)}), in a process of its own: {escape(how['how'])}.</p>"


def _table(record: StudyRecord) -> Iterator[str]:
    images, trained = int(record.settings["images"]), record.experiment == TRAIN
    several = len(record.findings.batch_sizes) > 1
    words = 2 if several else 1  # the columns that are no numbers end there
    heads = titles(record.findings, trained=trained)
    yield '<div class="table"><table>'
    cells = (f"<th{_kind(number, words)}>{escape(title)}</th>" for number, title in enumerate(heads))
    yield f"<thead><tr>{''.join(cells)}</tr></thead>"
    yield "<tbody>"
    for row in rows_of(record.findings, images, trained=trained):
        cells = (f"<td{_kind(number, words)}>{escape(cell)}</td>" for number, cell in enumerate(row.cells))
        kind = ' class="best"' if row.is_best else ""
        yield f"<tr{kind}>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _kind(number: int, words: int) -> str:
    return ' class="word"' if number == words - 1 else ""


def machine_line(machine: Machine, devices: str) -> str:
    """Where it was measured, in words."""
    trains = f", training on {devices}" if devices else ""
    return (
        f"{machine.cores_usable} of {machine.cores_present} cores of {machine.cpu}, {machine.memory_bytes / 2**30:.0f} "
        f"GiB, {machine.system}, {machine.date[:10]}{trains}"
    )


def how_line(record: StudyRecord) -> str:
    """How to read the table, in words."""
    counts = {len(each.readings) for each in record.findings.measured} or {0}
    least, most = min(counts), max(counts)
    rounds = f"{most} round{'' if most == 1 else 's'}" if least == most else f"{least} to {most} rounds"
    waited = (
        ' "waited" is the share of the time that training waited for a batch: more than that no faster feed would save.'
        if record.experiment == TRAIN
        else ""
    )
    cold = " Files' cached pages were dropped before each reading." if record.settings.get("cold") else ""
    percent = "; CPU is the whole machine's" if record.experiment == TRAIN else ""
    return (
        f"Medians of {rounds}, taken in turns; times are for "
        f"{record.settings['images']:,} images; speed-ups are ratios of medians, with "
        "95 % intervals from paired rounds. User and system time are those of all processes "
        f"together{percent}.{waited}{cold} "
        "* marks rates whose quartiles lie more than 15 % of the median apart, or of fewer than three rounds."
    )


def versions_line(machine: Machine) -> str:
    """With what it was measured, in words."""
    commit = f" ({machine.commit})" if machine.commit else ""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return f"penstock {machine.penstock}{commit}, Python {machine.python}, {packages}."

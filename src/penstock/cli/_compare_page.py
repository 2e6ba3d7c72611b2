"""A comparison as a page of HTML that needs nothing else, light or dark as the reader's system is."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli._curves import curves, replace
from penstock.cli._terminal import counted

if TYPE_CHECKING:
    from penstock.cli._compare import Comparison, Row

SIGNATURE = '<meta name="generator" content="penstock compare">'
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de; --soft: #656d76;
  --plus: #116329; --minus: #a40e26; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #1b1f24; --line: #3d444d; --soft: #9198a1; --plus: #56d364; --minus: #ff7b72; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } .same { color: var(--soft); font-weight: normal; }
.wide { overflow-x: auto; } table { border-collapse: collapse; } img { max-width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; max-width: 32rem; }
td:first-child, th { white-space: nowrap; } td:first-child { color: var(--soft); }
pre { border: 1px solid var(--line); padding: .8rem; overflow-x: auto; font-size: 13px; }
ins { color: var(--plus); text-decoration: none; } del { color: var(--minus); text-decoration: none; }
"""


def write_page(comparison: Comparison, path: Path) -> None:
    """Write it.

    Raises:
        ModuleNotFoundError: curves need matplotlib.
    """
    replace(path, page(comparison).encode("utf-8", "backslashreplace"))


def page(comparison: Comparison) -> str:
    """The page's text."""
    heads = [f"{run.id[:8]} {run.name}" for run in comparison.runs]
    title = f"penstock: {' and '.join(run.id[:8] for run in comparison.runs)}"
    parts = [f"<h1>{escape(title)}</h1>", _table("Results", "", heads, comparison.results), _picture(comparison)]
    for section, rows in comparison.differences.items():
        same = f"{counted(len(rows), 'difference')}, {comparison.same[section]} the same"
        if rows or comparison.same[section]:
            parts.append(_table(section.capitalize(), same, heads, rows))
    for heading, diff in comparison.diffs.items():
        parts.append(f"<h2>{escape(heading[0].upper() + heading[1:])}</h2>\n<pre>{_coloured(diff)}</pre>")
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{SIGNATURE}\n'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _table(title: str, same: str, heads: list[str], rows: tuple[Row, ...]) -> str:
    heading = f'<h2>{escape(title)} <span class="same">{escape(same)}</span></h2>'
    if not rows:
        return heading
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *heads))
    lines = []
    for row in rows:
        cells = "".join(f"<td>{escape(value or '-')}</td>" for value in (row.name, *row.values))
        lines.append(f"<tr>{cells}</tr>")
    return f'{heading}\n<div class="wide"><table><tr>{head}</tr>\n{"".join(lines)}</table></div>'


def _picture(comparison: Comparison) -> str:
    light, dark = curves(comparison, "svg"), curves(comparison, "svg", dark=True)
    if light is None or dark is None:
        return ""
    return (
        "<h2>Curves</h2>\n<picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{_data(dark)}">'
        f'<img alt="{escape(", ".join(comparison.curves))} by epoch" src="{_data(light)}"></picture>'
    )


def _data(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _coloured(diff: str) -> str:
    lines = []
    for line in diff.splitlines():
        text = escape(line)
        lines.append(f"<ins>{text}</ins>" if line[:1] == "+" else f"<del>{text}</del>" if line[:1] == "-" else text)
    return "\n".join(lines)

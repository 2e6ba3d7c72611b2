"""What guide/planning.md shows is what the command says and the records hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import penstock.cli._plan_app  # noqa: F401, it adds the command
from penstock.bench.__main__ import main
from penstock.bench._plan_table import foretold_table, rates_table
from penstock.bench._record import Record
from penstock.bench._table import markers
from penstock.cli._app import app
from penstock.planning._rates import Rates

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "guide" / "planning.md").read_text("utf-8")
RECORD = ROOT / "benchmarks" / "records" / "plan.json"


def between(place: str) -> str:
    begin, end = markers(place)
    return PAGE.partition(begin)[2].partition(end)[0].strip()


def test_the_command_that_the_page_shows_says_what_it_shows() -> None:
    (line,) = re.findall(r"```console\n\$ penstock (plan .*)\n```", PAGE)
    done = CliRunner().invoke(app, line.split(), env={"COLUMNS": "80"})
    assert done.exit_code == 0
    said = "\n".join(each.rstrip() for each in done.stdout.splitlines())
    assert between("plan") == f"```text\n{said}\n```"


def test_the_pages_tables_are_those_of_the_records(tmp_path: Path) -> None:
    assert between("rates") == rates_table(Rates.shipped()).strip()
    assert between("foretold") == foretold_table(Record.load(RECORD)).strip()
    page = tmp_path / "page.md"
    empty = "\n".join(f"{begin}\n{end}" for begin, end in map(markers, ("rates", "foretold")))
    page.write_text(empty)
    assert main(["plan", str(RECORD), str(page)]) == 0
    assert between("foretold") in page.read_text()


def test_what_was_foretold_was_near_what_was_measured() -> None:
    """By times of workers under the same load; the page says how far off rates alone are beside other programs."""
    for row in Record.load(RECORD).rows:
        for claim in row.claims:
            if not claim.title.endswith("from rates"):
                assert row.verdict(claim).value == pytest.approx(1, abs=0.25), claim.title

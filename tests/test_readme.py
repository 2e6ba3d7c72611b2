"""What the README, the guide and the docstrings show, runs, and their links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = {path: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "guide").glob("*.md")))}
SNIPPETS = [code for text in PAGES.values() for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
# Raised where Keras saves JAX variables to HDF5.
KERAS_OWN = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
MODULES = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in sorted((ROOT / "src").rglob("*.py"))
    if ">>>" in path.read_text()
]


def test_every_snippet_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", KERAS_OWN, "-c", "import snippets; snippets.main()"],
        input=json.dumps(SNIPPETS),
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", PAGES[page]):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in {_anchor(line) for line in PAGES[path].splitlines() if line.startswith("#")}, anchor


def test_the_readme_leads_to_every_page() -> None:
    for path in PAGES:
        assert path.name == "README.md" or f"](guide/{path.name})" in PAGES[ROOT / "README.md"]


def _anchor(heading: str) -> str:
    """What a heading is linked by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def test_a_snippet_that_fails_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import snippets; snippets.main()"],
        input=json.dumps(["one = 1", "assert __name__ == '__main__'; print(one)", "import sys; sys.exit(3)"]),
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "name 'one' is not defined" in done.stderr


def test_the_check_that_the_guide_shows_prints_that(tmp_path: Path) -> None:
    """All but the rates, which differ from run to run."""
    page = PAGES[ROOT / "guide" / "images.md"]
    (shown,) = re.findall(r"```console\n\$ (penstock check .*?)```", page, re.DOTALL)
    line, _, expected = shown.partition("\n")
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for k in range(50):
            Image.effect_noise((120, 90), 50).save(tmp_path / "photos" / name / f"{k}.jpg")
    cats, dogs = tmp_path / "photos" / "cats", tmp_path / "photos" / "dogs"
    (cats / "12.jpg").write_bytes((cats / "12.jpg").read_bytes()[:3000])
    (cats / "31.jpg").write_text("<!DOCTYPE html><title>404 Not Found</title>")
    (dogs / "7.jpg").write_bytes(b"")
    Image.effect_noise((120, 90), 50).save(dogs / "8.jpg", "PNG")
    Image.effect_noise((120, 90), 50).save(dogs / "50.webp")
    code = "import sys; from penstock.cli import main; sys.argv[0] = 'penstock'; main()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *line.split()[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")

    def plain(text: str) -> list[str]:
        text = re.sub(r"(Checked in) .*", r"\1", text)
        text = re.sub(r"\d+ bytes not processed", "bytes", text)
        return [line.rstrip() for line in text.splitlines()]

    assert plain(done.stdout) == plain(expected)


def test_there_are_snippets_and_examples() -> None:
    assert len(SNIPPETS) >= 4
    assert MODULES


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0

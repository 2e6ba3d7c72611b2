"""The command line: `penstock demo` and, in time, its sisters.

    _app              the commands and their options
    _demo             what `penstock demo` does, step by step
    _photographs      crops of photographs that other packages ship
    _class_folders    the user's own images, checked
    _feed_rates       images per second, penstock beside Keras
    _classic_model    the cats-and-dogs network
    _training         fitting it, with progress
    _grid             the picture
    _endings          how every command ends

Commands load what they need when they run: `penstock --version` needs neither Keras nor an extra beyond Typer.
"""

from __future__ import annotations

from penstock.cli._endings import plain_endings


def main() -> None:
    """Run the command line; the entry point of `penstock`."""
    with plain_endings():
        from penstock.cli._app import app

        app()

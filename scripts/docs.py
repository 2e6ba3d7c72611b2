"""Write the reference pages of penstock's public names into docs/."""

from __future__ import annotations

from pathlib import Path

import pdoc

import penstock

for name in penstock.__all__:  # they are loaded on first touch, and pdoc does not touch them
    setattr(penstock, name, getattr(penstock, name))
pdoc.render.configure(docformat="google", show_source=False)
pdoc.pdoc("penstock", output_directory=Path("docs"))

"""What runs of a sweep leave behind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path


def write_run(out: Path, *, epoch: int, accuracy: float) -> None:
    """As `penstock train` leaves it after so many of two epochs."""
    rows = "".join(f"{k + 1},{accuracy - 0.01 * k}\n" for k in range(epoch))
    (out / "history.csv").write_text(f"epoch,val_accuracy\n{rows}")
    (out / "tracked.json").write_text('{"run": "12345678abc"}')
    with zipfile.ZipFile(out / "checkpoint.zip", "w") as archive:
        archive.writestr("run.json", json.dumps({"epoch": epoch, "options": {"epochs": 2}}))

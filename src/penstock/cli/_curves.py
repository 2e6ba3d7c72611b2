"""Curves of several runs as a picture."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.cli._compare import Comparison


def curves(comparison: Comparison, kind: str, *, dark: bool = False) -> bytes | None:
    """A panel for each metric, a line for each run.

    Args:
        comparison: of the runs.
        kind: "png" or "svg".
        dark: light lines, for a dark page.

    Returns:
        The file's content; None where there is nothing to draw.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    panels = [(name, lines) for name, lines in comparison.curves.items() if any(lines)]
    if not panels:
        return None
    paper, ink = ("#1b1f24", "#e6e6e6") if dark else ("#ffffff", "#1f2328")
    style: dict[str, Any] = {
        "figure.facecolor": paper,
        "axes.facecolor": paper,
        "axes.edgecolor": ink,
        "axes.labelcolor": ink,
        "text.color": ink,
        "xtick.color": ink,
        "ytick.color": ink,
        "svg.hashsalt": "penstock",
        "svg.fonttype": "path",
    }
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(style):
        figure = Figure(figsize=(4.6 * columns, 0.7 + 2.5 * rows), layout="constrained", facecolor=paper)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (name, lines) in zip(grid.flat, panels, strict=False):
            for number, (run, points) in enumerate(zip(comparison.runs, lines, strict=True)):
                steps, values = [point.step + 1 for point in points], [point.value for point in points]
                axes.plot(
                    steps, values, color=f"C{number}", marker="o", **thickness(number),
                    label=f"{run.id[:8]} {run.name}",
                )  # fmt: skip
            axes.set_title(name, loc="left", fontsize="medium")
            show_epochs(axes, [point.step + 1 for points in lines for point in points])
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", alpha=0.25)
        for axes in list(grid.flat)[len(panels) :]:
            axes.set_visible(False)
        for axes in list(grid.flat)[max(0, len(panels) - columns) : len(panels)]:
            axes.set_xlabel("epoch")
        handles, labels = next(iter(grid.flat)).get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", frameon=False, ncols=2, fontsize="small")
        out = io.BytesIO()
        signature = {"Software": "penstock compare"} if kind == "png" else {"Date": None}
        figure.savefig(out, format=kind, dpi=130, metadata=signature)
    return out.getvalue()


def thickness(number: int) -> dict[str, Any]:
    """Of a line and its points: where runs coincide, all are seen."""
    return {"linewidth": max(1.0, 3.0 - 0.8 * number), "markersize": max(3.0, 7.0 - 1.6 * number)}


def show_epochs(axes: Any, epochs: Collection[int]) -> None:
    """Whole ones: where there is but one, matplotlib would show thousandths of it."""
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if len(set(epochs)) == 1:
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)


def write_png(comparison: Comparison, path: Path) -> None:
    """The curves as a file that `check_picture` knows again.

    Raises:
        CommandError: there is nothing to draw.
    """
    from penstock.cli._endings import CommandError

    content = curves(comparison, "png")
    if content is None:
        raise CommandError("none of these runs has a metric, so there is no curve to draw")
    replace(path, content)


def replace(path: Path, content: bytes) -> None:
    """Write a file, so that there is the earlier one or this one, and never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error

"""The picture of `penstock plan`: how long accelerators wait, over cores."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from penstock.cli._curves import replace
from penstock.planning._plan import Plan


def save_plot(plan: Plan, curve: Sequence[tuple[int, float, float]], path: Path) -> None:
    """Draw it.

    Args:
        plan: with the point that was chosen.
        curve: of `waiting_by_cores`.
        path: of the PNG file.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    cores = [each[0] for each in curve]
    axes.plot(cores, [100 * each[2] for each in curve], color="0.7", label="least that Little's law allows")
    axes.plot(cores, [100 * each[1] for each in curve], color="C0", marker="o", markersize=3, label="simulated")
    axes.plot([plan.cores], [100 * plan.waiting_share], "o", color="C3", markersize=9)
    axes.annotate(
        f"{plan.cores:,} cores, {plan.nodes:,} nodes:\n{100 * plan.waiting_share:.2g} %",
        (plan.cores, 100 * plan.waiting_share),
        xytext=(12, 24),
        textcoords="offset points",
        color="C3",
    )
    axes.axhline(100 * plan.job.waiting, color="0.5", linewidth=0.8, linestyle="--")
    axes.set_xlabel("cores that make batches")
    axes.set_ylabel(f"{plan.job.gpus:,} accelerators wait, % of the time")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    replace(path, content.getvalue())

"""A picture of what came of a sweep."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from penstock.cli._curves import replace, show_epochs, thickness

_MOST_LINES = 10


def save_plot(accuracies: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the validation accuracy of the best runs by epoch, the others pale.

    Args:
        accuracies: of each run, after each epoch, shares.
        path: of the file.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    axes = figure.subplots()
    best_first = sorted((name for name in accuracies if accuracies[name]), key=lambda name: -max(accuracies[name]))
    for number, name in enumerate(best_first):
        values = accuracies[name]
        is_best = number < _MOST_LINES
        axes.plot(
            range(1, len(values) + 1), [100 * value for value in values], marker="o", **thickness(number),
            color=f"C{number}" if is_best else "0.8", zorder=3 if is_best else 1,
            label=f"{100 * max(values):.1f} %  {name}" if is_best else None,
        )  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation accuracy, %")
    show_epochs(axes, [epoch + 1 for name in best_first for epoch in range(len(accuracies[name]))])
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower left", fontsize="small", frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    replace(path, content.getvalue())

"""Plots of the report. The one file that needs matplotlib, which is the extra ``plots``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from shared_state.validation.findings import Plot


def draw(plot: Plot, file: Path) -> None:
    """Draw theory as lines and what was measured as points, of one colour for each label, as SVG."""
    # text stays text, and the same plot is the same file
    with mpl.rc_context({"svg.hashsalt": "bellwire", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6.0, 3.6), layout="constrained")
        axes = figure.add_subplot()
        labels = list(dict.fromkeys(curve.label for curve in plot.curves))
        for curve in plot.curves:
            colour = f"C{labels.index(curve.label)}"
            if curve.kind == "theory":
                axes.plot(curve.x, curve.y, color=colour, linewidth=1, label=curve.label)
            else:
                axes.plot(curve.x, curve.y, "o", color=colour, markersize=4)
        if plot.logarithmic:
            axes.set_yscale("log")
        axes.set(title=plot.title, xlabel=plot.x_label, ylabel=plot.y_label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})

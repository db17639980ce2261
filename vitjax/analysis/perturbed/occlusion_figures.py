"""Draws accuracy by the share of the image that is hidden, and the likeness of embeddings by layer."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.figure import Figure

from vitjax.analysis.perturbed.alike import GIVEN, RANDOM
from vitjax.analysis.perturbed.alike_figures import LINES, draw_layers
from vitjax.analysis.perturbed.occlusion import SETS
from vitjax.analysis.study.style import COLORS, panels, style


def draw_accuracy(rows: Sequence[dict]) -> Figure:
    """Top-1 over the share of the patches that is hidden, a panel for each fill; dotted where weights are random.

    All curves begin at whole images.
    """
    there = list(dict.fromkeys(row["weights"] for row in rows))
    fills = list(dict.fromkeys(row["fill"] for row in rows[1:] if row["ratio"]))
    with style():
        figure, axes = panels(1, len(fills), size=(3.8, 2.8), sharey=True)
        for panel, fill in zip(axes, fills, strict=True):
            for weights, (which, mark, color) in product(there, zip(SETS, "os^", COLORS, strict=False)):
                mine = [row for row in rows if row["weights"] == weights]
                points = [mine[0], *(row for row in mine if (row["fill"], row["set"]) == (fill, which))]
                hidden, top1, error = (100 * np.array([row[key] for row in points]) for key in _COLUMNS)
                label = which if weights == GIVEN else None
                look = {"fmt": mark + LINES[weights], "color": color, "label": label, "clip_on": False}
                if points[1:]:
                    panel.errorbar(hidden, top1, error, capsize=2, **look)
            panel.set(xlabel="patches hidden (%)", title=fill, xlim=(-3, 100))
        axes[0].set(ylabel="top-1 (%)", ylim=(0, None))
        if len(there) > 1:
            axes[0].plot([], [], LINES[RANDOM], color="black", label="random weights")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, 2 * len(fills)))
    return figure


_COLUMNS = ("hidden", "top1", "top1_error")


def draw_by_layer(lines: Sequence[dict]) -> Figure:
    """Cosines by layer where random tiles are hidden behind the first fill."""
    fill = next(line["fill"] for line in lines if line["ratio"])
    some = [line for line in lines if not line["ratio"] or (line["fill"], line["set"]) == (fill, SETS[0])]
    return draw_layers(some, "ratio", lambda ratio: f"{ratio:.0%} hidden", f" ({fill})")

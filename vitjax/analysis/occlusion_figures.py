"""The tables of the occlusion analysis in, its figures out: accuracy by share hidden, and embeddings by layer."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from vitjax.analysis.embeddings_alike import GIVEN, RANDOM
from vitjax.analysis.style import MAP, panels, style

MARKS = {"random": "o", "salient": "s", "non-salient": "^"}


def draw_accuracy(rows: Sequence[Mapping]) -> Figure:
    """Top-1 over the share of the patches that are hidden, a panel for each fill, a line for each set of tiles."""
    fills = list(dict.fromkeys(row["fill"] for row in rows if row["ratio"]))
    with style():
        figure, axes = panels(1, len(fills), size=(3.2, 2.8), sharey=True)
        for panel, fill in zip(axes, fills, strict=True):
            for which, mark in MARKS.items():
                points = [row for row in rows if row["weights"] == GIVEN and _on(row, fill, which)]
                if len(points) > 1:
                    hidden, top1, error = (100 * np.array([row[key] for row in points]) for key in _COLUMNS)
                    panel.errorbar(hidden, top1, error, marker=mark, capsize=2, label=which)
            panel.set(xlabel="patches hidden (%)", title=fill, xlim=(0, 100))
        axes[0].set(ylabel="top-1 (%)", ylim=(0, None))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MARKS))
    return figure


_CURVE = ("weights", "ratio", "similarity")
_COLUMNS = ("hidden", "top1", "top1_error")


def _on(row: Mapping, fill: str, which: str) -> bool:
    """Whether a row is a point of this curve, all of which begin at the image as it is."""
    return not row["ratio"] or (row["fill"], row["set"]) == (fill, which)


def draw_layers(rows: Sequence[Mapping]) -> Figure:
    """Cosines by layer, a panel for each similarity, a line for each ratio: random tiles behind the first fill."""
    fill = next(row["fill"] for row in rows if row["ratio"])
    rows = [row for row in rows if row["fill"] == fill and row["set"] == "random"]
    there = [name for name in dict.fromkeys(row["similarity"] for row in rows)
             if any(row["cosine"] is not None for row in rows if row["similarity"] == name)]  # fmt: skip
    ratios = sorted({row["ratio"] for row in rows})
    colors = dict(zip(ratios, matplotlib.colormaps[MAP](np.linspace(0, 0.9, len(ratios))), strict=True))
    control = any(row["weights"] == RANDOM for row in rows)
    with style():
        figure, axes = panels(1, len(there), size=(2.7, 2.9), sharey=True)
        for panel, name in zip(axes, there, strict=True):
            for weights, line in ((GIVEN, "-"), (RANDOM, ":")):
                for ratio in ratios:
                    points = [row for row in rows if [row[key] for key in _CURVE] == [weights, ratio, name]]
                    x, y = ([np.nan if row[key] is None else row[key] for row in points] for key in ("layer", "cosine"))
                    panel.plot(x, y, line, color=colors[ratio], label=f"{ratio:.0%} hidden" if line == "-" else None)
            panel.set(xlabel="layer", title=name)
        axes[0].set(ylabel=f"cosine with the image as it is ({fill})")
        if control:
            axes[0].plot([], [], "k:", label="random weights")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ratios) + control)
    return figure

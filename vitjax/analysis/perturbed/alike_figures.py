"""Draws how alike the embeddings of an image and of its changed copies are, layer by layer."""

from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from vitjax.analysis.perturbed.alike import GIVEN, RANDOM
from vitjax.analysis.study.style import MAP, along, panels, style

LINES = {GIVEN: "-", RANDOM: ":"}


def draw_layers(rows: Sequence[Mapping], key: str, label: Callable[[object], str], what: str) -> Figure:
    """Cosines by layer: a panel for each similarity that is there, a colour for each value of a column; bands are
    standard errors, and dashed is what patches have with other patches of their image.

    Args:
        rows: as `alike.table` makes them, one for each weights, value, similarity and layer.
        key: the column that is changed; its first value, the image as it is, is left out.
        label: names a value.
        what: in the label of the axis.
    """
    names = [row["similarity"] for row in rows if row["cosine"] is not None]
    values = sorted({row[key] for row in rows})[1:]
    colors = dict(zip(values, matplotlib.colormaps[MAP](np.linspace(0, 0.9, len(values))), strict=True))
    lines = {name: line for name, line in LINES.items() if any(row["weights"] == name for row in rows)}
    column = lambda rows, key: np.array([np.nan if row[key] is None else row[key] for row in rows])
    with style():
        count = len(set(names))
        figure, axes = panels(1, count, size=(2.7, 2.9) if count > 1 else (3.8, 3.4), sharey=True)
        taps = list(dict.fromkeys(row["tap"] for row in rows))
        for panel, name in zip(axes, dict.fromkeys(names), strict=True):
            places = dict(zip(taps, along(panel, taps), strict=True))
            for weights, line in lines.items():
                there = [row for row in rows if (row["weights"], row["similarity"]) == (weights, name)]
                for value in values:
                    some = [row for row in there if row[key] == value]
                    layer = [places[row["tap"]] for row in some]
                    cosine, error = (column(some, name) for name in ("cosine", "cosine_error"))
                    panel.plot(layer, cosine, line, color=colors[value])
                    panel.fill_between(layer, cosine - error, cosine + error, color=colors[value], alpha=0.2, lw=0)
                    if weights == GIVEN:
                        panel.plot(layer, column(some, "chance"), "--", color=colors[value], linewidth=0.8)
                panel.plot(layer, column(some, "between"), line, color="#888888")
            panel.set(title=name)
        handles = {label(value): ("-", colors[value]) for value in values} | {"different images": ("-", "#888888")}
        if any(row["chance"] is not None for row in rows):
            handles["other patches of the image"] = ("--", "black")
        handles |= {"random weights": (":", "black")} if RANDOM in lines else {}
        for text, (line, color) in handles.items():
            axes[0].plot([], [], line, color=color, label=text)
        axes[0].set(ylabel=f"cosine with the image as it is{what}")
        columns = min(len(handles), 2 * count)  # as many as fit
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure

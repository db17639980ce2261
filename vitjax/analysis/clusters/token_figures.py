"""Draws the measures of clusters by layer, from the table of the analysis `tokens`."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from vitjax.analysis.clusters.measures import MEASURES
from vitjax.analysis.perturbed.alike_figures import LINES
from vitjax.analysis.study.style import COLORS, along, panels, style

_PANELS = MEASURES | {"probe": "linear probe (accuracy)"}


_NAMES: dict[str, Callable[[object], str]] = {
    "embeddings": {"published": "as published", "unit": "unit length", "no-outliers": "without outliers"}.__getitem__,
    "grid": lambda grid: f"{grid}x{grid} tiles shuffled" if grid > 1 else "as it is",
}


def draw(
    rows: Sequence[Mapping],
    key: str = "embeddings",
    reference: Mapping[tuple[str, int], Sequence[float]] | None = None,
) -> Figure:
    """A panel for each measure that is there, a colour for each value of a column, dotted for random weights.

    Bands are standard errors.

    Args:
        rows: as `tokens.run` gives them; of other columns the first value is drawn.
        key: the column: the form of the embeddings, or the "grid" of a shuffle.
        reference: {(measure, grid): values by layer} of another source, drawn as points.
    """
    others = {name: rows[0][name] for name in _NAMES if name != key}
    rows = [row for row in rows if all(row[name] == value for name, value in others.items())]
    values, there = ([*dict.fromkeys(row[name] for row in rows)] for name in (key, "weights"))
    colors = dict(zip(values, cycle(COLORS)))
    shown = {name: title for name, title in _PANELS.items() if any(row[name] is not None for row in rows)}
    taps = list(dict.fromkeys(row["tap"] for row in rows))
    with style():
        figure, axes = panels(2, 4, size=(2.6, 2.3))
        for panel in axes[len(shown) :]:
            panel.remove()
        for panel, (name, title) in zip(axes, shown.items(), strict=False):
            places = dict(zip(taps, along(panel, taps), strict=True))
            for weights in there:
                for value in values:
                    some = [row for row in rows if (row["weights"], row[key]) == (weights, value)]
                    pick = lambda column, some=some: np.array(
                        [np.nan if r[column] is None else r[column] for r in some]
                    )
                    x, y, error = [places[row["tap"]] for row in some], pick(name), pick(f"{name}_error")
                    panel.plot(x, y, LINES[weights], color=colors[value])
                    panel.fill_between(x, y - error, y + error, color=colors[value], alpha=0.15, linewidth=0)
            for value in values:
                grid = value if key == "grid" else others["grid"]
                if points := (reference or {}).get((name, grid)):
                    color = colors[value] if key == "grid" else "black"
                    panel.plot(range(len(points)), points, ".", color=color, markersize=3)
            panel.set(title=title)
        labels = {_NAMES[key](value): ("-", colors[value]) for value in values}
        labels |= {"random weights": (LINES["random"], "black")} if len(there) > 1 else {}
        for text, (line, color) in (labels | ({"paper": (".", "black")} if reference else {})).items():
            axes[0].plot([], [], line, color=color, label=text)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure

"""The table of the tokens analysis in, its figure out: measures of clusters by layer."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vitjax.analysis.clusters import MEASURES
from vitjax.analysis.embeddings_figures import LINES
from vitjax.analysis.style import COLORS, panels, style

_PANELS = MEASURES | {"probe": "linear probe (accuracy)"}


def draw(rows: Sequence[Mapping], reference: Mapping[tuple[str, int], Sequence[float]] | None = None) -> Figure:
    """A panel for each measure, a colour for each shuffle, dotted for random weights; bands are standard errors.

    Args:
        rows: as `tokens.run` gives them.
        reference: {(measure, grid): values by layer} of another source, drawn as points.
    """
    grids = list(dict.fromkeys(row["grid"] for row in rows))
    colors, there = dict(zip(grids, cycle(COLORS))), dict.fromkeys(row["weights"] for row in rows)
    with style():
        figure, axes = panels(2, 4, size=(2.6, 2.3))
        for panel, (name, title) in zip(axes, _PANELS.items(), strict=True):
            for weights in there:
                for grid in grids:
                    some = [row for row in rows if (row["weights"], row["grid"]) == (weights, grid)]
                    pick = lambda key, some=some: np.array([np.nan if r[key] is None else r[key] for r in some])
                    x, y, error = pick("layer"), pick(name), pick(f"{name}_error")
                    panel.plot(x, y, LINES[weights], color=colors[grid])
                    panel.fill_between(x, y - error, y + error, color=colors[grid], alpha=0.15, linewidth=0)
                    if weights == next(iter(there)) and (values := (reference or {}).get((name, grid))):
                        panel.plot(range(1, len(values) + 1), values, ".", color=colors[grid], markersize=3)
            panel.set(title=title, xlabel="layer")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        labels = {f"{g}x{g} tiles shuffled" if g > 1 else "as it is": ("-", colors[g]) for g in grids}
        labels |= {"random weights": (LINES["random"], "black")} if len(there) > 1 else {}
        for text, (line, color) in (labels | ({"paper": (".", "black")} if reference else {})).items():
            axes[0].plot([], [], line, color=color, label=text)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure

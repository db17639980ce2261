"""Draws tokens of huge norm: by layer, over the grid, what they cost, and on images."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vitjax.analysis.norms.norms_cost import OTHERS, OUTLIERS
from vitjax.analysis.perturbed.alike_figures import LINES
from vitjax.analysis.study.gallery import framed, gallery
from vitjax.analysis.study.style import COLORS, along, bare, panels, style
from vitjax.models.core.config import ViTConfig

# {title of a panel: {column: label}}
_CURVES = {
    "norm / median of the patches": {"ratio": "outliers", "class_ratio": "class token"},
    "outliers in an image": {"outliers": ""},
    "attention to them, next block": {
        "class_attention": "class token's", "patch_attention": "patches'", "fair_attention": "by their number",
    },
    "rank among the image's patches": {"contrast": "contrast", "likeness": "likeness to neighbours"},
}  # fmt: skip


def draw(rows: Sequence[Mapping], where: Float[np.ndarray, "row column"], cost: Sequence[Mapping]) -> Figure:
    """Draws curves by layer (dotted: random weights; bars: standard errors), places on the grid, and the cost in top-1.

    Args:
        rows: of `norms.run`.
        where: how often each patch is an outlier, after the block where there are most.
        cost: of `norms_cost.costs`; without classes the share of images whose class changes is drawn.
    """
    with style():
        figure, axes = panels(2, 3, size=(3.1, 2.5))
        taps = list(dict.fromkeys(row["tap"] for row in rows))
        for panel, (title, columns) in zip(axes, _CURVES.items(), strict=False):
            places = dict(zip(taps, along(panel, taps), strict=True))
            for color, (column, label) in zip(COLORS, columns.items(), strict=False):
                for weights in dict.fromkeys(row["weights"] for row in rows):
                    some = [row for row in rows if row["weights"] == weights]
                    x = [places[row["tap"]] for row in some]
                    y, error = (_pick(some, name) for name in (column, f"{column}_error"))
                    own = label if weights == rows[0]["weights"] else None
                    panel.errorbar(x, y, error, fmt=LINES[weights], color=color, capsize=2, label=own)
            panel.set(title=title)
            panel.set_ylim(bottom=0)
            if any(columns.values()):
                panel.legend(fontsize=7)
        axes[3].axhline(0.5, color="black", linestyle=":", linewidth=1)
        axes[3].set_ylim(0, 1)
        shown = bare(axes[4]).imshow(where)
        axes[4].set_title("images with an outlier there")
        figure.colorbar(shown, ax=axes[4], shrink=0.8)
        _cost(axes[5], cost)
    return figure


def _cost(axes: Axes, cost: Sequence[Mapping]) -> None:
    """Bars: what each treatment costs, of outliers and of as many others."""
    known = bool(cost) and cost[0]["top1"] is not None
    names = list(dict.fromkeys(row["treatment"] for row in cost[1:]))
    for at, tokens in enumerate((OUTLIERS, OTHERS)):
        some = [row for row in cost if row["tokens"] == tokens]
        values = [100 * (row["change"] if known else row["same"] - 1) for row in some]
        errors = [100 * row["change_error" if known else "same_error"] for row in some]
        axes.barh(np.arange(len(some)) + 0.4 * at - 0.2, values, 0.36, xerr=errors, capsize=2, label=tokens)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_title("change of top-1 (points)" if known else "images whose class changes (points)")
    axes.grid(axis="y", visible=False)
    if cost:
        axes.legend(fontsize=7)


def _pick(rows: Sequence[Mapping], column: str) -> np.ndarray:
    return np.array([np.nan if row.get(column) is None else row[column] for row in rows], float)


def marked(
    images: UInt8[np.ndarray, "image h w 3"], outlier: Bool[np.ndarray, "image patch"], config: ViTConfig
) -> Figure:
    """Images with frames around the patches of their outliers, four in a row."""
    cells = [framed(image, np.flatnonzero(some), config) for image, some in zip(images, outlier, strict=True)]
    return gallery([[cells[start : start + 4]] for start in range(0, len(cells), 4)], side=1.6)

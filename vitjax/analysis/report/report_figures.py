"""Draws graded pictures beside their best photographs, and all grades group by group."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.gallery import gallery
from vitjax.analysis.study.style import COLORS, panels, style
from vitjax.units.units import caption

Row = Mapping[str, Value]

# The grades shown, what their axis says, and its scale.
SHOWN = {
    "rise": ("rise (best photograph = 1)", "symlog"),
    "rank": ("rank of the own unit in its tap", "log"),
    "spectral_distance": ("spectral distance (nats)", "linear"),
    "detail": ("detail, fine power against photographs (nats)", "linear"),
    "noise": ("noise (standard deviations of photographs)", "linear"),
    "contrast": ("contrast, standard deviation of pixels", "linear"),
    "colour": ("colour, largest - smallest channel", "linear"),
    "agreement": ("agreement, rank of the own exemplars", "log"),
}


def beside_photos(
    images: Sequence[UInt8[np.ndarray, "h w 3"]],
    photos: Sequence[UInt8[np.ndarray, "h w 3"]],
    rows: Sequence[Row],
    columns: int = 4,
) -> Figure:
    """Pictures, each with its unit's best photograph to the right, and with verdict, ratio and rank beneath."""
    pairs = [list(pair) for pair in zip(images, photos, strict=True)]
    lines = [_caption(row) for row in rows]
    starts = range(0, len(pairs), columns)
    return gallery(
        [pairs[i : i + columns] for i in starts],
        titles=["picture, best photograph"] * min(columns, len(pairs)),
        captions=[lines[i : i + columns] for i in starts],
        side=1.2,
    )


def _caption(row: Row) -> str:
    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2g}"
    return f"{caption(row['unit'])}: {row['verdict']}, ratio {ratio}, rank {row['rank']}"


def strips(groups: Mapping[str, Sequence[Row]], lines: Mapping[str, Sequence[float]]) -> Figure:
    """The grades of every picture, a point each, a line of points for each group, its median marked.

    Args:
        groups: {name: graded pictures}; empty ones are left out.
        lines: {grade: thresholds}, drawn dashed.
    """
    groups = {name: rows for name, rows in groups.items() if rows}
    jitter = np.random.default_rng(0)
    with style():
        figure, axes = panels(2, 4, size=(3.6, 0.9 + 0.3 * len(groups)), sharey=True)
        for axis, (grade, (label, scale)) in zip(axes, SHOWN.items(), strict=True):
            axis.set_xscale(scale, **({"linthresh": 1} if scale == "symlog" else {}))
            for y, (rows, color) in enumerate(zip(groups.values(), [*COLORS, *COLORS], strict=False)):
                values = np.array([row[grade] for row in rows if row[grade] is not None], float)
                if not len(values):
                    continue
                spread = jitter.uniform(-0.28, 0.28, len(values))
                axis.plot(values, y + spread, ".", color=color, alpha=0.55, markersize=7, markeredgewidth=0)
                axis.plot([np.median(values)] * 2, [y - 0.38, y + 0.38], color="black", linewidth=1.6)
            for threshold in lines.get(grade, ()):
                axis.axvline(threshold, color="black", linewidth=0.8, linestyle="--")
            axis.set(xlabel=label, yticks=range(len(groups)), yticklabels=list(groups))
        axes[0].set_ylim(len(groups) - 0.5, -0.5)
        axes[0].plot([], [], ".", color="grey", markersize=7, label="a picture")
        axes[0].plot([], [], color="black", linewidth=1.6, label="median of the group")
        axes[0].plot([], [], "--", color="black", linewidth=0.8, label="threshold of the verdict")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure

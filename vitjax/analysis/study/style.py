"""One look for all figures: their size, type and colours, which stay apart for colour-blind readers."""

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from vitjax.models.core.vocabulary import split_tap
from vitjax.units.units import caption

# Okabe and Ito, "Color Universal Design" (2008), in an order that also differs in lightness.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
MAP = "viridis"  # for heat maps
AFTER = ("resid_post", "out")  # what a block gives: of a Transformer, of a convolutional network
TICKS = 16  # names at most on an axis
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLORS),
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.frameon": False,
    "image.cmap": MAP,
    "savefig.dpi": 150,
}


@contextmanager
def style() -> Iterator[None]:
    """The project's look for everything drawn inside."""
    with matplotlib.rc_context(_STYLE):
        yield


def panels(rows: int = 1, columns: int = 1, size: tuple[float, float] = (3.6, 2.6), **settings) -> tuple[Figure, list]:
    """A figure of `rows` times `columns` panels of `size` inches each; its axes as one flat list.

    `settings` go to `Figure.subplots`. Draw inside `style()`.
    """
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **settings).flat)


def along(axes: Axes, taps: Sequence[str]) -> list[float]:
    """Has the horizontal axis say which taps it is of, and gives the place of each.

    Taps of one name stand at the numbers of their blocks, counted from 0; all others side by side, with their names.
    """
    parts = [split_tap(tap) for tap in taps]
    blocks, alike = [part.block for part in parts], len({(part.name, part.stage) for part in parts}) == 1
    if alike and None not in blocks and len({*blocks}) == len(blocks):
        axes.set_xlabel("block" if parts[0].name in AFTER else f"block, {parts[0].name}")
        axes.xaxis.set_major_locator(FixedLocator(blocks) if len(blocks) < 7 else MaxNLocator(integer=True))
        return blocks
    staged = len({part.name for part in parts}) == 1 and None not in blocks
    names = [f"{part.stage}.{part.block}" if staged else caption(tap) for tap, part in zip(taps, parts, strict=True)]
    every = -(-len(names) // TICKS)
    axes.set_xticks(range(0, len(names), every), names[::every], rotation=90, fontsize=7)
    axes.set_xlabel("stage and block" if staged else "")
    return list(range(len(names)))


def inline(figure: Figure, dpi: int = 100) -> str:
    """A figure as HTML that needs no file, for notebooks."""
    data = io.BytesIO()
    with style():
        figure.savefig(data, format="png", dpi=dpi)
    return f'<img src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def bare(axes: Axes) -> Axes:
    """The axes without ticks, spines and grid, for pictures."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes

"""Lays pictures out in rows and groups as one labelled figure, in which every picture has the same size, and frames."""

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.colors
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vitjax.analysis.study.style import COLORS, bare, style
from vitjax.data.pixels import shown
from vitjax.data.placement import place_size
from vitjax.models.registry import Config

# In inches: gaps between pictures of a group, groups, columns; a line of text, a letter. In points: the type. Then, in
# inches, what a bar of colours takes, and what is left beside a text at the edge.
TIGHT, LOOSE, WIDE, LINE, LETTER, TYPE, BAR, EDGE = 0.03, 0.12, 0.25, 0.15, 0.062, 7.5, 0.22, 0.04

OUTLIER_COLOR = COLORS[4]
Cell = UInt8[np.ndarray, "h w color"] | None


def gallery(
    rows: Sequence[Sequence[Sequence[Cell]]],
    *,
    labels: Sequence[str] = (),
    titles: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    side: float = 0.95,
    width: float = 0,
    scales: Mapping[str, str] | None = None,
) -> Figure:
    """Lays pictures out in rows; those of a group stand close together.

    Args:
        rows: of each row its groups, of each group its pictures, uint8 [h, w, channel]; None leaves a place empty.
        labels: what stands to the left of each row; may have several lines.
        titles: what stands above each of a row's groups.
        captions: of each row, what stands under each of its groups.
        side: width of a picture in inches; the first one's proportions give all their heights.
        width: as many rows stand side by side as fit into this many inches; by default one.
        scales: {name of a colour map: what its colours mean, "LOWEST to HIGHEST"}, of maps among the pictures; each has
            a bar at the bottom.
    """
    scales = scales or {}
    first = next(cell for row in rows for group in row for cell in group if cell is not None)
    tall = side * first.shape[0] / first.shape[1]
    margin = 0.07 + LETTER * max((len(line) for label in labels for line in label.splitlines()), default=0)
    column = margin + max(sum(len(group) * (side + TIGHT) - TIGHT + LOOSE for group in row) for row in rows)
    across = min(len(rows), max(1, int((width + WIDE) / (column + WIDE))))
    down = -(-len(rows) // across)
    top = 0.08 + LINE * max((1 + title.count("\n") for title in titles), default=0)
    step = tall + LOOSE + LINE * bool(captions)
    bottom = top + down * step
    size = across * column + (across - 1) * WIDE, bottom + BAR * len(scales)
    with style():
        figure = Figure(figsize=size)
        axes = bare(figure.add_axes((0, 0, 1, 1)))
        for number, row in enumerate(rows):
            left, y = number // down * (column + WIDE) + margin, top + number % down * step
            if labels:
                axes.text(left - 0.07, y + tall / 2, labels[number], ha="right", va="center", fontsize=TYPE)
            under = captions[number] if captions else ()
            _row(axes, row, left, y, side, tall, titles if number % down == 0 else (), under)
        for number, (colors, meaning) in enumerate(scales.items()):
            _scale(axes, colors, meaning, 0.07, bottom + number * BAR)
        axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
        _widen(figure, axes)
    return figure


def _widen(figure: Figure, axes: Axes) -> None:
    """Makes the figure as wide as its texts need; the axes are in inches, and fill it."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    spans = [text.get_window_extent(renderer) for text in axes.texts]
    low = min([0, *(span.x0 / figure.dpi - EDGE for span in spans)])
    high = max([figure.get_figwidth(), *(span.x1 / figure.dpi + EDGE for span in spans)])
    figure.set_figwidth(high - low)
    axes.set_xlim(low, high)


def _row(
    axes: Axes,
    row: Sequence[Sequence[Cell]],
    x: float,
    y: float,
    side: float,
    tall: float,
    titles: Sequence[str],
    captions: Sequence[str],
) -> None:
    for number, group in enumerate(row):
        if titles:
            axes.text(x, y - 0.05, titles[number], ha="left", va="bottom", fontsize=TYPE)
        if captions:
            axes.text(x, y + tall + 0.02, captions[number], ha="left", va="top", fontsize=TYPE - 1)
        for cell in group:
            if cell is not None:
                axes.imshow(shown(cell), extent=(x, x + side, y + tall, y), aspect="auto")
            x += side + TIGHT
        x += LOOSE - TIGHT


def _scale(axes: Axes, colors: str, meaning: str, x: float, y: float) -> None:
    """A bar of colours with what they mean beside it."""
    y += 0.05
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=colors, extent=(x, x + 1.2, y + LINE - 0.05, y), aspect="auto")
    axes.text(x + 1.27, y + LINE / 2 - 0.02, meaning, ha="left", va="center", fontsize=TYPE - 1)


def framed(
    image: UInt8[np.ndarray, "h w 3"],
    patches: Iterable[int],
    config: Config,
    color: str = OUTLIER_COLOR,
    grid: tuple[int, int] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of an image of the model's size with a frame inside each of some patches, an eighth of them thick.

    The patches are those of a grid, by default of the config's.
    """
    image, grid = image.copy(), grid or config.grid
    height, width = map(round, place_size(config, grid))
    paint = np.round(255 * np.array(matplotlib.colors.to_rgb(color))).astype(np.uint8)
    thick = max(1, min(height, width) // 8)
    for patch in patches:
        row, column = divmod(int(patch), grid[1])
        piece = image[row * height : (row + 1) * height, column * width : (column + 1) * width]
        piece[:thick] = piece[-thick:] = piece[:, :thick] = piece[:, -thick:] = paint
    return image

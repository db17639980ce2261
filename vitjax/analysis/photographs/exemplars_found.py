"""What a pass over photographs found of units, and a figure of some: best images, where these fired, their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitjax.analysis.photographs.natural import Natural
from vitjax.analysis.photographs.tally import edges
from vitjax.analysis.study.gallery import OUTLIER_COLOR
from vitjax.analysis.study.style import COLORS, bare, inline, panels, style
from vitjax.data.files.images import Images
from vitjax.data.pipeline import pixels
from vitjax.data.pixels import shown
from vitjax.data.placement import place_size
from vitjax.models.core.preprocess import Input
from vitjax.units.units import caption

SHOWN, ACROSS = 12, 6  # units in the figure, and images of each
FRAME = {False: COLORS[1], True: OUTLIER_COLOR}  # of the patch that fired: ordinary, or a token of huge norm


@dataclass(frozen=True)
class Exemplars:
    """What natural images say of every unit of some taps.

    Attributes:
        taps: {tap: Natural}.
        names: of the images; `Natural.place` counts in them.
        settings: the model, the data and the arguments of the pass.
        unreadable: {name: reason} of images that were left out.
        images: the images; reading one gives the bytes that were measured, or raises
            `vitjax.data.files.prints.Changed`.
        config: how the model sees them.
    """

    taps: Mapping[str, Natural]
    names: Sequence[str]
    settings: Mapping[str, object]
    unreadable: Mapping[str, str]
    images: Images
    config: Input

    def __repr__(self) -> str:
        return f"Exemplars of the units of {', '.join(self.taps)}, of {len(self.names):,} images"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{inline(figure(self.taps, self.images, self.config))}"


def figure(taps: Mapping[str, Natural], images: Images, config: Input) -> Figure:
    """Best images of some units, drawn evenly from the taps, with the patch that fired; and each unit's histogram.

    The patch is framed in orange, or in red if it is a token of huge norm.
    """
    naturals = list(taps.values())
    picks = [naturals[i] for i in np.linspace(0, len(naturals) - 1, min(SHOWN, max(len(naturals), 4))).astype(int)]
    rng = np.random.default_rng(0)
    chosen = [(natural, int(rng.integers(len(natural.score)))) for natural in picks]
    across = min(ACROSS, naturals[0].score.shape[1], int(naturals[0].tally.images))
    with style():
        drawing, axes = panels(len(chosen), across + 1, size=(1.15, 1.25))
        for line, (natural, unit) in enumerate(chosen):
            row = axes[line * (across + 1) : (line + 1) * (across + 1)]
            photos = pixels(images, natural.place[unit, :across], config)
            known = natural.score[unit], natural.patch[unit], natural.outlier[unit]
            for axis, picture, score, patch, outlier in zip(row, photos, *known, strict=False):
                bare(axis).imshow(shown(picture))
                axis.set_title(f"{score:.3g}", fontsize=7, loc="center", pad=2)
                if patch >= 0:
                    grid = natural.grid or config.grid
                    (y, x), (height, width) = divmod(int(patch), grid[1]), place_size(config, grid)
                    corner = x * width - 0.5, y * height - 0.5
                    axis.add_patch(
                        Rectangle(corner, width, height, fill=False, color=FRAME[bool(outlier)], linewidth=1.4)
                    )
            row[0].set_ylabel(caption(natural.unit(unit)), fontsize=6)
            _histogram(row[across], natural, unit)
    return drawing


def _histogram(axis: Axes, natural: Natural, unit: int) -> None:
    """How often images have which score: the density of each bin, as bins are of different width."""
    inner = edges()
    density = natural.tally.histogram[unit, 1:-1] / np.diff(inner)
    seen = np.flatnonzero(density)
    first, last = (seen[0], seen[-1] + 1) if len(seen) else (0, len(density))
    axis.stairs(density[first:last], inner[first : last + 1], fill=True)
    axis.set(yticks=[])
    axis.set_title("images by score", fontsize=6, loc="center", pad=2)
    axis.tick_params(labelsize=5)
    axis.grid(False)

"""The analysis `exemplars`: tables with a row per unit and image, per unit, and per tap, and a figure."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.photographs.natural import QUANTILES, Natural
from vitjax.analysis.photographs.tally import edges
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings
from vitjax.analysis.study.gallery import OUTLIER_COLOR
from vitjax.analysis.study.style import COLORS, bare, panels, style
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.data.pipeline import pixels
from vitjax.data.pixels import shown
from vitjax.data.placement import patch_box, place_size
from vitjax.data.prepare import size
from vitjax.models.core.network import Network
from vitjax.models.registry import Config
from vitjax.units.units import caption, matching

SHOWN, ACROSS = 12, 6  # units in the figure, and images of each
FRAME = {False: COLORS[1], True: OUTLIER_COLOR}  # of the patch that fired: ordinary, or a token of huge norm


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    taps: list[str] | None = None,
    k: int = 9,
    tokens: str = "patches",
    folder: Path | None = None,
) -> Findings | None:
    """Finds the exemplars of units; see `exemplars` for the arguments; `taps` may hold `*`, default all neurons.

    Returns:
        Findings with a row per tap, the tables "exemplars" and "units" and a figure of some units; None where other
        hosts' parts are still missing.
    """
    known = model.taps()
    chosen = [tap for pattern in taps or [model.neurons] for tap in matching(pattern, known)]
    found = exemplars(model, data, chosen, k=k, tokens=tokens, folder=folder)
    if found is None:
        return None
    rows = [tap_row(natural) for natural in found.taps.values()]
    return Findings(
        "exemplars",
        rows,
        dict(found.settings) | {"unreadable": dict(found.unreadable)},
        {"": figure(found, found.images, model.config)},
        summary=f"{sum(row['units'] for row in rows)} units over {rows[0]['images']} images",
        tables={"exemplars": image_table(found, found.images, model.config), "units": unit_table(found)},
    )


def tap_row(natural: Natural) -> dict[str, str | int | float]:
    """Sums up what the units of a tap have in common.

    `distinct_best` counts the different best images of the units, `never_active` the units that no image brings above
    0; the others are means over units, `active` of the share of tokens above 0, `on_outliers` of the share of best
    images on which the patch that fired is a token of huge norm (see `outliers`).
    """
    there = natural.place >= 0
    per_image = max(len(natural.tokens), 1) * max(int(natural.tally.images), 1)
    return {
        "tap": natural.tap,
        "units": len(natural.score),
        "images": int(natural.tally.images),
        "distinct_best": len(np.unique(natural.place[:, 0])),
        "never_active": int((natural.active == 0).sum()),
        "best": float(natural.score[:, 0].mean()),
        "mean": float(natural.mean.mean()),
        "active": float(natural.active.mean() / per_image),
        "on_outliers": float(natural.outlier[there].mean()) if np.isfinite(natural.tally.norm[there]).any() else None,
        "sparseness": float(np.nanmean(natural.sparseness)) if (natural.tally.positive > 0).any() else None,
    }


def image_table(found: Exemplars, images: Images, config: Config) -> pa.Table:
    """A row per unit and image: best images first ("top", rank from 0), then those at the quantiles of the scores.

    Columns: unit, kind, rank, quantile, image, score, peak (the highest activation of a token; best images only), norm
    (of that token in the residual stream, over the median of the image's patches; above 5 it is an outlier, whose patch
    says little; best images only), patch, row, column (on the tap's grid; null where no patch fired), that patch's
    left, top, right, bottom in the original's pixels, and photo (the image's place in the data set).
    """
    sizes = _Sizes(images)
    return pa.concat_tables(
        part for natural in found.taps.values() for part in _image_tables(natural, found.names, sizes, config)
    )


def _image_tables(natural: Natural, names: tuple[str, ...], sizes: "_Sizes", config: Config) -> list[pa.Table]:
    units, k = natural.score.shape
    place, score, patch = (x.T for x in natural.quantiles())
    steps = len(QUANTILES)
    best = _image_rows(natural, names, sizes, config, natural.place, natural.score, natural.patch)
    usual = _image_rows(natural, names, sizes, config, place, score, patch)
    nothing = lambda count, kind: pa.nulls(count, kind)
    best |= {
        "kind": pa.array(["top"] * units * k).dictionary_encode(),
        "rank": pa.array(np.tile(np.arange(k, dtype=np.int32), units)),
        "quantile": nothing(units * k, pa.float64()),
        "peak": pa.array(natural.tally.peak.ravel()),
        "norm": pa.array(natural.tally.norm.ravel(), from_pandas=True),
    }
    usual |= {
        "kind": pa.array(["quantile"] * units * steps).dictionary_encode(),
        "rank": nothing(units * steps, pa.int32()),
        "quantile": pa.array(np.tile(QUANTILES, units)),
        "peak": nothing(units * steps, pa.float32()),
        "norm": nothing(units * steps, pa.float32()),
    }
    columns = ["unit", "kind", "rank", "quantile", "image", "score", "peak", "norm", "patch", "row", "column"]
    order = [*columns, *_SIDES, "photo"]
    there = pa.array(natural.place.ravel() >= 0)
    return [pa.table(best).select(order).filter(there).unify_dictionaries(), pa.table(usual).select(order)]


_SIDES = ("left", "top", "right", "bottom")


def _image_rows(natural, names, sizes, config, place, score, patch) -> dict[str, pa.Array]:
    place, patch = place.ravel(), patch.ravel()
    grid = natural.grid or config.grid
    row, column = np.divmod(patch, grid[1])
    boxes = sizes.boxes(place, config, row, column, grid)
    without = patch < 0
    units = [str(natural.unit(i)) for i in range(len(score))]
    return {
        "unit": pa.DictionaryArray.from_arrays(np.repeat(np.arange(len(units), dtype=np.int32), score.shape[1]), units),
        "image": pa.array(np.array(names, object)[place], pa.string()),
        "score": pa.array(score.ravel()),
        "patch": pa.array(patch, pa.int32(), mask=without),
        "row": pa.array(row, pa.int32(), mask=without),
        "column": pa.array(column, pa.int32(), mask=without),
        "photo": pa.array(place, pa.int32()),
        **{side: pa.array(box, pa.float32(), mask=without) for side, box in zip(_SIDES, boxes, strict=True)},
    }


class _Sizes:
    """The sizes of images in pixels, each file's head read once."""

    def __init__(self, images: Images):
        self.images, self.known = images, {}

    def boxes(
        self, place: np.ndarray, config: Config, row: np.ndarray, column: np.ndarray, grid: tuple[int, int]
    ) -> list[np.ndarray]:
        """`patch_box` for many images: left, top, right, bottom."""
        found = np.zeros((4, len(place)), np.float32)
        for one in np.unique(place[place >= 0]):
            if one not in self.known:
                self.known[one] = size(self.images.read(int(one)))
            here = place == one
            found[:, here] = patch_box(self.known[one], config, row[here], column[here], grid)
        return list(found)


def unit_table(found: Exemplars) -> pa.Table:
    """A row per unit: unit, tap, best, mean, std, active (share of tokens above 0), sparseness, histogram.

    The bins' inner edges are in the schema's metadata, as JSON under "edges".
    """
    tables = []
    for natural in found.taps.values():
        tokens = max(len(natural.tokens), 1) * max(int(natural.tally.images), 1)
        columns = {
            "unit": pa.array([str(natural.unit(i)) for i in range(len(natural.score))]),
            "tap": pa.array([natural.tap] * len(natural.score)),
            "best": pa.array(natural.score[:, 0]),
            "mean": pa.array(natural.mean),
            "std": pa.array(natural.std),
            "active": pa.array((natural.active / tokens).astype(np.float32)),
            "sparseness": pa.array(natural.sparseness.astype(np.float32), from_pandas=True),
            "histogram": pa.FixedSizeListArray.from_arrays(
                pa.array(natural.tally.histogram.ravel()), natural.tally.histogram.shape[1]
            ),
        }
        tables.append(pa.table(columns))
    whole = pa.concat_tables(tables)
    return whole.replace_schema_metadata({"edges": json.dumps([float(f"{edge:.6g}") for edge in edges()])})


def figure(found: Exemplars, images: Images, config: Config) -> Figure:
    """Best images of some units, drawn evenly from the taps, with the patch that fired; and each unit's histogram.

    The patch is framed in orange, or in red if it is a token of huge norm.
    """
    naturals = list(found.taps.values())
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

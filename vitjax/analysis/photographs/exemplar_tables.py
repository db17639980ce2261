"""The analysis `exemplars`: tables with a row per unit and image, per unit, and per tap, and a figure."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.photographs.exemplars_found import Exemplars, figure
from vitjax.analysis.photographs.natural import QUANTILES, Natural
from vitjax.analysis.photographs.tally import edges
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings
from vitjax.data.dataset import Dataset
from vitjax.data.files.images import Images
from vitjax.data.placement import patch_box
from vitjax.data.prepare import size
from vitjax.models.core.network import Network
from vitjax.models.registry import Config
from vitjax.units.units import matching


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
        {"": figure(found.taps, found.images, model.config)},
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

"""Lays activations out in the plane, and cuts it into a grid of cells (Carter et al. 2019).

As in the published code (tensorflow/lucid, `activation_atlas`): UMAP with 50 neighbours, distance 0.05 and cosines; the
plane is cut at the 1st and 99th percentile and a tenth of a margin, and what lies beyond is brought to its edge.
"""

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from vitjax.errors import InputError, nearest
from vitjax.ranges import Range

LAYOUTS = ("umap", "tsne", "pca")
GRID = Range(2, 100, whole=True)  # cells of a side
FEWEST, MOST, EACH = 10, 20, 25  # cells of a side where none is asked for, and samples that a cell then has about
_AXES = 50  # principal axes of which distances are taken
_NEIGHBOURS, _DISTANCE = 50, 0.05
_PERPLEXITY = 30.0
_FEW = 2000  # samples that take one thread: several wait for each other longer than they work
_EDGES, _MARGIN = (1, 99), 0.1


class Cut(NamedTuple):
    """Samples in the cells of a grid.

    Attributes:
        cell: of each sample, its place in the grid, row by row.
        counts: samples in each cell; they add up to all.
    """

    cell: Int[np.ndarray, " sample"]
    counts: Int[np.ndarray, "row column"]


def check(layout: str) -> str:
    """Says which layout is meant, "auto" being UMAP where it is installed and else t-SNE, before anything is computed.

    Raises:
        InputError: there is no such layout, or its library is missing.
    """
    if layout == "auto":
        return "umap" if find_spec("umap") else "tsne"
    if layout not in LAYOUTS:
        raise InputError(f"unknown layout {layout!r}{nearest(layout, LAYOUTS)}: {', '.join(LAYOUTS)} or auto")
    if layout == "umap" and not find_spec("umap"):
        raise InputError("layout umap needs umap-learn: pip install 'vitjax[umap]', or take tsne")
    return layout


def laid_out(values: Float[np.ndarray, "sample channel"], layout: str, seed: int = 0) -> Float[np.ndarray, "sample 2"]:
    """Places activations in the plane by their directions from the mean of all, along the 50 largest principal axes.

    Without the mean, which is most of a residual stream, directions tell activations apart. UMAP and t-SNE need not
    give the same on other machines: what they gave is kept.

    Args:
        values: two samples at least.
        layout: see `check`.
        seed: of what they draw.
    """
    from sklearn import manifold  # half a second; what is to be limited below has to be there

    with threadpool_limits(1 if len(values) < _FEW else None):
        axes = _principal(values)
        if layout == "pca" or len(values) < 5:
            return axes[:, :2].astype(np.float32)
        lengths = np.linalg.norm(axes, axis=1, keepdims=True)
        directions = (axes / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        if layout == "umap":
            return _umap(directions, seed)
        perplexity = min(_PERPLEXITY, (len(directions) - 1) / 3)
        tsne = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed, learning_rate="auto")
        return tsne.fit_transform(directions)


def cut(points: Float[np.ndarray, "sample 2"], grid: int) -> Cut:
    """Cuts the plane into `grid` by `grid` cells."""
    places = np.minimum((squared(points) * grid).astype(int), grid - 1)
    cell = places[:, 1] * grid + places[:, 0]
    return Cut(cell, np.bincount(cell, minlength=grid * grid).reshape(grid, grid))


def squared(points: Float[np.ndarray, "sample 2"]) -> Float[np.ndarray, "sample 2"]:
    """Brings points into the unit square, as the module says; an axis on which all are at one place becomes 0.5."""
    points = np.asarray(points, np.float64)
    low, high = np.percentile(points, _EDGES, axis=0)
    margin = _MARGIN * (high - low)
    low, high = low - margin, high + margin
    wide = high > low
    return np.where(wide, (np.clip(points, low, high) - low) / np.where(wide, high - low, 1), 0.5)


def side(samples: int) -> int:
    """How many cells a side of the grid has where none is asked for: 10 to 20, about 25 samples a cell."""
    return int(np.clip(round((samples / EACH) ** 0.5), FEWEST, MOST))


def _principal(values: np.ndarray) -> Float[np.ndarray, "sample axis"]:
    """Coordinates along the largest principal axes, each axis turned so that its largest entry is positive."""
    centred = np.asarray(values, np.float64) - values.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, : -_AXES - 1 : -1]
    return centred @ (axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])]))


def _umap(directions: np.ndarray, seed: int) -> np.ndarray:
    from umap import UMAP

    neighbours = min(_NEIGHBOURS, len(directions) - 1)
    how = {"n_neighbors": neighbours, "min_dist": _DISTANCE, "metric": "cosine", "random_state": seed, "n_jobs": 1}
    return np.asarray(UMAP(**how).fit_transform(directions), np.float32)

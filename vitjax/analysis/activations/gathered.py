"""Gathers the samples of a tap in cells of the plane, each with its mean activation and the direction to paint."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from vitjax.analysis.activations import plane
from vitjax.analysis.activations.sampled import Sample
from vitjax.analysis.activations.whitened import whitening
from vitjax.errors import InputError


@dataclass(frozen=True)
class Layer:
    """The activations of one tap, laid out and gathered. Cells are numbered row by row, those that were dropped not.

    Attributes:
        place, token: of each sample: the image's place in the data set, and the patch.
        points: of each sample in the plane.
        cell: of each sample, the number of its cell; -1 in one that was dropped.
        counts: samples in every cell of the grid; they add up to all.
        row, column: of each cell in the grid.
        means: of each cell, the mean activation as it is.
        directions: of each cell, that mean whitened: what its picture is made for.
    """

    place: Int[np.ndarray, " sample"]
    token: Int[np.ndarray, " sample"]
    points: Float[np.ndarray, "sample 2"]
    cell: Int[np.ndarray, " sample"]
    counts: Int[np.ndarray, "row column"]
    row: Int[np.ndarray, " cell"]
    column: Int[np.ndarray, " cell"]
    means: Float[np.ndarray, "cell channel"]
    directions: Float[np.ndarray, "cell channel"]

    @property
    def count(self) -> Int[np.ndarray, " cell"]:
        """Samples of each cell."""
        return self.counts[self.row, self.column]


FIELDS = tuple(field.name for field in fields(Layer))


def gathered(sample: Sample, tap: str, *, layout: str, grid: int, threshold: int, ridge: float, seed: int = 0) -> Layer:
    """Lays out the samples of a tap and gathers them in cells.

    Args:
        sample: of all images.
        tap: one of its taps.
        layout: umap, tsne or pca, see `plane.laid_out`.
        grid: cells of a side; 0 for as many as suit the samples.
        threshold: cells with so many samples or fewer are dropped.
        ridge: of the whitening, see `whitened`.
        seed: of the layout.

    Raises:
        InputError: no cell has enough samples.
    """
    values = sample.value[tap].reshape(-1, sample.value[tap].shape[-1])
    draws = sample.value[tap].shape[1]
    if len(values) < 2:
        raise InputError("an atlas of activations needs two samples at least: give more images")
    points = plane.laid_out(values, layout, seed)
    there = plane.cut(points, grid or plane.side(len(values)))
    flat = there.counts.ravel()
    if not (kept := np.flatnonzero(flat > threshold)).size:
        raise InputError(
            f"no cell of {tap} has more than {threshold} of the {len(values)} samples: take more images, more patches"
            " of each (--per-image), or fewer cells (--grid)"
        )
    number = np.full(flat.size, -1, np.int32)
    number[kept] = np.arange(len(kept))
    cell = number[there.cell]
    sums = np.zeros((len(kept), values.shape[1]))
    np.add.at(sums, cell[cell >= 0], values[cell >= 0])
    means = sums / flat[kept, None]
    side = len(there.counts)
    return Layer(
        place=np.repeat(sample.place, draws).astype(np.int32),
        token=sample.token[tap].ravel().astype(np.int32),
        points=points,
        cell=cell,
        counts=there.counts.astype(np.int32),
        row=(kept // side).astype(np.int32),
        column=(kept % side).astype(np.int32),
        means=means.astype(np.float32),
        directions=(means @ whitening(sample.moment[tap] / sample.patches[tap], ridge)).astype(np.float32),
    )

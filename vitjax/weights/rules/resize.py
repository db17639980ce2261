"""Resamples position embeddings and tables of relative positions for another image size, as their source does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.errors import InputError, nearest

Resample = Callable[[np.ndarray, tuple[int, ...]], jax.Array | np.ndarray]
Grid = tuple[int, int]  # (rows, columns)
GridArrays = Mapping[str, tuple[str, Grid]]  # {array: (what it holds of a grid, a key of `RESAMPLERS`; the grid)}


def offset_bicubic(grid: np.ndarray, shape: tuple[int, ...]) -> jax.Array:
    """Interpolates at the scale of a grid a tenth of a patch larger, whose last tenth is cut off.

    Source: DINO, `interpolate_pos_encoding` in `vision_transformer.py`; the tenth is there against rounding.
    """
    scale = jnp.array([(new + 0.1) / old for new, old in zip(shape[:2], grid.shape, strict=False)])
    return jax.image.scale_and_translate(grid, shape, (0, 1), scale, jnp.zeros(2), "cubic-pytorch", antialias=False)


# Each takes a grid [row, column, channel] and the shape it shall have. All are torch's `interpolate` in other words.
CONVENTIONS: dict[str, Resample] = {
    "bicubic": partial(jax.image.resize, method="cubic", antialias=True),  # timm; transformers' DINOv2 with registers
    "bilinear": partial(jax.image.resize, method="linear", antialias=False),  # timm, for FlexiViT and Google's files
    "plain bicubic": partial(jax.image.resize, method="cubic-pytorch", antialias=False),  # transformers
    "offset bicubic": offset_bicubic,  # DINO and DINOv2 without registers, as published
    "smooth bilinear": partial(jax.image.resize, method="linear", antialias=True),  # transformers' SigLIP 2
}


def geometric(grid: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolates a table of distances at places that lie the further apart the longer the distance.

    The places' gaps grow by a constant factor, found so that the old table spans the new one. Source: BEiT,
    `run_class_finetuning.py`, with the linear interpolation that timm 1.0.31 uses in place of the cubic.
    """
    for axis in (0, 1):
        places, wanted = _places(grid.shape[axis], shape[axis]), np.arange(shape[axis]) - shape[axis] // 2
        along = partial(np.interp, wanted, places)
        grid = np.apply_along_axis(along, axis, grid)  # also along an axis that keeps its length, as in timm
    return grid


DISTANCE_CONVENTIONS: dict[str, Resample] = {
    "geometric": geometric,  # timm
    "bilinear": CONVENTIONS["bilinear"],  # transformers
}


@dataclass(frozen=True)
class Resampling:
    """How a source resamples positions and tables of distances: keys of the two tables of conventions."""

    positions: str = "bicubic"
    distances: str = "geometric"


def resized(
    arrays: Mapping[str, np.ndarray], old: GridArrays, new: GridArrays, how: Resampling
) -> dict[str, np.ndarray]:
    """Resamples those of a model's arrays that depend on its image size, once.

    Args:
        arrays: {dotted name: array}.
        old, new: which of them have something for each place of a grid, at the size that they were trained at and at
            the one that they are wanted for.
        how: the source's conventions.

    Raises:
        InputError: an array that no source says how to resample.
    """
    changed = {
        name: RESAMPLERS[kind](arrays[name], grid, new[name][1], getattr(how, kind, ""))
        for name, (kind, grid) in old.items()
        if grid != new[name][1]
    }
    return {**arrays, **changed}


def resize_positions(positions: np.ndarray, old: Grid, new: Grid, convention: str = "bicubic") -> np.ndarray:
    """Resamples position embeddings.

    Args:
        positions: [patch, channel], patches row by row.
        old: (rows, columns) of the grid they were trained on.
        new: (rows, columns) of the grid they are wanted for; the same grid returns them unchanged.
        convention: how the source library resamples, a key of `CONVENTIONS`.

    Returns:
        [patch, channel] of the new grid, in the same dtype.

    Raises:
        InputError: an unknown convention, or positions that do not fill the old grid.
    """
    if convention not in CONVENTIONS:
        raise InputError(f"unknown resizing convention {convention!r}{nearest(convention, CONVENTIONS)}")
    if len(positions) != old[0] * old[1]:
        raise InputError(f"{len(positions)} position embeddings do not fill a grid of {old[0]}x{old[1]} patches")
    if old == new:
        return positions
    grid = positions.astype(np.float32).reshape(*old, -1)
    changed = CONVENTIONS[convention](grid, (*new, grid.shape[-1]))
    return np.asarray(changed).reshape(new[0] * new[1], -1).astype(positions.dtype)


def resize_distances(table: np.ndarray, old: Grid, new: Grid, convention: str = "geometric") -> np.ndarray:
    """Resamples tables of relative positions, [..., distance, head]; the last rows, of tokens off the grid, stay.

    Arguments as `resize_positions`, with a key of `DISTANCE_CONVENTIONS`.
    """
    if old == new:
        return table
    if table.ndim > 2:
        return np.stack([resize_distances(one, old, new, convention) for one in table])
    sides, wanted = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (old, new))
    grid = table[: prod(sides)].astype(np.float32).reshape(*sides, -1)
    between = np.asarray(DISTANCE_CONVENTIONS[convention](grid, (*wanted, grid.shape[-1])))
    changed = np.concatenate([between.reshape(prod(wanted), -1), table[prod(sides) :]])
    return changed.astype(table.dtype)


def keep_fixed(table: np.ndarray, old: Grid, new: Grid, convention: str = "") -> np.ndarray:
    """Refuses to resample an array for which there is no convention; arguments as `resize_positions`."""
    if old == new:
        return table
    raise InputError(
        f"this model works at its own image size alone: it was trained on a grid of {old[0]}x{old[1]} places, and"
        f" nothing says how they are resampled for {new[0]}x{new[1]}; leave image_size out"
    )


# By what an array holds: a field of `Resampling`, whose convention is the last argument.
RESAMPLERS: dict[str, Callable[[np.ndarray, Grid, Grid, str], np.ndarray]] = {
    "positions": resize_positions,  # of each patch, [patch, channel]
    "distances": resize_distances,  # between two patches, [..., distance, head]
    "fixed": keep_fixed,
    "fixed positions": keep_fixed,  # as "positions", of a source that resamples none
}


def _places(old: int, new: int) -> np.ndarray:
    """Where the `old` entries of a table stand on the scale of the `new` ones, the middle at zero."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        factor = (low + high) / 2
        if (1 - factor ** (old // 2)) / (1 - factor) > new // 2:
            high = factor
        else:
            low = factor
    reach = np.cumsum(factor ** np.arange(old // 2))
    return np.concatenate([-reach[::-1], [0], reach])

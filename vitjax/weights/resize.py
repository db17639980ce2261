"""Position embeddings of one patch grid in, those of another grid out, by the convention of their source."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from vitjax.errors import InputError, nearest

# Each takes a grid [row, column, channel] and the shape it shall have. All are torch's `interpolate` in other words.
CONVENTIONS: dict[str, Callable[[np.ndarray, tuple[int, ...]], jax.Array]] = {
    "bicubic": partial(jax.image.resize, method="cubic", antialias=True),  # timm
    "bilinear": partial(jax.image.resize, method="linear", antialias=False),  # timm, for FlexiViT
}


def resize_positions(
    positions: np.ndarray, old: tuple[int, int], new: tuple[int, int], convention: str = "bicubic"
) -> np.ndarray:
    """Resamples position embeddings once, when a model is loaded for another image size.

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
    resized = CONVENTIONS[convention](grid, (*new, grid.shape[-1]))
    return np.asarray(resized).reshape(new[0] * new[1], -1).astype(positions.dtype)

"""Means over a token's neighbours on a grid, weighted by where these stand: the matrices P of DTN.

A head weighs a source at offset d from the token that reads it by the softmax of `linear · d + square · |d|²`. The
exponential of a sum over axes is a product of one factor for each, and so is what it is divided by: P is the Kronecker
product of one small matrix for each axis, by which the mean is taken axis after axis at a fraction of the operations.
"""

from math import isqrt, prod

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Grid = tuple[int, ...]  # (rows, columns), or (places,) of a sequence
Along = list[Float[Array, "*head source reader"]]  # of each axis
STEEPNESS = -1.0  # the factor of |d|² at first
LEAST = 1e-15  # mass of neighbours below which a token counts as without any


def beginning(heads: int, rank: int) -> np.ndarray:
    """The factors that heads begin with, [head, term]: each looks at one offset of a square around the token.

    The terms are those of the offset's last axis first, then that of its square: (right, down, |d|²) on a grid of rows
    and columns. A head that is to look at D has 2D and -1, so that its scores are -|d - D|² and a constant. Heads
    beyond the largest square (on a line there are none) have zeros: they see all places alike.
    """
    side = heads if rank == 1 else isqrt(heads)
    if side**rank > heads or rank > 2:
        raise ValueError(f"{rank} axes")
    found = np.zeros((heads, rank + 1), np.float32)
    centred = np.stack(np.unravel_index(np.arange(side**rank), (side,) * rank), axis=1) - (side - 1) / 2
    found[: side**rank] = np.concatenate([2 * centred, np.full((side**rank, 1), STEEPNESS)], axis=1)
    return found


def along(terms: Float[Array, "head term"], grid: Grid) -> Along:
    """The matrices of each axis of the grid, whose columns sum to 1 over the sources."""
    *linear, square = terms.T
    found = []
    for factor, side in zip(reversed(linear), grid, strict=True):
        off = jnp.asarray(np.arange(side) - np.arange(side)[:, None], terms.dtype)  # reader - source
        found.append(jax.nn.softmax(factor[:, None, None] * off + square[:, None, None] * off**2, axis=1))
    return found


def whole(terms: Float[Array, "head term"], grid: Grid) -> Float[Array, "head source reader"]:
    """The matrix P of all places, whose columns sum to 1 over the sources.

    It is what the product of those of each axis is, but its axes are of hundreds of places: so an array lies as
    products read it.
    """
    at = np.stack(np.unravel_index(np.arange(prod(grid)), grid), axis=1)
    off = at - at[:, None]  # [source, reader, axis]
    each = np.concatenate([off[..., ::-1], np.square(off).sum(axis=2, keepdims=True)], axis=2)
    scores = sum(terms[:, term, None, None] * jnp.asarray(each[..., term], terms.dtype) for term in range(len(terms.T)))
    return jax.nn.softmax(scores, axis=1)


def spread(x: Float[Array, "batch place channel"], parts: Along) -> Array:
    """The weighted means over all places, of each place, by the matrices of each axis or by one for all.

    The channels are split into as many heads as the matrices have. Each head is cut out, so that no axis of heads
    stands between those of places and channels: so arrays lie as products read them, on CPUs and on TPUs.
    """
    heads = jnp.split(x, len(parts[0]), axis=-1)
    by = _along_axes if len(parts) > 1 else _at_once
    return jnp.concatenate([by(part, [matrix[head] for matrix in parts]) for head, part in enumerate(heads)], axis=-1)


def _at_once(x: Array, matrices: Along) -> Array:
    return jnp.einsum("bsc,sr->brc", x, *matrices)


def _along_axes(x: Array, matrices: Along) -> Array:
    """Axis after axis, the first with the others among the channels, later ones with those before in the batch."""
    before, shape = len(x), x.shape
    for matrix in matrices:
        side = len(matrix)
        x = x.reshape(before, side, -1)
        # The matrix is in each of the batch: products of one with all of it would have x copied into another order.
        x = jnp.einsum("bsx,bsr->brx", x, jnp.broadcast_to(matrix, (before, side, side)))
        before *= side
    return x.reshape(shape)

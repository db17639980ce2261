"""Means over a token's neighbours on a grid, weighted by where these stand: the matrices P of DTN.

A head weighs a source at offset d from the token that reads it by the softmax of `linear · d + square · |d|²`. The
exponential of a sum over axes is a product of one factor for each, and so is what it is divided by: P is the Kronecker
product of one small matrix for each axis, by which the mean is taken axis after axis at a fraction of the operations.
"""

from math import isqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Grid = tuple[int, ...]  # (rows, columns), or (places,) of a sequence
Along = list[Float[Array, "head source reader"]]  # of each axis
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


def dense(parts: Along) -> Float[Array, "head source reader"]:
    """The matrix P of all places, their product."""
    whole, *others = parts
    for part in others:
        heads, sources, readers = len(whole), whole.shape[1] * part.shape[1], whole.shape[2] * part.shape[2]
        whole = jnp.einsum("hsr,htq->hstrq", whole, part).reshape(heads, sources, readers)
    return whole


def spread(x: Float[Array, "batch place head channel"], parts: Along) -> Array:
    """The weighted means over all places, of each place, by the matrices of each axis or by one for all."""
    sides = tuple(part.shape[1] for part in parts)
    found = x.reshape(len(x), *sides, *x.shape[2:])
    for axis, part in enumerate(parts):
        before, after = "pq"[:axis], "rs"[: len(parts) - 1 - axis]
        found = jnp.einsum(f"b{before}u{after}hc,huw->b{before}w{after}hc", found, part)
    return found.reshape(x.shape)

"""Finds the units most like each unit and near-repeats, by a vector of each, and maps like units near like ones.

What the vectors are decides what "like" means: embeddings of the units' pictures, or their scores over photographs.
Likeness is the cosine of the angle between two vectors. A vector without a direction (all zero, or with a number in it
that is not finite) is like nothing: it has no neighbours, repeats nothing, and lies in a corner of the map.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from vitjax.models.core.surroundings import standard

_NONE = -2.0  # below every cosine
_CELLS = 2**25  # of the matrix of cosines that is held at a time
_FEW = 2000  # points whose map takes one thread: several wait for each other longer than they work
_BARNES_HUT_LEAST = 4  # scikit-learn's Barnes-Hut wants more points than it has neighbours to look at


@dataclass(frozen=True)
class Neighbour:
    """A unit that is like another: its number, the cosine of the two (-1 to 1), whether both are of one tap."""

    unit: int
    likeness: float
    same_layer: bool


@dataclass(frozen=True, eq=False)
class Nearest:
    """The units most like each unit.

    Attributes:
        unit: numbers, first those of the same layer, then those of others, each most alike first; -1 for none.
        likeness: cosines, NaN for none.
    """

    unit: Int[np.ndarray, "unit 2*k"]
    likeness: Float[np.ndarray, "unit 2*k"]

    def of(self, number: int) -> list[Neighbour]:
        """The neighbours of one unit, in its layer and in others, most alike first."""
        half = self.unit.shape[1] // 2
        found = [
            Neighbour(int(unit), float(likeness), place < half)
            for place, (unit, likeness) in enumerate(zip(self.unit[number], self.likeness[number], strict=True))
            if unit >= 0
        ]
        return sorted(found, key=lambda near: (-near.likeness, near.unit))


def nearest(vectors: Float[np.ndarray, "unit axis"], layers: Sequence[int] | np.ndarray, k: int = 8) -> Nearest:
    """Finds for every unit the `k` most alike units of the same layer and the `k` most alike of other layers; exact.

    A jitted pass over blocks of the matrix of all cosines; of equal ones the lower number comes first.

    Args:
        vectors: one a unit.
        layers: a number of its layer for each unit.
        k: how many of each kind; fewer where there are fewer.
    """
    directions, known = _directions(vectors)
    count = len(directions)
    k = min(k, count)
    rows = _rows(count)
    place, mine = jnp.asarray(known), jnp.asarray(np.unique(layers, return_inverse=True)[1])
    held = jnp.asarray(directions)
    unit, likeness = np.full((count, 2 * k), -1, np.int32), np.full((count, 2 * k), np.nan, np.float32)
    for start in _starts(count, rows):
        block = slice(start, start + rows)
        values, numbers = (np.asarray(part) for part in _top(held, place, mine, start, rows=rows, k=k))
        there = values > _NONE
        unit[block], likeness[block] = np.where(there, numbers, -1), np.where(there, values, np.nan)
    return Nearest(unit, likeness)


def repeats(vectors: Float[np.ndarray, "unit axis"], threshold: float = 0.95) -> list[int | None]:
    """Finds for each unit the lowest-numbered unit that it nearly repeats, or None.

    Unit n nearly repeats unit m when m < n and the cosine of the two is at least `threshold`. So each pair is judged
    once, by the two alone: no mark depends on other pairs or on the order of work. A unit that others repeat may itself
    repeat an earlier one; without the marked units no near-repeats are left.
    """
    directions, _ = _directions(vectors)
    count = len(directions)
    rows = _rows(count)
    held = jnp.asarray(directions)
    found: list[int | None] = [None] * count
    for start in _starts(count, rows):
        hit, first = (np.asarray(part) for part in _earlier(held, start, threshold, rows=rows))
        for row in np.flatnonzero(hit):
            found[start + row] = int(first[row])
    return found


def spread_out(vectors: Float[np.ndarray, "unit axis"], seed: int = 0) -> Float[np.ndarray, "unit 2"]:
    """A t-SNE map (van der Maaten and Hinton 2008) of the directions of the vectors, started from their PCA.

    Repeatable for a seed. scikit-learn's Barnes-Hut: minutes for tens of thousands of units.
    """
    directions, known = _directions(vectors)
    points = np.zeros((len(directions), 2), np.float32)
    points[known] = _tsne(directions[known], seed)
    if known.any() and not known.all():
        low, high = points[known].min(0), points[known].max(0)
        points[~known] = high + 0.1 * (high - low) + 1e-3
    return points


def _tsne(directions: Float[np.ndarray, "unit axis"], seed: int) -> Float[np.ndarray, "unit 2"]:
    from sklearn.manifold import TSNE  # half a second to import
    from threadpoolctl import threadpool_limits

    start = _principal(directions)
    count = len(directions)
    if count < _BARNES_HUT_LEAST or not start.any():  # too few to have neighbourhoods, or all in one point
        return start
    perplexity = min(30.0, (count - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init=start, random_state=seed, learning_rate="auto")
    with threadpool_limits(1 if count < _FEW else None):
        return tsne.fit_transform(directions)


def _principal(directions: Float[np.ndarray, "unit axis"]) -> Float[np.ndarray, "unit 2"]:
    """The two principal coordinates, the first with a standard deviation of 1e-4, as t-SNE wants its start."""
    if len(directions) < 2:
        return np.zeros((len(directions), 2), np.float32)
    centred = np.asarray(directions, np.float64) - directions.mean(0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, :-3:-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(0), range(axes.shape[1])] < 0, -1, 1)  # eigh leaves the sign open
    found = np.zeros((len(directions), 2))
    found[:, : axes.shape[1]] = centred @ axes
    deviation = found[:, 0].std()
    return (found / deviation * 1e-4 if deviation > 1e-9 else np.zeros_like(found)).astype(np.float32)


def _directions(
    vectors: Float[np.ndarray, "unit axis"],
) -> tuple[Float[np.ndarray, "unit axis"], Bool[np.ndarray, " unit"]]:
    """The vectors at length 1, zero where there is no direction; and where there is one."""
    vectors = np.asarray(vectors, np.float32)
    known = np.isfinite(vectors).all(1)
    vectors = np.where(known[:, None], vectors, 0)
    largest = np.abs(vectors).max(1, initial=0)
    known &= largest > 0
    vectors = vectors / np.where(known, largest, 1)[:, None]  # so that no square under- or overflows
    return vectors / np.where(known, np.linalg.norm(vectors, axis=1), 1)[:, None], known


def _rows(count: int) -> int:
    return min(count, max(8, min(1024, _CELLS // max(count, 1))))


def _starts(count: int, rows: int) -> list[int]:
    """Where blocks of equal size begin; the last reaches back so as to end with the last unit."""
    return [min(start, count - rows) for start in range(0, count, max(rows, 1))]


@standard()
@functools.partial(jax.jit, static_argnames=("rows", "k"))
def _top(
    held: Float[Array, "unit axis"], known: Bool[Array, " unit"], layers: Int[Array, " unit"], start: int, *, rows, k
) -> tuple[Float[Array, "row 2*k"], Int[Array, "row 2*k"]]:
    """The cosines and numbers of the units most like those of a block."""
    cosines, numbers = _block(held, start, rows)
    cut = lambda of: jax.lax.dynamic_slice_in_dim(of, start, rows)
    allowed = known & cut(known)[:, None] & (numbers[:, None] != jnp.arange(len(held)))
    same = cut(layers)[:, None] == layers
    within = jax.lax.top_k(jnp.where(allowed & same, cosines, _NONE), k)
    beyond = jax.lax.top_k(jnp.where(allowed & ~same, cosines, _NONE), k)
    return tuple(jnp.concatenate(pair, 1) for pair in zip(within, beyond, strict=True))


@standard()
@functools.partial(jax.jit, static_argnames="rows")
def _earlier(
    held: Float[Array, "unit axis"], start: int, threshold: float, *, rows: int
) -> tuple[Bool[Array, " row"], Int[Array, " row"]]:
    """Whether units of a block repeat an earlier one, and which first."""
    cosines, numbers = _block(held, start, rows)
    hits = (cosines >= threshold) & (jnp.arange(len(held)) < numbers[:, None])
    return hits.any(1), hits.argmax(1)


def _block(
    held: Float[Array, "unit axis"], start: int, rows: int
) -> tuple[Float[Array, "row unit"], Int[Array, " row"]]:
    block = jax.lax.dynamic_slice_in_dim(held, start, rows)
    cosines = jnp.clip(jnp.matmul(block, held.T, precision="highest"), -1, 1)
    return cosines, start + jnp.arange(rows)

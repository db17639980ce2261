"""Correlates every unit of one model with every unit of another, in one pass with sums in float64."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment


class Products(NamedTuple):
    """Sums over samples, which are images or the places of a grid: of both sides, their squares and products."""

    samples: int
    ours: Float[np.ndarray, " unit"]
    theirs: Float[np.ndarray, " other"]
    our_squares: Float[np.ndarray, " unit"]
    their_squares: Float[np.ndarray, " other"]
    both: Float[np.ndarray, "unit other"]


def products(ours: Float[np.ndarray, "sample unit"], theirs: Float[np.ndarray, "sample other"]) -> Products:
    """Adds up some samples."""
    x, y = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return Products(len(x), x.sum(0), y.sum(0), (x**2).sum(0), (y**2).sum(0), x.T @ y)


def merge(first: Products | None, second: Products) -> Products:
    """The sums over the samples of both."""
    return second if first is None else Products(*(a + b for a, b in zip(first, second, strict=True)))


def pearson(seen: Products) -> Float[np.ndarray, "unit other"]:
    """The correlation of each unit with each other one; 0 for a unit that is the same everywhere."""
    spread = lambda total, squares: np.sqrt(np.maximum(squares - total**2 / seen.samples, 0))
    ours, theirs = spread(seen.ours, seen.our_squares), spread(seen.theirs, seen.their_squares)
    moved = lambda spread, squares: spread > 1e-7 * np.sqrt(squares)
    known = moved(ours, seen.our_squares)[:, None] & moved(theirs, seen.their_squares)
    found = seen.both - np.outer(seen.ours, seen.theirs) / seen.samples
    return np.clip(np.divide(found, np.outer(ours, theirs), out=np.zeros_like(found), where=known), -1, 1)


def mutual(correlation: Float[np.ndarray, "unit other"]) -> Bool[np.ndarray, " unit"]:
    """Whether the best match of each unit has it for its own best match."""
    return correlation.argmax(0)[correlation.argmax(1)] == np.arange(len(correlation))


def assigned(correlation: Float[np.ndarray, "unit other"]) -> Int[np.ndarray, " unit"]:
    """Which other unit each is given so that none is given twice and the correlations add up to most (Kuhn 1955, the
    Hungarian method); -1 where there are fewer of the others."""
    found = np.full(len(correlation), -1)
    rows, columns = linear_sum_assignment(correlation, maximize=True)
    found[rows] = columns
    return found

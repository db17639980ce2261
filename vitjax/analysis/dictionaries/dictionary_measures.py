"""Measures of dictionaries of features, by one definition each, on arrays or on the sums that a pass keeps of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from vitjax.analysis.scores.density import DENSE

MATCHED = 8192  # latents whose best pairing is found; of more it takes too long
TINY = 1e-12  # a token's squared distance from the mean is at least
ROWS = 1024  # latents compared with all others at once


@dataclass(frozen=True)
class Sums:
    """Sums over tokens x and what a dictionary makes of them, x^; float64.

    Attributes:
        tokens: how many there are.
        error: of |x - x^|^2.
        spread: of |x - mean x|^2, about the mean vector.
        inner, length: of x · x^, and of |x^|^2.
        cosine: of the cosine of x and x^.
        share: of |x - x^|^2 / |x - mean x|^2, each token's own.
        active, value: of each latent, how many tokens it is not 0 at, and the sum of what it is there.
    """

    tokens: int
    error: float
    spread: float
    inner: float
    length: float
    cosine: float
    share: float
    active: Float[np.ndarray, " latent"]
    value: Float[np.ndarray, " latent"]


def sums(
    x: Float[np.ndarray, "token channel"],
    again: Float[np.ndarray, "token channel"],
    z: Float[np.ndarray, "token latent"],
) -> Sums:
    """The sums of tokens, of what is made of them, and of their latents."""
    x, again, z = (np.asarray(one, np.float64) for one in (x, again, z))
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(again, axis=1)
    inner = (x * again).sum(axis=1)
    cosine = inner / np.where(norms == 0, np.inf, norms)
    error, spread = ((x - other) ** 2 for other in (again, x.mean(axis=0)))
    share = error.sum(axis=1) / np.maximum(spread.sum(axis=1), TINY)
    totals = (error.sum(), spread.sum(), inner.sum(), (again**2).sum(), cosine.sum(), share.sum())
    return Sums(len(x), *map(float, totals), (z != 0).sum(axis=0).astype(np.float64), z.sum(axis=0))


def overall(of: Sums) -> dict[str, float]:
    """What is said of a dictionary as a whole.

    nmse: sum |x - x^|^2 / sum |x - mean x|^2; explained: 1 - nmse; nmse_token: mean over tokens of the same ratio of
    each alone, where a few of huge norm do not count for more than others; l0: latents of a token that are not 0;
    cosine: mean over tokens of that of x and x^; shrinkage: sum x · x^ / sum |x^|^2, 1 where a longer x^ would be no
    better; dead: share of latents that are 0 at every token; dense: share of those active at more than one token in a
    hundred.
    """
    density = of.active / of.tokens
    nmse = of.error / of.spread
    return {
        "nmse": nmse,
        "explained": 1 - nmse,
        "nmse_token": of.share / of.tokens,
        "l0": float(of.active.sum() / of.tokens),
        "cosine": of.cosine / of.tokens,
        "shrinkage": of.inner / of.length if of.length else 0.0,
        "dead": float((density == 0).mean()),
        "dense": float((density > DENSE).mean()),
    }


def when_active(of: Sums) -> Float[np.ndarray, " latent"]:
    """The mean of each latent over the tokens at which it is not 0; NaN for a dead one."""
    return np.where(of.active > 0, of.value / np.maximum(of.active, 1), np.nan)


def recovered(whole: float, rebuilt: float, without: float) -> float:
    """Which share of the loss that ablation costs a dictionary gives back: (without - rebuilt) / (without - whole).

    Args:
        whole: loss of the model as it is.
        rebuilt: with x^ in place of x.
        without: with x ablated, by zero or by its mean.
    """
    return (without - rebuilt) / (without - whole) if without != whole else float("nan")


def coherence(rows: Float[np.ndarray, "latent channel"]) -> Float[np.ndarray, " latent"]:
    """The greatest |cosine| of each latent's decoder row with another's."""
    return np.concatenate([abs(part).max(axis=1) for part in _cosines(rows, rows, apart=True)])


def nearest(
    rows: Float[np.ndarray, "latent channel"], others: Float[np.ndarray, "other channel"]
) -> Float[np.ndarray, " latent"]:
    """The greatest cosine of each latent's decoder row with one of another dictionary's."""
    return np.concatenate([part.max(axis=1) for part in _cosines(rows, others)])


def stability(rows: Float[np.ndarray, "latent channel"], others: Float[np.ndarray, "other channel"]) -> float:
    """The mean cosine of decoder rows of two dictionaries, paired one to one so that it is greatest (Hungarian).

    NaN where one has more than `MATCHED` latents.
    """
    if max(len(rows), len(others)) > MATCHED:
        return float("nan")
    cosines = np.concatenate([*_cosines(rows, others)])
    return float(cosines[linear_sum_assignment(cosines, maximize=True)].mean())


def shared(
    place: Int[np.ndarray, "latent k"], there: Bool[np.ndarray, "latent k"], images: int
) -> Float[np.ndarray, " latent"]:
    """The greatest Jaccard index of each latent's set of best images with another's; NaN where it has none.

    Args:
        place: of its best images in the data set.
        there: which of these it is active on at all.
        images: how many there are.
    """
    latent, column = np.nonzero(there)
    member = csr_array((np.ones(len(latent), np.float32), (latent, place[latent, column])), (len(place), images))
    size, found = there.sum(axis=1).astype(np.float32), []
    for first in range(0, len(place), ROWS):
        both = (member[first : first + ROWS] @ member.T).toarray()
        either = size[first : first + ROWS, None] + size - both
        jaccard = both / np.maximum(either, 1)
        jaccard[np.arange(len(jaccard)), np.arange(first, first + len(jaccard))] = 0
        found.append(jaccard.max(axis=1))
    return np.where(size > 0, np.concatenate(found), np.nan)


def _cosines(rows: np.ndarray, others: np.ndarray, apart: bool = False) -> Iterator[np.ndarray]:
    """Cosines of some rows after others with all of `others`; those of a row with itself are 0 if they are `apart`."""
    unit = lambda some: some / np.maximum(np.linalg.norm(some, axis=1, keepdims=True), 1e-12)
    rows, others = unit(np.asarray(rows, np.float32)), unit(np.asarray(others, np.float32))
    for first in range(0, len(rows), ROWS):
        part = rows[first : first + ROWS] @ others.T
        if apart:
            part[np.arange(len(part)), np.arange(first, first + len(part))] = 0
        yield part

"""Measures how alike the images are that a unit is active on: the monosemanticity score of Pach et al. 2025.

With a the unit's scores, brought to [0, 1] by their minimum and maximum, and e the embeddings of the images by another
model, MS = sum over pairs i < j of a_i a_j cos(e_i, e_j) / sum over pairs of a_i a_j (arXiv 2504.02821). With ê = e/|e|
it is (|Σ a ê|² - Σ a²) / ((Σ a)² - Σ a²), and the scaling can wait until minimum and maximum are known: one pass over
the images, with sums in float64 that add up over batches, devices and hosts.

Whatever the unit, pairs of images in random order have the mean cosine of all pairs. Of CLIP and DINO that is far above
0, so `above_chance` says how much of the way from it to 1 a unit has come.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vitjax.errors import InputError

_LEAST = 1e-12  # of the share of pairs among all products: below it one image alone is active


class Sums(NamedTuple):
    """What has been seen of the units of a tap.

    Attributes:
        images: how many.
        weighted: Σ a ê.
        plain: Σ ê.
        first, second: Σ a and Σ a².
        low, high: the least and the highest score.
    """

    images: int
    weighted: Float[np.ndarray, "unit channel"]
    plain: Float[np.ndarray, " channel"]
    first: Float[np.ndarray, " unit"]
    second: Float[np.ndarray, " unit"]
    low: Float[np.ndarray, " unit"]
    high: Float[np.ndarray, " unit"]


def directions(embeddings: Float[np.ndarray, "image channel"]) -> Float[np.ndarray, "image channel"]:
    """The embeddings at length 1, in float64.

    Raises:
        InputError: one is not finite, or has no direction.
    """
    wide = np.asarray(embeddings, np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise InputError("the encoder gives an image an embedding that is 0 or not finite: it cannot be compared")
    return wide / lengths


def sums(scores: Float[np.ndarray, "image unit"], embeddings: Float[np.ndarray, "image channel"]) -> Sums:
    """Adds up some images.

    Args:
        scores: the unit's activation on each image, averaged over tokens.
        embeddings: of the images, of any length; errors as of `directions`.
    """
    wide, toward = np.asarray(scores, np.float64), directions(embeddings)
    return Sums(
        images=len(wide),
        weighted=wide.T @ toward,
        plain=toward.sum(axis=0),
        first=wide.sum(axis=0),
        second=(wide**2).sum(axis=0),
        low=wide.min(axis=0, initial=np.inf),
        high=wide.max(axis=0, initial=-np.inf),
    )


def merge(first: Sums | None, second: Sums) -> Sums:
    """The sums over the images of both."""
    if first is None:
        return second
    added = (a + b for a, b in zip(first[:5], second[:5], strict=True))
    return Sums(*added, np.minimum(first.low, second.low), np.maximum(first.high, second.high))


def monosemanticity(seen: Sums) -> Float[np.ndarray, " unit"]:
    """MS of each unit, -1 to 1; NaN for a unit that is the same on all images, or above its minimum on one alone."""
    span = seen.high - seen.low
    moved = span > 0
    span = np.where(moved, span, 1)
    weighted = (seen.weighted - seen.low[:, None] * seen.plain) / span[:, None]
    first = (seen.first - seen.images * seen.low) / span
    second = (seen.second - 2 * seen.low * seen.first + seen.images * seen.low**2) / span**2
    pairs = first**2 - second
    known = moved & (pairs > _LEAST * first**2)
    found = np.full(len(span), np.nan)
    return np.divide((weighted**2).sum(axis=1) - second, pairs, out=found, where=known)


def mean_cosine(seen: Sums) -> float:
    """The mean cosine of all pairs of images, which is the expectation of MS over all orders of the images; NaN of one
    image."""
    count = seen.images
    return float((seen.plain @ seen.plain - count) / (count * (count - 1))) if count > 1 else float("nan")


def above_chance(score: Float[np.ndarray, "*n"], chance: float) -> Float[np.ndarray, "*n"]:
    """(score - chance) / (1 - chance): 0 for what any images in random order have, 1 for images that are all alike."""
    return (score - chance) / (1 - chance) if chance < 1 else np.full_like(score, np.nan)

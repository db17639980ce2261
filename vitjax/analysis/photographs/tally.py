"""Tallies what the units of a tap do on natural images, batch after batch, in a state of fixed size.

Tallies of different images merge into the tally of all of them, whatever the batches, devices and hosts were.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

BINS, STEP, SCALE = 80, 0.25, 0.01  # of the histogram, see `edges`
DIGIT = 2**30  # counts that outgrow int32 have two digits, the higher first
NOWHERE = np.iinfo(np.int32).max  # the place of an entry that no image fills


class Tally(NamedTuple):
    """What the units of one tap have shown so far.

    The score of an image for a unit is the unit's mean over the tokens that count; its peak is the maximum.

    Attributes:
        score, place, patch, peak: the k images with the highest scores, best first, equal ones in the order of the
            data set; the token that fired most, counted among those that count; -inf and NOWHERE where no image is.
        norm: of that token, over the median norm of its image's patches, as `outliers.stream_ratios` says; NaN where
            there are no tokens.
        images: how many were seen.
        mean, squares: the mean score, and the sum of squared distances from it.
        positive, positive_squares: sums of the scores above 0 and of their squares.
        active: the number of tokens above 0, as `counted` reads it.
        histogram: scores counted in the bins of `edges`.
        sample, sample_patch: score and patch of the images that were chosen beforehand; NaN where not seen.
    """

    score: Float[Array, "unit k"]
    place: Int[Array, "unit k"]
    patch: Int[Array, "unit k"]
    peak: Float[Array, "unit k"]
    norm: Float[Array, "unit k"]
    images: Int[Array, ""]
    mean: Float[Array, " unit"]
    squares: Float[Array, " unit"]
    positive: Float[Array, " unit"]
    positive_squares: Float[Array, " unit"]
    active: Int[Array, "unit 2"]
    histogram: Int[Array, "unit bin"]
    sample: Float[Array, "image unit"]
    sample_patch: Int[Array, "image unit"]


def empty(units: int, k: int, sample: int, tokens: int = 0) -> Tally:
    """The tally of no images, for `k` best images, `sample` chosen ones and as many tokens of each."""
    floats = np.zeros(units, np.float32)
    return Tally(
        score=np.full((units, k), -np.inf, np.float32),
        place=np.full((units, k), NOWHERE, np.int32),
        patch=np.full((units, k), -1, np.int32),
        peak=np.full((units, k), -np.inf, np.float32),
        norm=np.full((units, k), np.nan, np.float32),
        images=np.int32(0),
        mean=floats,
        squares=floats,
        positive=floats,
        positive_squares=floats,
        active=np.zeros((units, 2), np.int32),
        histogram=np.zeros((units, BINS), np.int32),
        sample=np.full((sample, units), np.nan, np.float32),
        sample_patch=np.full((sample, units), -1, np.int16 if tokens <= 2**15 else np.int32),
    )


def edges() -> Float[np.ndarray, " edge"]:
    """The inner edges of the histogram's bins: even steps of asinh(score / 0.01), so narrow at 0, wide far out."""
    return SCALE * np.sinh(STEP * np.arange(-BINS // 2 + 1, BINS // 2))


def add(
    tally: Tally,
    values: Float[Array, "image token unit"],
    place: Int[Array, " image"],
    slot: Int[Array, " image"],
    norms: Float[Array, "image token"] | None = None,
) -> Tally:
    """Adds one more batch to a tally.

    Args:
        tally: of images that all come before these in the data set.
        values: activations at the tokens that count.
        place: of each image in the data set, ascending; -1 for a row without an image.
        slot: of each image in the sample; any number outside it for the others.
        norms: of the tokens that count, as of `Tally.norm`.
    """
    values, there = values.astype(jnp.float32), place >= 0
    score, peak = values.mean(axis=1), values.max(axis=1)
    patch = _first(values == peak[:, None])
    top, index = lax.top_k(jnp.concatenate([tally.score, jnp.where(there[:, None], score, -jnp.inf).T], axis=1),
                           tally.score.shape[1])  # fmt: skip
    pick = lambda old, new: jnp.take_along_axis(jnp.concatenate([old, new], axis=1), index, axis=1)
    placed = jnp.where(there, place, NOWHERE)
    seen = there[:, None].astype(jnp.float32)
    norms = jnp.full(values.shape[:2], jnp.nan, jnp.float32) if norms is None else norms
    images, mean, squares = _moments(tally, score, seen)
    positive = jnp.maximum(score, 0) * seen
    above = (values > 0).astype(jnp.float32).sum(axis=1) * seen  # float32 holds each image's number exactly
    active = tally.active[:, 1] + above.astype(jnp.int32).sum(axis=0)
    bins = jnp.searchsorted(edges().astype(np.float32), score, side="right", method="compare_all")
    units = jnp.arange(score.shape[1])
    return Tally(
        score=top,
        place=pick(tally.place, jnp.broadcast_to(placed, (len(units), len(place)))),
        patch=pick(tally.patch, patch.T),
        peak=pick(tally.peak, peak.T),
        norm=pick(tally.norm, jnp.take_along_axis(norms, patch, axis=1).T),
        images=images,
        mean=mean,
        squares=squares,
        positive=tally.positive + positive.sum(axis=0),
        positive_squares=tally.positive_squares + (positive**2).sum(axis=0),
        active=jnp.stack([tally.active[:, 0] + active // DIGIT, active % DIGIT], axis=1),
        histogram=tally.histogram.at[units, bins].add(there[:, None].astype(jnp.int32)),
        sample=tally.sample.at[jnp.where(there, slot, -1)].set(score, mode="drop", wrap_negative_indices=False),
        sample_patch=tally.sample_patch.at[jnp.where(there, slot, -1)].set(
            patch.astype(tally.sample_patch.dtype), mode="drop", wrap_negative_indices=False
        ),
    )


def counted(digits: Int[np.ndarray, "unit 2"]) -> Int[np.ndarray, " unit"]:
    """The numbers that a count of two digits stands for, int64."""
    high, low = np.asarray(digits).astype(np.int64).T
    return high * DIGIT + low


def _first(hit: Bool[Array, "image token unit"]) -> Int[Array, "image unit"]:
    """The first token that is hit. XLA's own argmax takes three times as long on a CPU."""
    tokens = jnp.arange(hit.shape[1], dtype=jnp.float32)[:, None]
    return jnp.where(hit, tokens, jnp.inf).min(axis=1).astype(jnp.int32)


def _moments(tally: Tally, score: jax.Array, counted: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Count, mean and squared distances of two sets together (Chan, Golub and LeVeque 1983)."""
    new = counted.sum()
    mean = (score * counted).sum(axis=0) / jnp.maximum(new, 1)
    squares = ((score - mean) ** 2 * counted).sum(axis=0)
    old = tally.images.astype(jnp.float32)
    share = new / jnp.maximum(old + new, 1)
    delta = mean - tally.mean
    return (
        tally.images + new.astype(jnp.int32),
        tally.mean + delta * share,
        tally.squares + squares + delta**2 * old * share,
    )


def merge(tallies: Sequence[Tally]) -> Tally:
    """The tally of all images together, in NumPy."""
    if len(tallies) == 1:
        return Tally(*map(np.asarray, tallies[0]))
    first, second = Tally(*map(np.asarray, tallies[0])), merge(tallies[1:])
    k = first.score.shape[1]
    join = lambda name: np.concatenate([getattr(first, name), getattr(second, name)], axis=1)
    order = np.lexsort((join("place"), -join("score")), axis=1)[:, :k]
    best = {name: np.take_along_axis(join(name), order, axis=1) for name in ("score", "place", "patch", "peak", "norm")}
    counts = first.images.astype(np.float64), second.images.astype(np.float64)
    share = counts[1] / max(counts[0] + counts[1], 1)
    delta = second.mean.astype(np.float64) - first.mean
    squares = second.squares.astype(np.float64) + first.squares + delta**2 * counts[0] * share
    added = {
        name: getattr(first, name) + getattr(second, name)
        for name in ("images", "positive", "positive_squares", "histogram")
    }
    active = counted(first.active) + counted(second.active)
    return Tally(
        **best,
        **added,
        active=np.stack(np.divmod(active, DIGIT), axis=1).astype(np.int32),
        mean=(first.mean + delta * share).astype(np.float32),
        squares=squares.astype(np.float32),
        sample=np.where(np.isnan(first.sample), second.sample, first.sample),
        sample_patch=np.where(np.isnan(first.sample), second.sample_patch, first.sample_patch),
    )

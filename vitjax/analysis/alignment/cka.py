"""Compares layers by linear CKA (Kornblith et al. 2019, arXiv 1905.00414), in one pass with sums in float64.

With X and Y the features of the same n images, CKA = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)) and HSIC = |X̃ᵀY|², X̃
centred. That is biased: where there are not many more images than features, anything is like anything. The unbiased
estimator of HSIC (Song et al. 2012; Nguyen et al. 2021, arXiv 2010.15327) is wanted below 5000 images or so. With the
Gram matrices' diagonals left out it is made of the same kind of sums, so it is streamed, too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Moments(NamedTuple):
    """Sums over images of the features x of all layers side by side.

    Attributes:
        images: how many.
        plain: Σ x.
        cross: Σ x xᵀ.
        lengths: Σ |x_l|² of each layer's features.
        weighted: Σ x |x_l|².
        both: Σ |x_l|² |x_m|².
    """

    images: int
    plain: Float[np.ndarray, " feature"]
    cross: Float[np.ndarray, "feature feature"]
    lengths: Float[np.ndarray, " layer"]
    weighted: Float[np.ndarray, "feature layer"]
    both: Float[np.ndarray, "layer layer"]


def moments(layers: Sequence[Float[np.ndarray, "image feature"]]) -> Moments:
    """Adds up some images."""
    wide = [np.asarray(one, np.float64) for one in layers]
    features, lengths = np.concatenate(wide, axis=1), np.stack([(one**2).sum(1) for one in wide], axis=1)
    return Moments(
        images=len(features),
        plain=features.sum(0),
        cross=features.T @ features,
        lengths=lengths.sum(0),
        weighted=features.T @ lengths,
        both=lengths.T @ lengths,
    )


def merge(first: Moments | None, second: Moments) -> Moments:
    """The sums over the images of both."""
    return second if first is None else Moments(*(a + b for a, b in zip(first, second, strict=True)))


def linear_cka(seen: Moments, widths: Sequence[int]) -> Float[np.ndarray, "layer layer"]:
    """CKA of all pairs of layers with so many features each; NaN with a layer that is the same for all images."""
    centred = seen.cross - np.outer(seen.plain, seen.plain) / seen.images
    return _normalised(_blocks(centred**2, widths), 1e-12 * _blocks(seen.cross**2, widths))


def unbiased_cka(seen: Moments, widths: Sequence[int]) -> Float[np.ndarray, "layer layer"]:
    """The same by the unbiased estimator of HSIC, which is 0 in the mean of features that have nothing in common; NaN
    of fewer than 4 images."""
    n = seen.images
    if n < 4:
        return np.full((len(widths), len(widths)), np.nan)
    trace = _blocks(seen.cross**2, widths) - seen.both
    total = np.add.reduceat(seen.plain**2, _starts(widths)) - seen.lengths
    rows = _blocks(seen.cross * np.outer(seen.plain, seen.plain), widths)
    beside = np.add.reduceat(seen.plain[:, None] * seen.weighted, _starts(widths), axis=0)
    product = rows - beside - beside.T + seen.both
    found = trace + np.outer(total, total) / ((n - 1) * (n - 2)) - 2 * product / (n - 2)
    return _normalised(found, 1e-12 * trace)


def _starts(widths: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *widths[:-1]])


def _blocks(matrix: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """The sum over each pair of layers' part of the matrix."""
    return np.add.reduceat(np.add.reduceat(matrix, _starts(widths), axis=0), _starts(widths), axis=1)


def _normalised(found: np.ndarray, least: np.ndarray) -> np.ndarray:
    own = np.where(np.diag(found) > np.diag(least), np.diag(found), np.nan)
    return found / np.sqrt(np.outer(own, own))

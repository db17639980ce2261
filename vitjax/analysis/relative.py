"""Outcomes of two conditions on the same images in, what is left of the accuracy out: its share or its difference."""

import numpy as np
from jaxtyping import Float

from vitjax.analysis.accuracy import Outcome


def relative(part: Outcome, whole: Outcome, k: int) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Top-`k` of `part` over top-`k` of `whole`, and its standard error; NaN where `whole` has nothing right.

    Both judge the same images and share their luck: the error is that of a ratio of two means over one sample
    (Cochran, Sampling Techniques, 3rd edition, section 2.11).

    Args:
        part: of ranks [image, …], any further axes.
        whole: of ranks [image].
        k: how many classes count as given.
    """
    right = part.rank < k
    known = (whole.rank < k).reshape(-1, *[1] * (right.ndim - 1))
    base = known.mean() or np.nan
    ratio = right.mean(axis=0) / base
    return ratio, np.sqrt(((right - ratio * known) ** 2).mean(axis=0) / len(right)) / base


def paired(part: Outcome, whole: Outcome, k: int = 1) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Top-`k` of `part` less that of `whole`, and its standard error, image by image: arguments as of `relative`."""
    change = (part.rank < k) - (whole.rank < k).reshape(-1, *[1] * (part.rank.ndim - 1)).astype(float)
    return change.mean(axis=0), change.std(axis=0) / np.sqrt(len(change))

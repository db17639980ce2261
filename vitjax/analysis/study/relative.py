"""Ratios of two means over the same sample, with their errors: how much of one thing is left in another."""

import numpy as np
from jaxtyping import Float

from vitjax.analysis.ablations.accuracy import Outcome


def ratio_of_means(
    part: Float[np.ndarray, "sample ..."], whole: Float[np.ndarray, "sample ..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """The mean of `part` over the mean of `whole`, and its standard error; NaN where `whole` has a mean of 0.

    Both were measured on the same samples and share their luck: the error is that of a ratio of two means over one
    sample (Cochran, Sampling Techniques, 3rd edition, section 2.11).
    """
    base = whole.mean(axis=0)
    base = np.where(base == 0, np.nan, base)
    ratio = part.mean(axis=0) / base
    return ratio, np.sqrt(((part - ratio * whole) ** 2).mean(axis=0) / len(part)) / base


def relative(part: Outcome, whole: Outcome, k: int) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Top-`k` of `part` over top-`k` of `whole`, and its standard error; NaN where `whole` has nothing right.

    Args:
        part: of ranks [image, …], any further axes.
        whole: of ranks [image].
        k: how many classes count as given.
    """
    right = part.rank < k
    return ratio_of_means(right, (whole.rank < k).reshape(-1, *[1] * (right.ndim - 1)))

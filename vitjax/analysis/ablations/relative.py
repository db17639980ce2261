"""Compares two accuracies on the same images: how much of the one is left in the other."""

import numpy as np
from jaxtyping import Float

from vitjax.analysis.ablations.accuracy import Outcome
from vitjax.analysis.study.means import ratio_of_means


def relative(part: Outcome, whole: Outcome, k: int) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Divides top-`k` of `part` by top-`k` of `whole`; with the standard error, NaN where `whole` has nothing right.

    Args:
        part: of ranks [image, …], any further axes.
        whole: of ranks [image].
        k: how many classes count as given.
    """
    right = part.rank < k
    return ratio_of_means(right, (whole.rank < k).reshape(-1, *[1] * (right.ndim - 1)))

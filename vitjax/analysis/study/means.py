"""Means over images and ratios of means, with their standard errors."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class OverImages(NamedTuple):
    """A mean over the images that have a value, its standard error and their number; NaN and 0 where none has."""

    mean: Float[np.ndarray, "..."]
    error: Float[np.ndarray, "..."]
    count: Int[np.ndarray, "..."]


def over_images(values: Float[np.ndarray, "image ..."]) -> OverImages:
    """The mean over images, the first axis; NaN is no value."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    some = np.where(count > 0, count, np.nan)
    mean = np.where(known, values, 0).sum(axis=0) / some
    return OverImages(mean, np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(axis=0) / some / some), count)


def estimate(name: str, values: Float[np.ndarray, " image"]) -> dict[str, float | None]:
    """Two columns of a table, `name` and `name_error`: mean and standard error, None where no image has a value."""
    one = over_images(np.asarray(values, float))
    columns = {name: one.mean, f"{name}_error": one.error}
    return {column: float(value) if one.count else None for column, value in columns.items()}


def ratio_of_means(
    part: Float[np.ndarray, "sample ..."], whole: Float[np.ndarray, "sample ..."]
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Divides the mean of `part` by that of `whole`; with the standard error, NaN where `whole` has a mean of 0.

    Both were measured on the same samples and share their luck: the error is that of a ratio of two means over one
    sample (Cochran, Sampling Techniques, 3rd edition, section 2.11).
    """
    base = whole.mean(axis=0)
    base = np.where(base == 0, np.nan, base)
    ratio = part.mean(axis=0) / base
    return ratio, np.sqrt(((part - ratio * whole) ** 2).mean(axis=0) / len(part)) / base

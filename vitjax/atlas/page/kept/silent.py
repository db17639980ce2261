"""Says which units hardly respond to any photograph, so that nobody reads a class out of noise."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

SHARE = 0.05  # of what the layer's usual unit scores on its best photograph
ACTIVE = 0.2  # highest share of patches above 0: a unit that is above it everywhere is even, and not silent
USUAL = 5  # units of a layer of which a usual one can be told


def silent(units: pa.Table) -> Bool[np.ndarray, " unit"]:
    """Tells of each row of units.parquet whether the unit hardly responds.

    Its best score is 0 or less, or below a twentieth of the median of its layer's best scores, and it is above 0 on
    less than a fifth of the patches. In layers whose median is 0 or less (logits of sigmoids) zero says nothing.
    """
    if not {"best", "photos_active"} <= {*units.column_names}:
        return np.zeros(len(units), bool)
    best, active = (np.array(units[name].to_pylist(), np.float64) for name in ("best", "photos_active"))
    usual = _medians(units["tap"].to_pylist(), best)
    return (best <= np.fmax(SHARE * usual, 0)) & (active < ACTIVE) & ~(usual <= 0)


def _medians(taps: Sequence[str], best: np.ndarray) -> np.ndarray:
    """The median of each unit's layer; NaN where there are too few."""
    _, layer = np.unique(taps, return_inverse=True)
    found = np.full(len(best), np.nan)
    for one in range(layer.max(initial=-1) + 1):
        known = best[(layer == one) & np.isfinite(best)]
        if len(known) >= USUAL:
            found[layer == one] = np.median(known)
    return found

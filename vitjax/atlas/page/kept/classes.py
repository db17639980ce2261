"""Counts, in the table of an atlas's exemplars, of which classes the best photographs of each unit are."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def counted(exemplars: pa.Table, units: Sequence[str]) -> list[Counter[str]]:
    """Gives of each of these units, in their order, {class: photographs}; photographs without a class are left out."""
    best = exemplars.filter(pc.equal(exemplars["kind"].cast(pa.string()), "top"))
    found: dict[str, Counter[str]] = {unit: Counter() for unit in units}
    for unit, kind in zip(best["unit"].to_pylist(), best["class"].to_pylist(), strict=True):
        if kind is not None:
            found[unit][kind] += 1
    return list(found.values())

"""Reads the activation maps of an atlas's store, and puts them into activations, of older stores as well as can be."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float, UInt8

SCALE = "map_scale"  # column of units.parquet: the activation that 255 stands for in a unit's maps


def unpacked(table: pa.Table) -> list[UInt8[np.ndarray, "k row column"]]:
    """Reads the maps of each unit out of a table, in which they are where they stand on several grids."""
    return [np.frombuffer(row["maps"], np.uint8).reshape(-1, row["rows"], row["columns"]) for row in table.to_pylist()]


def scales(units: pa.Table) -> Sequence[float | None]:
    """Gives the scale of each unit's maps; None in stores that are older than it."""
    return units[SCALE].to_pylist() if SCALE in units.column_names else [None] * len(units)


def activations(
    heights: UInt8[np.ndarray, "row column"], score: float, scale: float | None
) -> Float[np.ndarray, "row column"]:
    """Puts a map into the unit's activations, which are 0 where they are less.

    Without a scale each map has its own, from its minimum to its maximum. Of those the minimum is taken for 0, and the
    mean over all patches is the score.
    """
    if scale is None:
        mean = float(heights.mean())
        scale = 255 * max(score, 0) / mean if mean else 0
    return heights * np.float32(scale / 255)

"""Lays units out on grids: by layer, or by points in the plane, made dense without parting neighbours."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from vitjax.atlas.page.contents import Band, Layout, Tap

ASPECT = 16 / 9  # of a whole grid, width over height, where it can be


def layers(taps: Sequence[Tap]) -> Layout:
    """Lays out a band of rows for each tap, an empty row between; or a row a tap, where that is wide enough.

    The grid is about 16:9 where bands allow it: it is never wider than the largest tap.
    """
    counts = np.array([tap.count for tap in taps])
    columns = _band_width(counts)
    band_rows = -(-counts // columns)
    first = np.cumsum(band_rows + _gap(band_rows)) - band_rows - _gap(band_rows)
    rows = int(first[-1] + band_rows[-1])
    cells = np.full(rows * columns, -1, np.int32)
    for tap, row in zip(taps, first, strict=True):
        cells[row * columns :][: tap.count] = np.arange(tap.first, tap.first + tap.count)
    bands = [Band(tap.tap, int(row), int(high)) for tap, row, high in zip(taps, first, band_rows, strict=True)]
    return Layout("layers", "by layer", columns, rows, cells, bands)


def chart(key: str, label: str, points: Float[np.ndarray, "unit 2"]) -> Layout:
    """Lays units out on a dense 16:9 grid that keeps what lies together in the plane together."""
    columns, rows, cells = grid_of(points)
    return Layout(key, label, columns, rows, cells)


def grid_of(points: Float[np.ndarray, "unit 2"]) -> tuple[int, int, Int[np.ndarray, " rows*columns"]]:
    """Finds columns, rows, and the unit of each cell: -1 for the empty ones, which all end the last row.

    Alternating splits, as in a k-d tree: the longer side of the grid is cut in two, the points are sorted along that
    axis, and each half takes as many as it has cells. Units at equal points keep the order of their numbers.
    """
    count = len(points)
    columns = max(1, round(np.sqrt(count * ASPECT)))
    rows = max(1, -(-count // columns))
    cells = np.full(rows * columns, -1, np.int32)
    todo = [(0, rows, 0, columns, np.arange(count))]
    while todo:
        top, bottom, left, right, members = todo.pop()
        if len(members) <= 1:
            cells[top * columns + left] = members[0] if len(members) else -1
            continue
        high, wide = bottom - top, right - left
        axis = 0 if wide >= high else 1
        members = members[np.argsort(points[members, axis], kind="stable")]
        if axis == 0:
            parts = (top, bottom, left, left + wide // 2), (top, bottom, left + wide // 2, right)
        else:
            parts = (top, top + high // 2, left, right), (top + high // 2, bottom, left, right)
        taken = _filled(*parts[0], columns, count)
        todo += [(*parts[0], members[:taken]), (*parts[1], members[taken:])]
    return columns, rows, cells


def _filled(top: int, bottom: int, left: int, right: int, columns: int, count: int) -> int:
    """Counts the cells of a rectangle that come before the `count`-th of the whole grid, row by row."""
    whole = min(bottom, count // columns) - top  # rows that are full
    rest = min(max(count % columns - left, 0), right - left) if top <= count // columns < bottom else 0
    return max(whole, 0) * (right - left) + rest


def _gap(band_rows: np.ndarray) -> int:
    return int(band_rows.max() > 1)


def _band_width(counts: np.ndarray) -> int:
    """Finds the width at which cells are about largest in a 16:9 view; of those as good within a tenth, fewest rows."""
    widths, sizes = [], []
    for most in range(1, 2 * math.isqrt(int(counts.max())) + 2):  # rows of the largest tap; the best are fewer
        columns = -(-int(counts.max()) // most)
        band_rows = -(-counts // columns)
        height = int(band_rows.sum()) + _gap(band_rows) * (len(counts) - 1)
        widths.append(columns)
        sizes.append(min(ASPECT / columns, 1 / height))
    return next(columns for columns, size in zip(widths, sizes, strict=True) if size >= 0.9 * max(sizes))

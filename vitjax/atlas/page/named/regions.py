"""Names regions of a map of units by what the photographs of those who lie there are, more than elsewhere."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy import ndimage

from vitjax.atlas.page.contents import Layout, Region
from vitjax.atlas.page.named.seen import Seen

WIDTHS = (1 / 14, 1 / 36)  # of a region's standard deviation, of the map's longer side: coarse and fine names
NARROWEST = 1.0  # cells
APART = 2.5  # standard deviations between two names, and 5 between two that are the same
SHARE = 0.12  # least share of what is named among the photographs there
SURPRISE = 4.0  # least excess over what is expected, in standard deviations
MOST = 40  # names of each width


def regions(layout: Layout, seen: Seen) -> list[Region]:
    """Lists the names of a map's regions, the most telling first.

    Around each cell photographs are counted under a Gaussian. A class or kind with share p there and q on the whole map
    tells p log(p/q), its part of what tells the place from the map (their Kullback-Leibler divergence).
    """
    found: list[Region] = []
    units = np.asarray(layout.cells)
    total = _on(layout, np.asarray(seen.by_class.sum(axis=1)).ravel(), units)
    if not total.any():
        return found
    for width in WIDTHS:
        deviation = max(width * max(layout.columns, layout.rows), NARROWEST)
        if width == WIDTHS[0] or deviation > NARROWEST:
            found += _placed(list(_peaks(layout, seen, units, total, deviation)), deviation, found)
    return found


def _on(layout: Layout, values: np.ndarray, units: Int[np.ndarray, " cell"]) -> Float[np.ndarray, "row column"]:
    """Puts a value of each unit where it lies."""
    return np.where(units >= 0, values[units], 0).reshape(layout.rows, layout.columns).astype(np.float64)


def _peaks(layout: Layout, seen: Seen, units, total, deviation: float) -> Iterator[Region]:
    """The places where each class and kind tells most, in no order."""
    near = lambda values: ndimage.gaussian_filter(values, deviation, mode="constant")
    around, everything = near(total), total.sum()
    cell = 1 / (4 * np.pi * deviation**2)  # sum of the squared weights of a Gaussian in the plane
    names = [*seen.classes, *(kind.name for kind in seen.kinds)]
    for counts, first in (seen.by_class.tocsc(), 0), (seen.by_kind.tocsc(), len(seen.classes)):
        for column in range(counts.shape[1]):
            mine = counts[:, [column]]
            share = mine.sum() / everything
            if mine.nnz < 3 or share > 0.6:
                continue
            here = near(_on(layout, mine.toarray().ravel(), units)) / np.maximum(around, 1e-9)
            spread = np.sqrt(share * (1 - share) * cell / np.maximum(around, 1e-9))
            telling = here * np.log(np.maximum(here, 1e-12) / share)
            telling[(here < SHARE) | (here - share < SURPRISE * spread) | (total == 0)] = 0
            row, place = np.unravel_index(telling.argmax(), telling.shape)
            if telling[row, place] > 0:
                text = names[first + column].partition(",")[0]
                yield Region(text, place + 0.5, row + 0.5, float(telling[row, place]), first > 0)


def _placed(peaks: list[Region], deviation: float, before: list[Region]) -> list[Region]:
    """Takes the most telling of these that are far enough from those taken before them."""
    taken: list[Region] = []
    for one in sorted(peaks, key=lambda region: -region.telling):
        if all(_apart(one, other, deviation) for other in [*before, *taken]):
            taken.append(one)
        if len(taken) == MOST:
            break
    return taken


def _apart(one: Region, other: Region, deviation: float) -> bool:
    far = np.hypot(one.x - other.x, one.y - other.y) / deviation
    return far >= APART * (1 + (other.text == one.text))

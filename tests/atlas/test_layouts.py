"""Where units lie on the page: dense grids that part no neighbours."""

import numpy as np
import pytest

from vitjax.atlas.page.contents import Layout, Tap
from vitjax.atlas.page.layouts import chart, grid_of, layers


def bands_of(*counts: int) -> Layout:
    """The layers of taps with these counts."""
    firsts = np.cumsum(counts) - counts
    return layers(
        [Tap(f"t{i}", int(first), count) for i, (first, count) in enumerate(zip(firsts, counts, strict=True))]
    )


def test_layers_make_a_sensible_grid():
    assert (bands_of(3).columns, bands_of(3).rows) == (3, 1)
    one_row_each = bands_of(*[32] * 12)  # a matrix of layer by index
    assert (one_row_each.columns, one_row_each.rows) == (32, 12)
    for counts in ([40_000], [3334] * 12, [5120] * 32, [10, 5000], [768] * 12):
        laid = bands_of(*counts)
        assert 1.5 < laid.columns / laid.rows < 2.4
        assert sorted(laid.cells[laid.cells >= 0].tolist()) == list(range(sum(counts)))
        assert (laid.cells >= 0).mean() > 0.7
        assert all(band.row + band.rows < after.row for band, after in zip(laid.bands, laid.bands[1:], strict=False))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 500])
def test_a_chart_is_dense_and_repeatable(count):
    points = np.random.default_rng(count).standard_normal((count, 2))
    laid = chart("looks", "by looks", points)
    assert sorted(laid.cells[laid.cells >= 0].tolist()) == list(range(count))
    assert (laid.cells[:count] >= 0).all() and laid.rows * laid.columns - count < laid.columns
    assert np.array_equal(laid.cells, chart("looks", "by looks", points).cells)


def test_a_chart_keeps_neighbours_together():
    points = np.random.default_rng(0).standard_normal((1000, 2))
    columns, rows, cells = grid_of(points)
    grid = points[cells[: columns * (rows - 1)]].reshape(rows - 1, columns, 2)
    beside = np.linalg.norm(grid[:, 1:] - grid[:, :-1], axis=-1).mean()
    at_random = np.linalg.norm(points[1:] - points[:-1], axis=-1).mean()
    assert beside < 0.15 * at_random
    assert grid[:, : columns // 2, 0].mean() < grid[:, columns // 2 :, 0].mean()
    same = grid_of(np.zeros((6, 2)))[2]
    assert sorted(same.tolist()) == [*range(6)]

"""Which units hardly respond, and what maps say that are kept in either form."""

import numpy as np
import pyarrow as pa
import pytest

from vitjax.atlas.page.kept.kept_maps import activations, scales
from vitjax.atlas.page.kept.silent import silent


def table(best: list[float], active: float = 0.01, tap: str = "blocks.0.mlp.hidden") -> pa.Table:
    return pa.table({"tap": [tap] * len(best), "best": best, "photos_active": [active] * len(best)})


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (table([1, 0.9, 1.2, 0.8, 0.04, -0.1]), [4, 5]),
        (table([1, 0.9, 1.2, 0.8, 0.04], active=0.5), []),  # active everywhere, if little
        (table([0.04, -0.1]), [1]),  # too few to tell what is usual
        (table([-3, -2, -2, -1, 0.5], tap="logits"), []),  # where 0 says nothing
        (table([1, 0.9, 1.2, 0.8, 0.04]).drop_columns("best"), []),
    ],
)
def test_units_that_hardly_respond(units, expected):
    assert np.flatnonzero(silent(units)).tolist() == expected


def test_maps_are_put_into_activations():
    heights = np.array([[0, 255], [51, 0]], np.uint8)
    assert activations(heights, 1.0, 2.55).ravel() == pytest.approx([0, 2.55, 0.51, 0])
    assert activations(heights, 1.0, None).mean() == pytest.approx(1)
    assert activations(heights, -1.0, None).max() == 0
    assert scales(pa.table({"unit": ["a"]})) == [None]

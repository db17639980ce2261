"""Goals of one's own: what is optimised is any function of taps whose numbers are data."""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.support import small
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Site
from vitjax.optimize import loop
from vitjax.optimize.objectives import Objective, objective_of
from vitjax.optimize.visualize import visualize
from vitjax.units.select import at_tokens
from vitjax.units.units import Unit


@dataclass(frozen=True)
class Contrast(Objective):
    """One unit of a tap without one of another tap."""

    other: str

    @property
    def taps(self) -> tuple[str, ...]:
        return (self.tap, self.other)

    def numbers(self, goals, sites: dict[str, Site]) -> np.ndarray:
        for goal in goals:
            for tap, unit in zip(self.taps, goal.units, strict=True):
                if unit >= sites[tap].units[0]:
                    raise InputError(f"{goal}: {tap} has {sites[tap].units[0]} units")
        return np.array([goal.units for goal in goals], np.int32)

    def activation(self, values, numbers, *, sites, tokens):
        of = lambda tap, unit: at_tokens(values[tap], sites[tap], tokens)[..., unit].mean(axis=1)
        return of(self.tap, numbers[0]) - of(self.other, numbers[1])


@dataclass(frozen=True)
class Difference:
    """The goal of a picture: one unit up, the other down."""

    objective: Contrast
    units: tuple[int, int]
    variant: int = 0

    def __str__(self) -> str:
        return f"{self.objective.tap}:{self.units[0]} without {self.objective.other}:{self.units[1]}#{self.variant}"

    @property
    def hash(self) -> int:
        return zlib.crc32(str(self).encode())


CONTRAST = Contrast("blocks.2.mlp.hidden", "blocks.1.resid_post")


def test_a_goal_that_reads_two_taps_has_its_pictures(tmp_path):
    goals = [Difference(CONTRAST, (3, 7)), Difference(CONTRAST, (5, 1))]
    loop.advance.clear_cache()
    pictures = visualize(small.model(), [*goals, "blocks.2.mlp.hidden:3"], steps=12, views=2, seed=1)
    assert loop.advance._cache_size() == 2  # one program for both goals of a kind
    assert pictures.units[:2] == goals and pictures.units[2] == Unit("blocks.2.mlp.hidden", (3,))
    reached = pictures.history["activation"]
    assert (reached[:2, -1] > reached[:2, 0]).all()
    values = small.model()(pictures.images / np.float32(255), CONTRAST.taps)
    first, other = (np.asarray(values[tap])[:, 3:].mean(axis=1) for tap in CONTRAST.taps)
    np.testing.assert_allclose(
        pictures.activation[:2], [first[0, 3] - other[0, 7], first[1, 5] - other[1, 1]], rtol=1e-4
    )


def test_it_takes_the_activation_before_the_function_where_the_recipe_says_so():
    early = objective_of(Difference(CONTRAST, (0, 0))).earlier(small.model().taps())
    assert early == Contrast("blocks.2.mlp.pre", "blocks.1.resid_post")


def test_mistakes_are_said_before_anything_starts():
    with pytest.raises(InputError, match="has 96 units"):
        visualize(small.model(), [Difference(CONTRAST, (96, 0))])
    with pytest.raises(InputError, match=r"did you mean blocks\.1\.resid_post"):
        visualize(small.model(), [Difference(replace(CONTRAST, other="blocks.1.resid_past"), (0, 0))])

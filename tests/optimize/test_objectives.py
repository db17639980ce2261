"""Goals of one's own: what is optimised is any function of taps whose numbers are data."""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.support import small
from tests.support.plain import PLAIN
from vitjax.errors import InputError
from vitjax.models.core.tap_site import Site
from vitjax.models.registry import abstract
from vitjax.optimize import loop
from vitjax.optimize.objectives import AlongDirection, Objective, objective_of
from vitjax.optimize.recipes import choose
from vitjax.optimize.visualize import check, resolve, varied, visualize
from vitjax.units.select import at_tokens
from vitjax.units.units import Direction, Unit


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


TAP = "blocks.2.mlp.hidden"
CONTRAST = Contrast("blocks.2.mlp.hidden", "blocks.1.resid_post")


@pytest.mark.exhaustive
def test_a_goal_that_reads_two_taps_has_its_pictures(tmp_path):
    goals = [Difference(CONTRAST, (3, 7)), Difference(CONTRAST, (5, 1))]
    loop.advance.clear_cache()
    pictures = visualize(small.model(), [*goals, "blocks.2.mlp.hidden:3"], steps=12, seed=1, **PLAIN)
    assert loop.advance._cache_size() == 2  # one program for both goals of a kind
    assert pictures.units[:2] == goals and pictures.units[2] == Unit("blocks.2.mlp.hidden", (3,))
    reached = pictures.history["activation"]
    assert (reached[:2, -1] > reached[:2, 0]).all()
    values = small.read(small.model(), pictures.images / np.float32(255), reads=CONTRAST.taps)
    first, other = (np.asarray(values[tap])[:, 3:].mean(axis=1) for tap in CONTRAST.taps)
    np.testing.assert_allclose(
        pictures.activation[:2], [first[0, 3] - other[0, 7], first[1, 5] - other[1, 1]], rtol=1e-4
    )


def test_it_stays_as_it_is_where_nothing_says_what_it_is_before_the_activation_function():
    assert objective_of(Difference(CONTRAST, (0, 0))).earlier(small.model().taps()) == CONTRAST
    gated = abstract(replace(small.CONFIG, gated=True)).taps()
    assert AlongDirection(TAP).earlier(gated) == AlongDirection(TAP)
    assert AlongDirection(TAP).earlier(small.model().taps()).tap == "blocks.2.mlp.pre"


@dataclass(frozen=True)
class Own(Unit):
    """A unit with an objective of its own."""

    @property
    def objective(self) -> Objective:
        return CONTRAST


def test_goals_of_all_kinds_are_told_apart():
    model, vector = small.model(), np.ones(96, np.float32)
    assert objective_of(resolve(model, [Difference(CONTRAST, (1, 2))])[0]) == CONTRAST
    assert objective_of(Own(TAP, (3,))) == CONTRAST
    named = type("Named", (Direction,), {})(TAP, "mine", vector)
    assert objective_of(resolve(model, [named])[0]) == AlongDirection(TAP)
    for goals, said in (
        ([Direction(TAP, "d", vector), Direction(TAP, "d", -vector)], "two goals are called"),
        ([Nameless(CONTRAST)], "must tell its variants apart"),
    ):
        with pytest.raises(InputError, match=said):
            varied(resolve(model, goals), choose("default", variants=2))
    with pytest.raises(InputError, match="is no goal"):
        objective_of(object())


@dataclass(frozen=True)
class Nameless(Difference):
    """A goal that forgets its variant."""

    units: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return "nameless"


def test_what_a_recipe_cannot_ask_of_a_tap():
    model = abstract(replace(small.CONFIG, pool="attention"))
    assert check(model, choose("default", tokens="class"), 0, [Unit("logits", (0,))]) == 0
    with pytest.raises(InputError, match=r"that a unit of blocks\.1\.attn\.probs is of"):
        check(model, choose("default", seen=0.5), 0, [Unit("blocks.1.attn.probs", (0, 1, 2))])


def test_mistakes_are_said_before_anything_starts():
    with pytest.raises(InputError, match="has 96 units"):
        visualize(small.model(), [Difference(CONTRAST, (96, 0))])
    with pytest.raises(InputError, match=r"did you mean blocks\.1\.resid_post"):
        visualize(small.model(), [Difference(replace(CONTRAST, other="blocks.1.resid_past"), (0, 0))])

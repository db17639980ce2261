"""Plans the stages of a recipe for a model and what pictures are made for: steps by depth, sizes as they can be had."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod, sqrt

from vitjax.models.core.vocabulary import host
from vitjax.models.registry import Config, abstract
from vitjax.optimize.objectives import Objective
from vitjax.optimize.recipes import TOKENS, Recipe
from vitjax.optimize.schedule.sizes import smaller
from vitjax.optimize.settings.stage import Stage
from vitjax.units.units import matching


@dataclass(frozen=True)
class Leg:
    """A stage as it is run: a recipe without stages, and the model's config at its size.

    `work` is about what a step takes, of one at the model's own size with as many views.
    """

    recipe: Recipe
    config: Config
    work: float = 1.0


@lru_cache(maxsize=1024)
def plan(recipe: Recipe, config: Config, objective: Objective) -> tuple[Leg, ...]:
    """Lists the stages that pictures for an objective go through, those without a step left out.

    All are at the model's own size where the objective, or the recipe's tokens, mean places of it. Nothing is rolled
    where the objective is `still`.
    """
    if objective.still:
        recipe = replace(recipe, jitter=0)
    if not recipe.stages:
        return (Leg(recipe, config),)
    depth = depth_of(config, objective.taps)
    legs = []
    for stage, steps in zip(recipe.stages, _shares(recipe), strict=True):
        at = _config(config, stage, recipe.tokens, objective)
        if steps := round(steps * depth**-stage.shallow):
            size = sqrt(prod(at.image_size) / prod(config.image_size))
            during = recipe.during(stage, steps, size)
            legs.append(Leg(during, at, size**2 * during.views / recipe.views * during.seen / recipe.seen))
    return tuple(legs)


def work_of(recipe: Recipe, config: Config, objective: Objective) -> float:
    """Counts the steps of a picture for an objective, each by what it takes: what a bar moves by."""
    return sum(leg.recipe.steps * leg.work for leg in plan(recipe, config, objective))


def depth_of(config: Config, taps: Sequence[str]) -> float:
    """Says how deep the last of some taps lies: the share of the model's blocks up to there, at least one of them."""
    model = abstract(config)
    order = list(model.taps())
    blocks = [order.index(tap) for tap in matching(model.neurons, order)]
    last = max(order.index(host(tap)) for tap in taps)
    return max(1, sum(block <= last for block in blocks)) / len(blocks)


def _shares(recipe: Recipe) -> list[int]:
    """Cuts the recipe's steps into whole ones for each stage; the last has one at least."""
    whole, before, ends = sum(stage.steps for stage in recipe.stages), 0.0, [0]
    for stage in recipe.stages[:-1]:
        before += stage.steps
        ends.append(min(round(recipe.steps * before / whole), recipe.steps - 1))
    return [after - first for first, after in zip(ends, [*ends[1:], recipe.steps], strict=True)]


def _config(config: Config, stage: Stage, tokens: str, objective: Objective) -> Config:
    if stage.size == 1 or not objective.placeless or tokens not in TOKENS:
        return config
    other = smaller(config, stage.size)
    own, its = (abstract(one).taps() for one in (config, other))
    taps = {host(tap) for tap in objective.taps}
    return other if all(tap in its and own[tap].units == its[tap].units for tap in taps) else config

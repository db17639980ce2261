"""Accentuation: a unit's picture that begins with a photograph and stays near it in what a model computes of it.

After Hamblin et al. 2024 (arXiv 2402.10039): the activation minus a strength times the distance of the features, which
is weighed so that at the start the picture's parameters feel both alike.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from vitjax.errors import InputError
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import key
from vitjax.optimize.goals.objective import Goal, Objective
from vitjax.optimize.objectives import objective_of
from vitjax.optimize.parametrize import Parametrization, parametrization
from vitjax.optimize.photographs.likeness import Likeness, features
from vitjax.optimize.photographs.starts import Beginnings
from vitjax.optimize.recipes import Recipe
from vitjax.ranges import Range
from vitjax.units.units import check_tap

STRENGTH = Range(0, 1e9)
NOISE = 0.02  # of the picture on which the terms are weighed: at the photograph itself the distance has no slope


def accentuated(
    model: Network, goals: Sequence[Goal], begun: Beginnings, tap: str, strength: float, recipe: Recipe
) -> list[Goal]:
    """Gives each goal minus its picture's distance from the photograph that it begins with.

    The distance is from the photograph as the recipe's parametrization can show it, so that it is 0 at the start. The
    weights that result, of four digits, are in the goals' names.

    Args:
        model: any.
        goals: of pictures that begin with photographs.
        begun: which.
        tap: whose values are compared, place by place.
        strength: of the distance; 0 gives the goals as they are.
        recipe: that pictures are made by.

    Raises:
        InputError: no such tap, or goals whose activation, or a tap whose value, no picture changes.
    """
    check_tap(tap, model.taps())
    if not STRENGTH.check("strength of the photograph", strength):
        return list(goals)
    shown, found, seeds = parametrization(model.config.image_size, recipe, model.config.channels), [], {}
    for goal in goals:
        place = begun.place(goal)
        if place not in seeds:
            params = shown.params(jnp.asarray(begun.photographs.images[place] / np.float32(255)))
            seed = shown.image(params)
            seeds[place] = seed, features(model, seed[None], (tap,))[0][0]
        seed, target = seeds[place]
        near = Likeness(tap, begun.photographs.names[place], target, "distance", variant=goal.variant)
        mine, other = (slope(model, one, seed, recipe) for one in (goal, near))
        if not (mine > 0 and other > 0):
            raise InputError(f"{goal}: near {near.name} its activation, or {tap}, does not change; use another tap")
        found.append(goal + float(f"{strength * mine / other:.4g}") * near)
    return found


def slope(model: Network, goal: Goal, seed: Float[Array, "h w color"], recipe: Recipe) -> float:
    """Sum of |d activation / d parameters| of the picture of a seed with a little noise."""
    sites, objective = model.taps(), objective_of(goal)
    numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], objective.numbers([goal], sites))
    objective = objective.earlier(sites) if recipe.before_activation else objective
    return float(_slope(model, numbers, seed, objective=objective, recipe=replace(recipe, stages=())))


@partial(jax.jit, static_argnames=("objective", "recipe"))
def _slope(model: Network, numbers: Any, seed: Array, *, objective: Objective, recipe: Recipe) -> Array:
    shown: Parametrization = parametrization(model.config.image_size, recipe, model.config.channels)
    taps, score = objective.shortest(model, recipe.tokens)
    noise = NOISE * jax.random.normal(key(0), seed.shape, jnp.float32)
    reached = lambda params: score(model(shown.image(params)[None], taps), numbers).sum()
    return jnp.sum(abs(jax.grad(reached)(shown.params(jnp.clip(seed + noise, 0, 1)))))

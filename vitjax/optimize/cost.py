"""Counts the operations of the loop, for any model and recipe: what is computed, not what could be."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp

from vitjax.models.core.execution import Execution
from vitjax.models.core.surroundings import standard
from vitjax.models.core.vocabulary import host
from vitjax.models.flops import operations
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.schedule.plan import Leg, plan

COUNTED = Execution(attention="products", recompute=False)  # what is computed again does not count


@lru_cache(maxsize=256)
@standard()
def step_flops(config: Config, tap: str, recipe: Recipe) -> float:
    """Operations of one step of one picture for a unit of `tap`, by a recipe without stages.

    See `vitjax.models.flops` for what counts.
    """
    model, objective = abstract(config), UnitActivation(host(tap))
    program = loop.Program(recipe, objective, chunk=1, execution=COUNTED)
    slots = jnp.zeros(recipe.together, jnp.uint32)
    aims = loop.Targets(slots.astype(jnp.int32), slots, jnp.uint32(0))
    params = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims).params
    step = jax.grad(partial(loop.loss_of, program=program), argnums=1, has_aux=True)
    keys = jax.eval_shape(loop.slot_keys, aims)[1]
    return operations(step, model, params, aims, keys, jnp.int32(0)) / recipe.together


def dearest_stage(config: Config, tap: str, recipe: Recipe) -> Leg:
    """The stage of a recipe whose steps take most: what has to fit into memory, and what is worth timing."""
    legs = plan(recipe, config, UnitActivation(tap))
    return legs[0] if len(legs) == 1 else max(legs, key=lambda leg: step_flops(leg.config, tap, leg.recipe))


def picture_flops(config: Config, tap: str, recipe: Recipe) -> float:
    """Operations of one finished picture, through all stages of the recipe."""
    legs = plan(recipe, config, UnitActivation(tap))
    return sum(leg.recipe.steps * step_flops(leg.config, tap, leg.recipe) for leg in legs)

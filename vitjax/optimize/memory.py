"""Finds out how many slots a device has room for, from what the compiler says of two sizes."""

from functools import partial
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.models.core.execution import PLAIN, Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.models.core.vocabulary import host
from vitjax.models.registry import abstract
from vitjax.optimize import loop
from vitjax.optimize.cost import dearest_stage
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.units.units import Unit


class Room(NamedTuple):
    """Memory of a device.

    Attributes:
        most: slots that fit.
        each: bytes of a slot.
        beside: bytes of what is there once: weights, and what the loop keeps for itself.
    """

    most: int
    each: float
    beside: float


PROBES = (2, 4)  # slots that are compiled to see how memory grows
SHARE = 0.85  # of the free memory that is used
MOST = 128  # slots: more make no device faster, and a batch is what a kill may cost
ON_CHIP = {"tpu": 128 * 2**20}  # bytes of a platform's memory beside the products: what stays there need not travel
AT_ONCE = 3.3  # as many times the widest activation of a step's images are there at once (benchmarks/README.md)


def fitting_slots(model: Network, tap: str, recipe: Recipe, *, execution: Execution = PLAIN) -> int | None:
    """Slots of a tap that fit on the first local device; None where it does not tell its memory, as CPUs do not."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return None
    fit = slots_within(stats["bytes_limit"] - stats["bytes_in_use"], *need(model, tap, recipe, execution=execution))
    return min(fit, useful_slots(model, recipe, jax.local_devices()[0].platform))


def useful_slots(model: Network, recipe: Recipe, platform: str) -> int:
    """Slots of which more make devices of a platform no faster: on TPUs as many as its on-chip memory holds."""
    if platform not in ON_CHIP:
        return MOST
    shapes = [site.shape for site in model.taps().values() if not {"query", "key"} <= set(site.axes)]
    widest = max(map(prod, shapes)) * model.dtype.itemsize
    views = max([recipe.views] + [stage.views or 0 for stage in recipe.stages])
    return int(min(MOST, max(1, ON_CHIP[platform] / (AT_ONCE * widest) // views)))


@standard()
def need(
    model: Network, tap: str, recipe: Recipe, *, execution: Execution = PLAIN, probes: tuple[int, int] = PROBES
) -> tuple[float, float]:
    """The bytes that the loop takes beside the model, (for itself, for each slot), from compiles for `probes` slots.

    They are those of the recipe's dearest stage. The model's arrays may be shapes alone.
    """
    tap = host(tap)
    stage, dtype = dearest_stage(model.config, tap, recipe), str(model.dtype)
    few, more = (_bytes(abstract(stage.config, dtype), tap, stage.recipe, slots, execution) for slots in probes)
    each = (more - few) / (probes[1] - probes[0])
    return few - probes[0] * each, each


def slots_within(free: float, fixed: float, each: float) -> int:
    """How many slots fit into `free` bytes, rounded down to a multiple of 8 where there are as many."""
    fit = int(max(1, min(MOST, (SHARE * free - fixed) // max(each, 1))))
    return fit // 8 * 8 or fit


def weights(model: Network) -> int:
    """Bytes of a model's arrays."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(model))


def _bytes(model: Network, tap: str, recipe: Recipe, slots: int, execution: Execution) -> int:
    index = tuple(0 for _ in model.taps()[tap].units)
    here = execution.on(jax.local_devices()[0].platform)
    program = loop.Program(recipe, UnitActivation(tap), chunk=1, execution=here)
    aims = loop.aims([Unit(tap, index)] * slots, model.taps(), 0)
    state = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims)
    analysis = loop.advance.lower(model, state, aims, program=program).compile().memory_analysis()
    held = sum(np.prod(leaf.shape) * jnp.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(state))
    return int(analysis.temp_size_in_bytes + held)

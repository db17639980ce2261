"""Finds out how many slots a device has room for, from what the compiler says of two sizes."""

import jax
import jax.numpy as jnp
import numpy as np

from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.optimize import loop
from vitjax.optimize.cost import dearest_stage
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.schedule.sizes import at_size
from vitjax.units.units import Unit

PROBES = (2, 4)  # slots that are compiled to see how memory grows
SHARE = 0.85  # of the free memory that is used
MOST = 128  # slots: more make no device faster, and a batch is what a kill may cost


def fitting_slots(model: Network, tap: str, recipe: Recipe, *, remat: bool = False) -> int | None:
    """Slots of a tap that fit on the first local device; None where it does not tell its memory, as CPUs do not."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" not in stats:
        return None
    return slots_within(stats["bytes_limit"] - stats["bytes_in_use"], *need(model, tap, recipe, remat=remat))


@standard()
def need(
    model: Network, tap: str, recipe: Recipe, *, remat: bool = False, probes: tuple[int, int] = PROBES
) -> tuple[float, float]:
    """The bytes that the loop takes beside the model, (for itself, for each slot), from compiles for `probes` slots.

    They are those of the recipe's dearest stage.
    """
    stage = dearest_stage(model.config, tap, recipe)
    few, more = (_bytes(at_size(model, stage.config), tap, stage.recipe, slots, remat) for slots in probes)
    each = (more - few) / (probes[1] - probes[0])
    return few - probes[0] * each, each


def slots_within(free: float, fixed: float, each: float) -> int:
    """How many slots fit into `free` bytes, rounded down to a multiple of 8 where there are as many."""
    fit = int(max(1, min(MOST, (SHARE * free - fixed) // max(each, 1))))
    return fit // 8 * 8 or fit


def _bytes(model: Network, tap: str, recipe: Recipe, slots: int, remat: bool) -> int:
    index = tuple(0 for _ in model.taps()[tap].units)
    program = loop.Program(recipe, UnitActivation(tap), chunk=1, execution=Execution(remat=remat))
    aims = loop.aims([Unit(tap, index)] * slots, model.taps(), 0)
    state = jax.eval_shape(lambda: loop.start(model, aims, recipe=recipe))
    analysis = loop.advance.lower(model, state, aims, program=program).compile().memory_analysis()
    held = sum(np.prod(leaf.shape) * jnp.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(state))
    return int(analysis.temp_size_in_bytes + held)

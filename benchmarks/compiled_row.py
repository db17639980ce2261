"""Compiles what a row of the compilers' table needs (`compiled_table.py`); to be imported after `prepare`."""

from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from vitjax.bench.compiled.chips import TPU, Chip
from vitjax.bench.compiled.report import of_stage
from vitjax.bench.measure import Setting, taps_of
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.memory import SHARE, useful_slots, weights
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.schedule.plan import Leg, plan
from vitjax.weights.families.timm.models import by_name

DTYPE = "bfloat16"
IMAGES = 128  # at once on GPUs, which may take more; on TPUs as many as painting takes


def at_once(chip: Chip, config: Config, recipe: Recipe) -> int:
    """Pictures that are made together."""
    if chip.platform == TPU:
        return useful_slots(abstract(config, DTYPE), recipe, chip.platform)
    return IMAGES // recipe.views


def compiled(chip: Chip, name: str, named: str, block: int) -> dict[str, object]:
    """Compiles all stages of a recipe for a chip, and says what pictures of a block's MLP neurons take of it.

    Args:
        chip: see `vitjax.bench.compiled.chips`.
        name: of one of timm's architectures.
        named: the recipe.
        block: whose neurons.
    """
    config, recipe = by_name(name), choose(named)
    (tap,) = taps_of(abstract(config), [block])
    slots, stages = at_once(chip, config, recipe), []
    for leg in plan(recipe, config, UnitActivation(tap)):
        row = of_stage(chip, leg, Setting(tap, slots, leg.recipe.views, DTYPE, remat=False))
        facts = {"steps": leg.recipe.steps, "image_size": leg.config.image_size, "pictures_megabytes": held(leg, slots)}
        stages.append(facts | asdict(row))
    return summed(chip, config, recipe, tap, slots, stages)


def summed(
    chip: Chip, config: Config, recipe: Recipe, tap: str, slots: int, stages: list[dict[str, Any]]
) -> dict[str, object]:
    """What all stages take together, each as often as it has steps, and the stages themselves.

    A picture's memory is at most what is said: what the loop keeps for itself is dealt out among the pictures.
    """
    steps = [stage["steps"] for stage in stages]
    whole = lambda column: sum(count * stage[column] for count, stage in zip(steps, stages, strict=True))
    seconds, operations = whole("ms_a_picture") / 1e3, picture_flops(config, tap, recipe)
    each = max(stage["megabytes"] + stage["pictures_megabytes"] for stage in stages) / slots
    free = SHARE * chip.memory / 1e6 - weights(abstract(config, DTYPE)) / 1e6
    return {
        "jax": jax.__version__,
        "pictures": slots,
        "ms_a_step": 1e3 * seconds / sum(steps),
        "of_the_chip": operations / seconds / chip.rate(DTYPE),
        "seconds_a_picture": seconds,
        "gigabytes": whole("gigabytes") / sum(steps),
        "megabytes_a_picture": each,
        "fit": int(free // each),
        "untimed": any(stage["unknown"] for stage in stages),
        "stages": stages,
    }


def held(leg: Leg, slots: int) -> float:
    """Megabytes of the pictures of a stage, and of what their optimiser keeps."""
    numbers = jnp.zeros(slots, jnp.int32)
    aims = loop.Targets(numbers, numbers.astype(jnp.uint32), jnp.uint32(0))
    state = jax.eval_shape(partial(loop.start, recipe=leg.recipe), abstract(leg.config, DTYPE), aims)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)) / 1e6

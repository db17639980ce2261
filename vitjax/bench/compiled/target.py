"""Compiles a step of the loop for a chip that is not here."""

from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vitjax.bench.compiled.chips import CUDA, TPU, Chip
from vitjax.errors import InputError
from vitjax.models.core.execution import Execution
from vitjax.models.core.surroundings import standard
from vitjax.models.registry import Config, abstract
from vitjax.optimize import loop
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe

OPTIONS = {TPU: {}, CUDA: {"xla_gpu_autotune_level": 0}}  # kernels cannot be timed on a card that is not there
PACKAGES = {  # the extra that installs a compiler, and modules that any of which is it
    TPU: ("tpu-compiler", ("libtpu",)),
    CUDA: ("cuda-compiler", ("jax_plugins.xla_cuda12", "jax_plugins.xla_cuda13")),
}


def check(chip: Chip) -> None:
    """Says what to install where a chip's compiler is not here.

    Raises:
        InputError: it is not.
    """
    extra, modules = PACKAGES[chip.platform]
    if not any(_installed(module) for module in modules):
        raise InputError(f"compiling for {chip.name} needs its compiler, no chip: pip install 'vitjax[{extra}]'")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


@lru_cache
def place(chip: Chip) -> NamedSharding:
    """One such chip, as a place for arrays to be compiled for."""
    check(chip)
    if chip.platform == CUDA:
        jax.devices()  # registers the plugin
        how = {"platform": "cuda", "topology": "1x1x1", "target_config": chip.target}
    else:
        how = {"platform": "tpu", "topology_name": chip.target}
    topology = topologies.get_topology_desc(**how)
    return NamedSharding(Mesh(topology.devices[:1], ("x",)), PartitionSpec())


@standard()
def compiled(
    chip: Chip, config: Config, tap: str, recipe: Recipe, slots: int, dtype: str, execution: Execution
) -> jax.stages.Compiled:
    """Compiles one step of the loop for a chip.

    Args:
        chip: see `vitjax.bench.compiled.chips`.
        config: of the model; its weights are not needed.
        tap: whose units.
        recipe: of the pictures.
        slots: pictures at once.
        dtype: of weights and activations.
        execution: as it would be asked for there.
    """
    weights = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype))
    model = jax.tree.map(weights, abstract(config))
    aims = loop.Targets(jnp.zeros(slots, jnp.int32), jnp.zeros(slots, jnp.uint32), jnp.uint32(0))
    started = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims)
    there = place(chip)
    placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=there)
    arguments: Any = jax.tree.map(placed, (model, started, aims))
    program = loop.Program(recipe, UnitActivation(tap), chunk=1, execution=execution.on(chip.platform))
    return loop.advance.lower(*arguments, program=program).compile(compiler_options=OPTIONS[chip.platform])

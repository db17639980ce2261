"""Compiles a step of the loop for a chip that is not here, and reads what its compiler says."""

import shutil
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vitjax.bench.compiled import hlo, mosaic
from vitjax.bench.compiled.chips import CUDA, TPU, Chip
from vitjax.bench.compiled.environment import dumped
from vitjax.bench.compiled.estimate import Kernel, kernels
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
    try:
        topology = topologies.get_topology_desc(**how)
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError) as error:
        raise InputError(f"{chip.name}: its compiler knows no such chip: {str(error).partition(chr(10))[0]}") from None
    return NamedSharding(Mesh(topology.devices[:1], ("x",)), PartitionSpec())


class Refused(InputError):
    """What a compiler does not make of a program, in its own words."""


@dataclass(frozen=True)
class Built:
    """A compiled step.

    Attributes:
        temporaries: bytes on the chip beside weights and pictures.
        held: bytes of weights and pictures.
        text: of the program.
        kernels: that it runs.
    """

    temporaries: int
    held: int
    text: str
    kernels: list[Kernel]

    @property
    def whole(self) -> int:
        """All bytes that it takes of the chip."""
        return self.temporaries + self.held


def built(chip: Chip, config: Config, tap: str, recipe: Recipe, slots: int, dtype: str, execution: Execution) -> Built:
    """Compiles one step of the loop for a chip and reads it; arguments as of `compiled`.

    Raises:
        Refused: the compiler does not make it, as where it does not fit, or tells nothing of it.
    """
    try:
        found = compiled(chip, config, tap, recipe, slots, dtype, execution)
    except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
        raise Refused(str(error).partition("\n")[0]) from None
    return told(chip, found)


def told(chip: Chip, found: jax.stages.Compiled) -> Built:
    """Reads any program that was compiled for a chip.

    Raises:
        Refused: its compiler tells nothing of it.
    """
    memory, text = found.memory_analysis(), found.as_text()
    if not text:
        raise Refused("its compiler gives no text of the program")
    program, cycles = hlo.read(text), {}
    if dump := dumped():
        cycles = mosaic.cycles(program, Path(dump), chip.cores)
        for left in Path(dump).iterdir():
            left.unlink() if left.is_file() else shutil.rmtree(left)
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return Built(memory.temp_size_in_bytes, held, text, kernels(program, chip, cycles))


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
    model = abstract(config, dtype)
    aims = loop.Targets(jnp.zeros(slots, jnp.int32), jnp.zeros(slots, jnp.uint32), jnp.uint32(0))
    started = jax.eval_shape(partial(loop.start, recipe=recipe), model, aims)
    there = place(chip)
    placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=there)
    arguments: Any = jax.tree.map(placed, (model, started, aims))
    program = loop.Program(recipe, UnitActivation(tap), chunk=1, execution=execution.on(chip.platform))
    return loop.advance.lower(*arguments, program=program).compile(compiler_options=OPTIONS[chip.platform])

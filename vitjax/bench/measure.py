"""Measures the loop's speed, compile time and memory for a model at one setting."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vitjax.bench.rates import fastest
from vitjax.models.core.execution import Execution
from vitjax.models.core.network import Network
from vitjax.models.core.surroundings import standard
from vitjax.optimize import loop
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import RANGES, Recipe
from vitjax.optimize.schedule.batches import SLOTS
from vitjax.optimize.schedule.plan import plan
from vitjax.optimize.schedule.sizes import at_size
from vitjax.ranges import COUNT
from vitjax.units.units import expand, neurons


@dataclass(frozen=True)
class Setting:
    """What one row is measured at: `batch` pictures of `views` views on each of `devices` devices."""

    tap: str
    batch: int
    views: int
    dtype: str
    remat: bool
    attention: str = "auto"
    devices: int = 1
    scan: bool = True


LIMITS = {"batch": SLOTS, "views": RANGES["views"], "devices": COUNT, "steps": RANGES["steps"]}


@dataclass(frozen=True)
class Row:
    """One setting's figures, those of all devices together and over all stages of the recipe.

    `tflops` is what the loop computes (`vitjax.optimize.cost`) over the time; `utilisation` its ratio to the matrix
    product timed in the same run and dtype, times devices; `megabytes` what the compiled step needs on a device beside
    the weights, `peak_megabytes` what the device saw, where it says.
    """

    setting: Setting
    compile_seconds: float
    steps_per_second: float
    pictures_per_hour: float
    tflops: float
    utilisation: float
    megabytes: float
    peak_megabytes: float | None


@standard()
def measure(model: Network, recipe: Recipe, setting: Setting, steps: int, rate: float) -> Row:
    """Times `steps` steps of each stage of the recipe, or all that it has, after compiling and one call to warm up.

    Args:
        model: in the setting's dtype.
        recipe: with the setting's views.
        setting: what to measure.
        steps: of each call that is timed.
        rate: operations per second of a matrix product on one device, in the setting's dtype.
    """
    execution, objective = Execution(setting.remat, setting.attention, scan=setting.scan), UnitActivation(setting.tap)
    devices = jax.local_devices()[: setting.devices]
    taps = model.taps()
    units = expand(f"{setting.tap}:*", taps)[: setting.batch]
    units += [units[-1]] * (setting.batch - len(units))
    aims = loop.aims(units, taps, seed=0)
    compiling, seconds, total, most = 0.0, 0.0, 0, 0
    for stage in plan(recipe, model.config, objective):
        timed = min(steps, stage.recipe.steps)  # steps beyond the last one do nothing
        program, sized = loop.Program(stage.recipe, objective, timed, execution), at_size(model, stage.config)
        clock = time.perf_counter()
        calls, memory = zip(*(_loaded(sized, aims, program, device) for device in devices), strict=True)
        compiling += (time.perf_counter() - clock) / len(devices)
        with ThreadPoolExecutor(len(devices)) as pool:
            together = lambda pool=pool, calls=calls: list(pool.map(lambda call: call(), calls))
            together()
            seconds += stage.recipe.steps * fastest(together, repeats=2) / timed
        total, most = total + stage.recipe.steps, max(most, *memory)
    pictures = setting.batch * len(devices)
    flops = pictures * picture_flops(model.config, setting.tap, recipe) / seconds
    stats = devices[0].memory_stats() or {}
    return Row(
        setting=setting,
        compile_seconds=compiling,
        steps_per_second=total / seconds,
        pictures_per_hour=3600 * pictures / seconds,
        tflops=flops / 1e12,
        utilisation=flops / rate / len(devices),
        megabytes=most / 1e6,
        peak_megabytes=stats["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in stats else None,
    )


def _loaded(
    model: Network, aims: loop.Targets, program: loop.Program, device: jax.Device
) -> tuple[Callable[[], None], int]:
    """Compiles the loop on a device; gives a function that runs it once more, and the bytes that it needs."""
    model, aims = jax.device_put((model, aims), device)
    slots = loop.start(model, aims, recipe=program.recipe)
    compiled = loop.advance.lower(model, slots, aims, program=program).compile()

    def call() -> None:
        nonlocal slots
        slots, _ = jax.block_until_ready(compiled(model, slots._replace(step=jnp.zeros_like(slots.step)), aims))

    return call, compiled.memory_analysis().temp_size_in_bytes


def taps_of(model: Network, blocks: Sequence[int] | None) -> list[str]:
    """Lists the neurons of the first, the middle and the last block, or of those given; see `neurons`."""
    depth = len(neurons(model))
    return list(neurons(model, blocks or sorted({0, depth // 2, depth - 1})))

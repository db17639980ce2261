"""`vitjax bench`: how fast the compiled loop makes pictures here, beside the rate of a plain matrix product."""

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp

from vitjax import __version__
from vitjax.errors import InputError
from vitjax.models.flops import step_flops
from vitjax.models.vit import ViT
from vitjax.optimize import loop
from vitjax.optimize.pictures import make_folder
from vitjax.optimize.recipes import Recipe
from vitjax.optimize.units import expand


@dataclass(frozen=True)
class Row:
    """One setting's figures: seconds, steps of the whole batch per second, and what follows from them.

    `tflops` is the formula's count over the time; `utilisation` its ratio to the matrix product timed in the same run;
    `megabytes` what the compiled step needs beside the weights, `peak_megabytes` what the device saw, where it says.
    """

    tap: str
    batch: int
    views: int
    compile_seconds: float
    steps_per_second: float
    pictures_per_hour: float
    tflops: float
    utilisation: float
    megabytes: float
    peak_megabytes: float | None


def run(
    model: ViT,
    recipe: Recipe,
    *,
    source: str,
    blocks: Sequence[int] | None,
    batches: Sequence[int],
    steps: int,
    remat: bool,
    out: Path | None,
) -> int:
    """Measures every setting, prints a table, writes JSON to `out` if given; returns the exit code."""
    depth = model.config.depth
    blocks = blocks or sorted({0, depth // 2, depth - 1})
    if wrong := [block for block in blocks if block >= depth]:
        raise InputError(f"block {wrong[0]} is out of range, this model has {depth} (0-{depth - 1})")
    if out:
        make_folder(out.parent)
    dtype = model.position.dtype
    rate = matmul_rate(dtype)
    device = jax.devices()[0]
    print(f"{device.device_kind} ({device.platform}), {dtype}, matrix product {rate / 1e12:.3g} TFLOP/s")
    print(
        f"{'tap':24} {'batch':>5} {'compile s':>9} {'steps/s':>8} {'pictures/h':>10} "
        f"{'TFLOP/s':>8} {'of product':>10} {'MB':>6}"
    )
    rows = []
    for block in blocks:
        for batch in batches:
            row = measure(model, f"blocks.{block}.mlp.hidden", recipe, batch, steps, rate, remat)
            rows.append(row)
            print(
                f"{row.tap:24} {row.batch:5} {row.compile_seconds:9.2f} {row.steps_per_second:8.3g} "
                f"{row.pictures_per_hour:10.4g} {row.tflops:8.3g} {row.utilisation:10.1%} {row.megabytes:6.0f}",
                flush=True,
            )
    if out:
        settings = {
            "model": source,
            "dtype": str(dtype),
            "recipe": asdict(recipe),
            "remat": remat,
            "timed_steps": steps,
        }
        record = {
            "machine": machine(),
            "matmul_tflops": rate / 1e12,
            "settings": settings,
            "rows": list(map(asdict, rows)),
        }
        out.write_text(json.dumps(record, indent=1) + "\n")
        print(f"written to {out}")
    return 0


def measure(model: ViT, tap: str, recipe: Recipe, batch: int, steps: int, rate: float, remat: bool = False) -> Row:
    """Times `steps` steps of `batch` slots at one tap, after compiling and one call to warm up."""
    units = expand(f"{tap}:*", model.taps())[:batch]
    units += [units[-1]] * (batch - len(units))
    aims = loop.aims(units, model.taps()[tap], seed=0)
    program = loop.Program(recipe, tap, chunk=steps, remat=remat)
    slots = loop.start(model, aims, recipe=program.recipe)
    clock = time.perf_counter()
    compiled = loop.advance.lower(model, slots, aims, program=program).compile()
    compiling = time.perf_counter() - clock
    slots, _ = compiled(model, slots, aims)

    def call():
        nonlocal slots
        slots, _ = jax.block_until_ready(compiled(model, slots._replace(step=jnp.zeros((), jnp.int32)), aims))

    seconds = fastest(call, repeats=2) / steps
    flops = batch * step_flops(model.config, tap, recipe.views) / seconds
    memory, stats = compiled.memory_analysis(), jax.devices()[0].memory_stats() or {}
    return Row(
        tap=tap,
        batch=batch,
        views=recipe.views,
        compile_seconds=compiling,
        steps_per_second=1 / seconds,
        pictures_per_hour=3600 * batch / seconds / recipe.steps,
        tflops=flops / 1e12,
        utilisation=flops / rate,
        megabytes=memory.temp_size_in_bytes / 1e6,
        peak_megabytes=stats["peak_bytes_in_use"] / 1e6 if "peak_bytes_in_use" in stats else None,
    )


def matmul_rate(dtype: jnp.dtype) -> float:
    """Operations per second of a large square matrix product on the default device, the best of several."""
    side = 1024 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(a))
    return 2 * side**3 / fastest(lambda: jax.block_until_ready(product(a)), repeats=10)


def fastest(call: Callable[[], object], repeats: int) -> float:
    """The shortest of several timings of `call`, in seconds."""
    times = []
    for _ in range(repeats):
        clock = time.perf_counter()
        call()
        times.append(time.perf_counter() - clock)
    return min(times)


def machine() -> dict[str, str | int]:
    """What a measurement depends on: device, its number, versions."""
    device = jax.devices()[0]
    packages = {name: version(name) for name in ("jax", "flax", "optax")}
    return {
        "device": device.device_kind,
        "platform": device.platform,
        "devices": jax.local_device_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "vitjax": __version__,
        **packages,
    }

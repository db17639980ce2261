"""What normalizers cost beside LayerNorm, in a forward pass and in a step of training.

    python -m benchmarks.norms [--model vit_s] [--batch 4] [--rounds 5] [--norms layer dtn …] [--out FILE.json]
    python -m benchmarks.norms --compile-for v5e [--model vit_s vit_b] [--batch 128] [--out FILE.json]

ViT-S and ViT-B of 196 tokens in the layout of DTN's paper, all norms in the same: the class token joins before block
10, where norms across tokens end. A step is the gradient of the cross-entropy of as many images, and AdamW. On this
machine all norms take turns in one run, in float32, in processor seconds, which other work lengthens least; the least
of all rounds counts. With --compile-for nothing runs: the chip's compiler says how long it takes in bfloat16, weights
in float32, and how much memory beside weights and images. Operations are those of products, in our count
(`vitjax.models.flops`).
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vitjax.bench.compiled.environment import prepare

SIZES = {"vit_s": (384, 6), "vit_b": (768, 12)}  # channels and heads
NORMS = ("layer", "dtn", "dtn-dense", "dtn-reference", "instance", "group", "batch", "switchable", "scale", "power")
BASELINE = "layer"


def config_of(size: str, norm: str) -> Any:
    """The model's config."""
    from vitjax.models.core.config import ViTConfig

    width, heads = SIZES[size]
    return ViTConfig(width=width, heads=heads, mlp_width=4 * width, norm=norm, norm_eps=1e-5, joins=10)


def programs(config: Any, dtype: str, platform: str) -> dict[str, Callable]:
    """A forward pass (model, images) and a step of training (model, moments, images, labels)."""
    import jax
    import jax.numpy as jnp
    import optax

    from vitjax.models.core.execution import Execution

    adamw, execution = optax.adamw(1e-3), Execution().on(platform)
    cast = lambda model: jax.tree.map(lambda leaf: leaf.astype(dtype), model)

    def logits(model, images):
        images = model.normalise(images).astype(dtype)
        return model.from_embedding(model.embed(images), execution=execution)["logits"].astype(jnp.float32)

    def forward(model, images):
        return logits(cast(model), images)

    def step(model, moments, images, labels):
        def loss(model):
            learning = cast(model)
            learning.train()
            return optax.softmax_cross_entropy_with_integer_labels(logits(learning, images), labels).mean()

        updates, moments = adamw.update(jax.grad(loss)(model), moments, model)
        return optax.apply_updates(model, updates), moments

    return {"forward": forward, "step": step}


def arguments(config: Any, batch: int) -> dict[str, tuple]:
    """The shapes of what each program reads."""
    import jax
    import jax.numpy as jnp
    import optax

    from vitjax.models.registry import abstract

    model = abstract(config)
    images = jax.ShapeDtypeStruct((batch, *config.image_size, 3), jnp.float32)
    moments = jax.eval_shape(optax.adamw(1e-3).init, model)
    return {"forward": (model, images), "step": (model, moments, images, jax.ShapeDtypeStruct((batch,), jnp.int32))}


def counted(size: str, norm: str) -> dict[str, float]:
    """Operations of both programs for one image, and parameters beside LayerNorm's."""
    import jax

    from vitjax.models.flops import operations
    from vitjax.models.registry import abstract

    config, parameters = config_of(size, norm), lambda norm: sum(
        leaf.size for leaf in jax.tree.leaves(abstract(config_of(size, norm)))
    )  # fmt: skip
    made, given = programs(config, "float32", "cpu"), arguments(config, 1)
    found = {f"{name}_gflop": operations(made[name], *given[name]) / 1e9 for name in made}
    return found | {"parameters_more": parameters(norm) - parameters(BASELINE)}


def here(size: str, norms: list[str], batch: int, rounds: int) -> list[dict]:
    """Times all norms on this machine, in turns, in processor seconds of all threads."""
    import jax
    import numpy as np
    import optax

    from vitjax.models.registry import random

    runs: dict[tuple[str, str], Callable[[], object]] = {}
    memory = {}
    for norm in norms:
        config = config_of(size, norm)
        model, rng = random(config), np.random.default_rng(0)
        images, labels = rng.random((batch, *config.image_size, 3), np.float32), rng.integers(0, 1000, batch, np.int32)
        values = {"forward": (model, images), "step": (model, optax.adamw(1e-3).init(model), images, labels)}
        for name, function in programs(config, "float32", "cpu").items():
            compiled = jax.jit(function).lower(*values[name]).compile()
            memory[norm, name] = compiled.memory_analysis().temp_size_in_bytes / 1e6
            runs[norm, name] = partial(compiled, *values[name])
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for turn in range(rounds + 1):
        for key, run in runs.items():
            clock = time.process_time()
            jax.block_until_ready(run())
            if turn:  # the first turn warms up
                seconds[key].append(time.process_time() - clock)
    rows = []
    for norm in norms:
        row: dict[str, Any] = {"model": size, "norm": norm, "batch": batch} | counted(size, norm)
        for name in ("forward", "step"):
            row[f"{name}_processor_seconds"] = seconds[norm, name]
            row[f"{name}_ratio"] = min(seconds[norm, name]) / min(seconds[BASELINE, name])
            row[f"{name}_temporary_megabytes"] = memory[norm, name]
        rows.append(row)
    return rows


def there(size: str, norms: list[str], batch: int, name: str) -> Iterator[dict]:
    """Compiles all norms for a chip, one after the other."""
    import jax

    from vitjax.bench.compiled.chips import chip
    from vitjax.bench.compiled.target import OPTIONS, place, told

    target, first = chip(name), None
    for norm in norms:
        config = config_of(size, norm)
        row: dict[str, Any] = {"model": size, "norm": norm, "batch": batch} | counted(size, norm)
        for what, function in programs(config, "bfloat16", target.platform).items():
            placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place(target))
            lowered = jax.jit(function).lower(*jax.tree.map(placed, arguments(config, batch)[what]))
            built = told(target, lowered.compile(compiler_options=OPTIONS[target.platform]))
            row[f"{what}_ms"] = 1e3 * sum(kernel.total for kernel in built.kernels)
            row[f"{what}_gigabytes_moved"] = sum(kernel.times * kernel.bytes for kernel in built.kernels) / 1e9
            row[f"{what}_temporary_megabytes"] = built.temporaries / 1e6
        first = first or row
        row |= {f"{what}_ratio": row[f"{what}_ms"] / first[f"{what}_ms"] for what in ("forward", "step")}
        yield row


def line(row: dict) -> str:
    """A row in words."""
    parts = (
        f"{name} {row[f'{name}_ratio']:.3f} of LayerNorm's time, {row[f'{name}_gflop']:.3f} GFLOP an image,"
        f" {row[f'{name}_temporary_megabytes']:.0f} MB"
        for name in ("forward", "step")
    )
    return f"{row['model']} {row['norm']:14} {'; '.join(parts)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", choices=SIZES, default=["vit_s"])
    parser.add_argument("--norms", nargs="+", default=NORMS)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile-for", metavar="CHIP")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.compile_for:
        prepare()
    from vitjax.bench.rates import machine

    norms, rows = [BASELINE, *(norm for norm in args.norms if norm != BASELINE)], []
    for size in args.model:
        if args.compile_for:
            found = there(size, norms, args.batch or 128, args.compile_for)
        else:
            found = here(size, norms, args.batch or 4, args.rounds)
        for row in found:
            print(line(row), flush=True)
            rows.append(row)
            if args.out:
                about = {"compiled_for": args.compile_for} if args.compile_for else {"machine": machine()}
                args.out.write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

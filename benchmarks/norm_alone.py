"""What one norm costs on a chip, forward and backward between two dense layers, by the chip's compiler.

    python -m benchmarks.norm_alone [--compile-for v5e] [--batch 128] [--out FILE.json]

A norm of a ViT-S at 196 tokens, weights in float32, tokens in bfloat16: LayerNorm, DTN by its kernel, and DTN as
arrays. It takes minutes where whole models (`benchmarks.norms`) take an hour. Nothing runs; beside the sums stand the
dearest kernels of a step, what they were made for, and their milliseconds by the compiler's cycles.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from vitjax.bench.compiled.environment import prepare

GRID, WIDTH, HEADS = (14, 14), 384, 6
# By what they are called: the norm, and the attention by which kernels are asked for or not.
ROWS = {"layer": ("layer", "auto"), "dtn": ("dtn", "auto"), "dtn as arrays": ("dtn", "products")}


def compiled(name: str, attention: str, batch: int, chip: str) -> dict[str, Any]:
    """Milliseconds of a step, what it moves and sets aside, and its dearest kernels."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from vitjax.bench.compiled import chips
    from vitjax.bench.compiled.estimate import dearest
    from vitjax.bench.compiled.target import OPTIONS, place, told
    from vitjax.models.core.config import ViTConfig
    from vitjax.models.core.execution import Execution
    from vitjax.models.parts.norm import among, norm

    target = chips.chip(chip)
    config = ViTConfig(width=WIDTH, heads=HEADS, norm=name, norm_eps=1e-5, class_token=False, pool="mean")
    made, execution = norm(config, nnx.Rngs(0), grid=GRID), Execution(attention=attention, platform=target.platform)
    half = lambda tree: jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), tree)

    def layer(made, before, after, x):
        made, before, after = half((made, before, after))
        return among(made, None, execution)(x + x @ before) @ after

    def step(made, before, after, x, back):
        return jax.vjp(layer, made, before, after, x)[1](back)

    like = lambda *shape, dtype=jnp.float32: jax.ShapeDtypeStruct(shape, dtype, sharding=place(target))
    tokens = lambda width: like(batch, GRID[0] * GRID[1], width, dtype=jnp.bfloat16)
    made = jax.tree.map(lambda leaf: like(*leaf.shape), made)
    given = made, like(WIDTH, WIDTH), like(WIDTH, 2 * WIDTH), tokens(WIDTH), tokens(2 * WIDTH)
    built = told(target, jax.jit(step).lower(*given).compile(compiler_options=OPTIONS[target.platform]))
    return {
        "ms": 1e3 * sum(kernel.total for kernel in built.kernels),
        "gigabytes_moved": sum(kernel.times * kernel.bytes for kernel in built.kernels) / 1e9,
        "temporary_megabytes": built.temporaries / 1e6,
        "kernels_ms": [[operation, line, round(1e3 * s, 4)] for operation, line, s in dearest(built.kernels, 8)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile-for", metavar="CHIP", default="v5e")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    prepare()
    rows = []
    for called, (name, attention) in ROWS.items():
        rows.append({"norm": called, "batch": args.batch} | compiled(name, attention, args.batch, args.compile_for))
        print(rows[-1], flush=True)
        if args.out:
            args.out.write_text(json.dumps({"compiled_for": args.compile_for, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

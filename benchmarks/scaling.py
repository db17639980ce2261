"""Measures how the cost grows: time per picture over slots, compile time over depth, memory over slots.

    python benchmarks/scaling.py [--slots 64 256 1024 4096] [--depths 3 6 12 24 48] [--out FILE.json]

Slots: the embedded model's second block, one view; memory is what the compiler allots, beside what compiles for 64
and 128 slots predict (`vitjax.optimize.memory`). Depths: models of random weights as wide as it, at their last block.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from flax import nnx

import vitjax
from vitjax.bench.measure import Setting, measure
from vitjax.bench.rates import machine, matmul_rate
from vitjax.models.vit import ViT
from vitjax.optimize.memory import need
from vitjax.optimize.recipes import choose

TAP = "blocks.1.mlp.hidden"
STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[64, 256, 1024, 4096])
    parser.add_argument("--depths", type=int, nargs="+", default=[3, 6, 12, 24, 48])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model, recipe, rate = vitjax.load("demo"), choose("ghiasi", views=1), matmul_rate("float32")
    fixed, each = need(model, TAP, recipe, probes=(64, 128))
    rows = []
    for slots in args.slots:
        row = measure(model, recipe, Setting(TAP, slots, 1, "float32", remat=False), STEPS, rate)
        rows.append(
            {
                "slots": slots,
                "milliseconds_per_slot": 1000 / row.steps_per_second / slots,
                "compile_seconds": row.compile_seconds,
                "megabytes": row.megabytes,
                "predicted_megabytes": (fixed + slots * (each - _held(model))) / 1e6,
            }
        )
        print(rows[-1], flush=True)
    depths = []
    for depth in args.depths:
        deep = ViT(replace(model.config, depth=depth), nnx.Rngs(0))
        setting = Setting(f"blocks.{depth - 1}.mlp.hidden", 4, 1, "float32", remat=False)
        row = measure(deep, recipe, setting, 1, rate)
        depths.append({"depth": depth, "compile_seconds": row.compile_seconds, "megabytes": row.megabytes})
        print(depths[-1], flush=True)
    found = {"machine": machine(), "recipe": asdict(recipe), "tap": TAP, "slots": rows, "depths": depths}
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def _held(model: ViT) -> int:
    """Bytes of a slot's state, three images: `need` counts them, the compiler's temporaries do not."""
    return 3 * 4 * int(np.prod((*model.config.image_size, 3)))


if __name__ == "__main__":
    main()

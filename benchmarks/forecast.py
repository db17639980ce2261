"""Forecasts what a GPU should do: operations and bytes of a step and of all neurons, counted, at the device's rates.

    python benchmarks/forecast.py [--tflops 989 --gigabytes 4800] [--reached 0.7] [--only ViT-B/16]

The rates are a datasheet's (default: H200, dense bfloat16, HBM3e); `--reached` is the share of either that a large
matrix product or copy gets. Bytes are those of the tensors that kernels hand each other through memory, in bfloat16, if
every chain of elementwise operations is one kernel and attention another, which keeps its scores to itself; the tables
below say which. Of two figures the first is the pessimist's, who waits for memory and products in turn, the second the
optimist's, for whom the smaller hides behind the larger. Nothing here was measured on a GPU: `vitjax bench` is to
confirm it.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from vitjax.models.core.config import ViTConfig
from vitjax.optimize.cost import picture_flops, step_flops
from vitjax.optimize.objectives import UnitActivation
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.schedule.plan import plan

# Tensors of a block that are read or written, in units of [token, width]; fc1's are as wide as the ratio says.
FORWARD = {"norm1": 2, "qkv": 4, "attention": 4, "proj and sum": 3, "norm2": 2, "fc1": 1, "fc2 and sum": 2}
FORWARD_WIDE = {"fc1": 1, "gelu": 2, "fc2": 1}
BACKWARD = {"fc2": 1, "fc1": 1, "norm2": 4, "proj": 2, "attention": 4 + 8, "qkv": 4, "norm1": 4}
BACKWARD_WIDE = {"fc2": 1, "gelu": 3, "fc1": 1}
HALF = 2  # bytes

MODELS = {
    "ViT-Ti/16": ViTConfig(width=192, depth=12, heads=3, mlp_width=768),
    "ViT-B/32": ViTConfig(width=768, depth=12, heads=12, mlp_width=3072, patch_size=(32, 32)),
    "ViT-B/16": ViTConfig(width=768, depth=12, heads=12, mlp_width=3072),
    "ViT-B/16 at 384": ViTConfig(width=768, depth=12, heads=12, mlp_width=3072, image_size=(384, 384)),
    "ViT-L/14": ViTConfig(width=1024, depth=24, heads=16, mlp_width=4096, patch_size=(14, 14)),
}


@dataclass(frozen=True)
class Device:
    """Rates that a program can count on, in operations and bytes per second."""

    operations: float
    bytes: float

    def seconds(self, operations: float, moved: float) -> np.ndarray:
        """Of work that needs both: if they take turns, and if they overlap."""
        parts = operations / self.operations, moved / self.bytes
        return np.array([sum(parts), max(parts)])


def step_bytes(config: ViTConfig, block: int, recipe: Recipe) -> float:
    """Bytes that a step of one picture moves for a neuron of `block`: whole blocks before it, attention in its own."""
    narrow = sum(FORWARD.values()) + sum(BACKWARD.values())
    wide = (sum(FORWARD_WIDE.values()) + sum(BACKWARD_WIDE.values())) * config.mlp_width / config.width
    last = narrow - sum(part[name] for part in (FORWARD, BACKWARD) for name in part if name[:3] in ("fc1", "fc2"))
    return HALF * recipe.views * config.tokens * config.width * (block * (narrow + wide) + last)


def picture_seconds(config: ViTConfig, block: int, recipe: Recipe, device: Device) -> np.ndarray:
    """Of a finished picture of a neuron of `block`, as `Device.seconds`."""
    tap = f"blocks.{block}.mlp.hidden"
    return sum(
        leg.recipe.steps
        * device.seconds(step_flops(leg.config, tap, leg.recipe), step_bytes(leg.config, block, leg.recipe))
        for leg in plan(recipe, config, UnitActivation(tap))
    )


def atlas_operations(config: ViTConfig, recipe: Recipe) -> float:
    """Of a picture of every neuron."""
    taps = [f"blocks.{block}.mlp.hidden" for block in range(config.depth)]
    return config.mlp_width * sum(picture_flops(config, tap, recipe) for tap in taps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tflops", type=float, default=989)
    parser.add_argument("--gigabytes", type=float, default=4800)
    parser.add_argument("--reached", type=float, default=0.7)
    parser.add_argument("--only", default="", help="of the models, those whose names have this in them")
    args = parser.parse_args()
    device = Device(args.reached * args.tflops * 1e12, args.reached * args.gigabytes * 1e9)
    ghiasi, fast = choose("ghiasi"), choose("fast")
    print(
        "| | TFLOP a step | GB a step | ms | of the product's rate | all neurons: PFLOP | by `fast` | hours |"
        " by `fast` |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, config in ((name, config) for name, config in MODELS.items() if args.only in name):
        last = config.depth - 1
        operations = step_flops(config, f"blocks.{last}.mlp.hidden", ghiasi)
        seconds = picture_seconds(config, last, ghiasi, device) / ghiasi.steps
        hours = [
            sum(picture_seconds(config, block, recipe, device) for block in range(config.depth))
            * config.mlp_width
            / 3600
            for recipe in (ghiasi, fast)
        ]
        counted = " | ".join(f"{atlas_operations(config, recipe) / 1e15:,.1f}" for recipe in (ghiasi, fast))
        columns = [1000 * seconds, 100 * operations / seconds / device.operations, *hours]
        units = "{:.2f} – {:.2f}", "{:.0f} – {:.0f} %", "{:.2f} – {:.2f}", "{:.3f} – {:.3f}"
        step, share, *times = (unit.format(*column) for unit, column in zip(units, columns, strict=True))
        shown = " | ".join([step, share, counted, *times])
        print(f"| {name} | {operations / 1e12:.3f} | {step_bytes(config, last, ghiasi) / 1e9:.2f} | {shown} |")


if __name__ == "__main__":
    main()

"""How long it takes to compile a model whose every block is read: blocks read alike are compiled as one.

    python benchmarks/compile_reads.py [--depth 12] [--json FILE.json]

Beside each stands the same with the blocks unrolled, as they are where each is edited: the edits here change nothing.
Seconds are of the processor, all threads together, so that other work on the machine does not count.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from vitjax.models.core.config import ViTConfig
from vitjax.models.registry import abstract
from vitjax.models.vit import ViT

READS = {"neurons": ("mlp.hidden",), "streams": ("resid_post",), "attention": ("attn.probs",)}
SIDE = 224


def seconds(function: Callable, *args) -> float:
    """Processor seconds of tracing, lowering and compiling."""
    clock = time.process_time()
    jax.jit(function).lower(*args).compile()
    return time.process_time() - clock


def measure(depth: int) -> list[dict[str, object]]:
    """A row for each set of reads, forward alone and with the gradient at the image."""
    model = abstract(ViTConfig(depth=depth))
    image = jax.ShapeDtypeStruct((4, SIDE, SIDE, 3), jnp.float32)
    sets = {name: [f"blocks.{i}.{tap}" for i in range(depth) for tap in taps] for name, taps in READS.items()}
    sets["everything"] = list(model.taps())
    still = {f"blocks.{i}.resid_pre": lambda x: x for i in range(depth)}
    kinds = [(name, kind) for name in sets for kind in ("forward", "gradient")]
    return [row(name, kind, sets[name], model, image, still) for name, kind in kinds]


def row(name: str, kind: str, reads: list[str], model: ViT, image: jax.ShapeDtypeStruct, still: dict) -> dict:
    """The seconds of one set of reads, scanned and unrolled."""

    def total(images, model, edits):
        found = model(images, reads, edits)
        return sum(value.astype(jnp.float32).sum() for value in found.values()), found

    run = total if kind == "forward" else jax.grad(total, has_aux=True)
    scanned, unrolled = (seconds(partial(run, edits=edits), image, model) for edits in (None, still))
    share = scanned / unrolled
    print(f"{name:12} {kind:9} {scanned:6.1f} s   unrolled {unrolled:6.1f} s   share {share:5.2f}", flush=True)
    return {"reads": name, "pass": kind, "scanned_s": scanned, "unrolled_s": unrolled, "share": share}


def main() -> None:
    """Prints the table, and writes it where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=12, help="blocks of the ViT-Ti/16 (default: 12)")
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="write the rows")
    args = parser.parse_args()
    rows = measure(args.depth)
    if args.json:
        args.json.write_text(json.dumps({"depth": args.depth, "jax": jax.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

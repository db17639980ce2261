"""How near the loop comes to its products: their rates alone in XLA and in PyTorch, side by side, and a step's time.

    python -m benchmarks.floor --model FOLDER [--blocks 8 11] [--rounds 7] [--out FILE.json]

All on one thread, taking turns, in processor seconds, which other work on the machine lengthens least; the least of all
rounds counts. The products are those of the blocks that a step of one picture runs, recipe `ghiasi`, forward and to
their inputs, with the scores computed once more in the backward pass; those of the embedding are left out. A step
cannot take less than they do; what it takes beyond is softmax, GELU, norms, copies, and the picture itself.

FOLDER holds a checkpoint; a name of timm's, e.g. vit_base_patch32_224, gets random weights.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import torch

import vitjax
from benchmarks.peers import compiled, ours, random_checkpoint, torch_model, up_to
from vitjax.bench.rates import machine
from vitjax.models.core.network import Network
from vitjax.optimize.recipes import GHIASI

Product = tuple[int, int, int, int]  # how many of them at once, rows, what is summed over, columns


def products(model: Network, block: int) -> dict[Product, int]:
    """The products of a step for a neuron of a block, and how often each is taken."""
    config, before = model.config, block  # the last block gives one unit: its MLP takes no product
    tokens, width, wide, heads = config.patches + config.prefix, config.width, config.mlp_width, config.heads
    rows, batch, size = GHIASI.views * tokens, GHIASI.views * heads, width // heads
    counts = {
        (1, rows, width, 3 * width): before + 1,
        (1, rows, 3 * width, width): before + 1,
        (1, rows, width, width): 2 * before + 2,
        (1, rows, width, wide): 2 * before,
        (1, rows, wide, width): 2 * before,
        (batch, tokens, size, tokens): 3 * before + 2,
        (batch, tokens, tokens, size): 4 * before + 4,
    }
    return {product: times for product, times in counts.items() if times}


def operations(product: Product) -> int:
    """Of one product."""
    return 2 * int(np.prod(product))


def least(runs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """The fewest processor seconds that each of several calls takes, of rounds of at least 50 ms that take turns."""
    found = [[] for _ in runs]
    for turn in range(rounds + 1):
        for run, seconds in zip(runs, found, strict=True):
            clock, calls = time.process_time(), 0
            while calls == 0 or time.process_time() - clock < 0.05:
                run()
                calls += 1
            if turn:  # the first turn compiles and warms up
                seconds.append((time.process_time() - clock) / calls)
    return [min(seconds) for seconds in found]


def alone(product: Product, rounds: int) -> list[float]:
    """Seconds of a product in XLA and in PyTorch."""
    count, rows, inner, columns = product
    draw = np.random.default_rng(0).standard_normal
    a, b = (draw(shape, np.float32) for shape in ((count, rows, inner), (count, inner, columns)))
    a, b = (a, b) if count > 1 else (a[0], b[0])
    mine, theirs, times = (jnp.asarray(a), jnp.asarray(b)), (torch.tensor(a), torch.tensor(b)), jax.jit(jnp.matmul)
    return least([lambda: jax.block_until_ready(times(*mine)), lambda: torch.matmul(*theirs)], rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--blocks", type=int, nargs="+", default=[8, 11])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before either library counts the cores
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        known = Path(args.model).is_dir()
        folder = Path(args.model) if known else random_checkpoint(args.model, Path(temporary))
        model, rates, rows = vitjax.load(folder), {}, []
        for block in args.blocks:
            counts = products(model, block)
            rates |= {product: alone(product, args.rounds) for product in counts if product not in rates}
            own = torch_model(folder)
            steps = {
                "vitjax": ours(model, f"blocks.{block}.mlp.hidden", 1, 1),
                "pytorch": compiled(up_to(own, block), own.patch_embed.img_size[0], 1),
            }
            row = {"block": block, "operations": sum(operations(one) * n for one, n in counts.items())}
            taken = least([lambda run=run: run(1) for run in steps.values()], args.rounds)
            for place, (name, step) in enumerate(zip(steps, taken, strict=True)):
                bare = sum(rates[product][place] * n for product, n in counts.items())
                row[name] = {"products_ms": 1e3 * bare, "step_ms": 1e3 * step, "share": bare / step}
                print(
                    f"block {block:2}, {name:8}: products {1e3 * bare:5.0f} ms, step {1e3 * step:5.0f} ms", flush=True
                )
            rows.append(row)
    table = []
    for product, seconds in rates.items():
        rate = {name: operations(product) / each for name, each in zip(steps, seconds, strict=True)}
        table.append({"product": product, "operations_per_second": rate})
        print(*product, {name: f"{each / 1e9:.0f} GFLOP/s" for name, each in rate.items()})
    if args.out:
        record = {"machine": machine() | {"torch": torch.__version__}, "model": Path(args.model).name}
        args.out.write_text(json.dumps(record | {"products": table, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

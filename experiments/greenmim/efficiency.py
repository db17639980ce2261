"""What green masked image modelling saves against SimMIM, whose encoder sees all tokens, at 224 pixels and at 192.

    python -m experiments.greenmim.efficiency [--model swin_base_patch4_window7_224] [--batch 2] [--turns 3]
    python -m experiments.greenmim.efficiency --model twins_svt_large
    python -m experiments.greenmim.efficiency --compile-for v5e --batch 64

A row is a contender: operations of an image (multiply-adds forward by our count of products; forward and backward by
XLA's count of the whole program, all blocks unrolled and nothing computed twice), temporary memory of a step at two
batches and its slope, and seconds of a step, in which the contenders take turns: each round a step of each, with
another mask. A step is loss and gradients of all parameters in float32. `ratios` are over green's.

With `--compile-for` nothing runs: a chip's compiler says the memory and the time of a step in bfloat16 (see
`vitjax bench`), with products written down in all contenders alike.

Results of a model and a machine are an entry of `results/efficiency.json`, written anew as rows come; others stay.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitjax.bench.compiled.environment import prepare

OUT = Path(__file__).parent / "results" / "efficiency.json"
GREEN, ONE_GROUP = "green", "green, one group"
SIDES = (224, 192)
ALL = [GREEN, *(f"simmim {side}" for side in SIDES), ONE_GROUP]
ROUNDS = "seconds_a_step"  # of each
SLOPE = 4  # times the batch that memory is read at, for its slope


@dataclass(frozen=True)
class Contender:
    """A way to pretrain.

    Attributes:
        task: see `vitjax.train.task`.
        side: pixels of an image.
    """

    task: Any
    side: int


def contenders(args: argparse.Namespace, execution: Any) -> dict[str, Contender]:
    """Those of `--contenders`: green, SimMIM at both sizes, and green with one group a stage."""
    from experiments.greenmim.simmim import SimMIM
    from vitjax.train.green.bank import Packing
    from vitjax.train.green.encode import Encoding
    from vitjax.train.green.mim import GreenConfig, GreenMIM
    from vitjax.weights.families.timm.models import by_name

    config = replace(by_name(args.model), classes=0)
    sized = getattr(config, "scaled", lambda size: replace(config, image_size=size))
    green = GreenConfig(config, encoding=Encoding(execution), bank=args.bank)
    found = {GREEN: Contender(GreenMIM(green), SIDES[0])}
    found |= {f"simmim {side}": Contender(SimMIM(sized((side, side)), execution=execution), side) for side in SIDES}
    found[ONE_GROUP] = Contender(GreenMIM(replace(green, packing=Packing("one-group"), bank=8)), SIDES[0])
    return {name: one for name, one in found.items() if name in args.contenders}


def step(task: Any):
    """Loss and gradients, of (what is learned, images, key)."""
    import jax

    return jax.jit(jax.value_and_grad(lambda learned, images, key: task.loss(learned, {"images": images}, key)[0]))


def arguments(one: Contender, batch: int, dtype: str = "float32") -> tuple:
    """Shapes of what `step` takes."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from vitjax.models.core.surroundings import key

    learned = jax.eval_shape(lambda: one.task.start(nnx.Rngs(key(0))))
    learned = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), learned)
    images = jax.ShapeDtypeStruct((batch, one.side, one.side, 3), jnp.float32)
    return learned, images, jax.eval_shape(lambda: key(0))


def here(args: argparse.Namespace) -> Iterator[dict[str, dict]]:
    """The rows of this machine, each time that they are fuller."""
    import jax
    import numpy as np
    from flax import nnx

    from vitjax.models.core.execution import PLAIN, Execution
    from vitjax.models.core.surroundings import key
    from vitjax.train.green.mim import GreenMIM
    from vitjax.train.green.operations import of_green, of_simmim

    rows: dict[str, dict] = {}
    for name, one in contenders(args, Execution(scan=False, recompute=False)).items():
        count = of_green(one.task.config) if isinstance(one.task, GreenMIM) else of_simmim(one.task.encoder)
        rows[name] = {"gmacs": count.total / 1e9}
        counted = step(one.task).lower(*arguments(one, args.batch)).cost_analysis()
        rows[name]["xla_gflops"] = counted["flops"] / args.batch / 1e9
        yield rows
    running, rng = {}, np.random.default_rng(0)
    for name, one in contenders(args, PLAIN).items():
        few, more = (step(one.task).lower(*arguments(one, args.batch * times)).compile() for times in (1, SLOPE))
        megabytes = [found.memory_analysis().temp_size_in_bytes / 1e6 for found in (few, more)]
        rows[name] |= {
            "temporary_mb": megabytes,
            "mb_an_image": (megabytes[1] - megabytes[0]) / args.batch / (SLOPE - 1),
        }
        learned = jax.jit(lambda one=one: one.task.start(nnx.Rngs(key(0))))()
        images = rng.standard_normal((args.batch, one.side, one.side, 3), np.float32)
        running[name] = few, learned, images
        yield rows
    seconds: dict[str, list[float]] = {name: [] for name in running}
    for turn in range(args.turns + 1):
        for name, (program, learned, images) in running.items():
            clock = time.perf_counter()
            jax.block_until_ready(program(learned, images, key(turn)))
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - clock)
    for name, found in seconds.items():
        rows[name][ROUNDS] = found
    yield rows


def there(args: argparse.Namespace) -> Iterator[dict[str, dict]]:
    """The rows of a chip that is not here, by its compiler, each time that there is one more."""
    import jax

    from vitjax.bench.compiled.chips import chip
    from vitjax.bench.compiled.estimate import untimed
    from vitjax.bench.compiled.target import OPTIONS, place, told
    from vitjax.models.core.execution import Execution

    on, rows = chip(args.compile_for), {}
    execution = Execution(attention="products").on(on.platform)
    for name, one in contenders(args, execution).items():
        placed = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place(on))
        given = jax.tree.map(placed, arguments(one, args.batch, "bfloat16"))
        built = told(on, step(one.task).lower(*given).compile(compiler_options=OPTIONS[on.platform]))
        rows[name] = {
            "temporary_gb": built.temporaries / 1e9,
            "ms_a_step": 1e3 * sum(kernel.total for kernel in built.kernels),
            "gb_moved": sum(kernel.times * kernel.bytes for kernel in built.kernels) / 1e9,
            "untimed": dict(untimed(built.kernels)),
        }
        yield rows


def ratios(rows: dict[str, dict]) -> dict[str, dict[str, float]]:
    """How many times green's each of a contender's numbers is; of seconds the median of the rounds' ratios."""
    least = rows[GREEN]
    return {name: dict(_ratios(row, least)) for name, row in rows.items() if name != GREEN}


def _ratios(row: dict, least: dict) -> Iterator[tuple[str, float]]:
    for what, value in row.items():
        if isinstance(value, float) and what in least:
            yield what, value / least[what]
        elif what == ROUNDS and what in least:
            rounds = [slow / fast for slow, fast in zip(value, least[what], strict=True)]
            yield from {"seconds": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}.items()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="swin_base_patch4_window7_224", help="an architecture of timm's")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--bank", type=int, default=512, help="masks")
    parser.add_argument("--contenders", nargs="+", choices=ALL, default=ALL, help="green among them")
    parser.add_argument("--turns", type=int, default=3, help="rounds that are timed")
    parser.add_argument("--compile-for", metavar="CHIP", help="a chip that is not here, e.g. v5e")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if args.compile_for:
        prepare()
    from vitjax.bench.rates import machine

    what = f"{args.model}, batch {args.batch}, {args.compile_for or 'here'}"
    about = {"compiled for": args.compile_for} if args.compile_for else machine()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for rows in (there if args.compile_for else here)(args):
        record = json.loads(args.out.read_text()) if args.out.exists() else {}
        record[what] = {"machine": about, "rows": rows, "ratios": ratios(rows)}
        args.out.write_text(json.dumps(record, indent=1) + "\n")
        for name, found in record[what]["ratios"].items():
            print(name, {key: round(value, 2) for key, value in found.items()}, flush=True)


if __name__ == "__main__":
    main()

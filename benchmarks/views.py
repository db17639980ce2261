"""Measures views: those of all units after every block, at one token of one image, in one compiled call.

    python benchmarks/views.py --model FOLDER [--token class] [--rounds 5] [--out FILE]

The call runs the model, rolls out its attention and paints width x depth pictures of the model's size, as bytes, and as
the floats behind them; beside it the bare forward pass. Memory is what the compiler allots: temporaries and result.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

import vitjax
from vitjax.analysis.views.views import shown, views

MB = 1e6


def measured(function, *arguments, rounds: int) -> tuple[dict[str, float], jax.Array]:
    """Seconds to compile and to run, and megabytes; and the result."""
    start = time.perf_counter()
    compiled = jax.jit(function).lower(*arguments).compile()
    found = {"compile_s": time.perf_counter() - start, "rounds_s": []}
    for _ in range(rounds):
        start = time.perf_counter()
        result = jax.block_until_ready(compiled(*arguments))
        found["rounds_s"].append(time.perf_counter() - start)
    memory = compiled.memory_analysis()
    sizes = {"temporary_mb": memory.temp_size_in_bytes / MB, "result_mb": memory.output_size_in_bytes / MB}
    return found | {"median_s": statistics.median(found["rounds_s"])} | sizes, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--token", default="class")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    image = jax.random.uniform(jax.random.key(0), (1, *model.config.image_size, 3))
    floats = partial(views, layers=range(1, model.config.depth + 1), tokens=[args.token])
    calls = {
        "forward": lambda model, image: model(image)[model.output],
        "pictures": lambda model, image: shown(floats(model, image)),
        "floats": floats,
    }
    found = {
        "model": args.model if args.model == "demo" else Path(args.model).name,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "units": model.config.width,
        "layers": model.config.depth,
    }
    for name, call in calls.items():
        found[name], result = measured(call, model, image, rounds=args.rounds)
        found[name]["shape"] = list(jnp.shape(result))
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

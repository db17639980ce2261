"""Paints many latents of a dictionary in one run, and says how many programs were compiled for that and how long.

    python -m benchmarks.latents --count 1000 [--model FOLDER --dictionary RUN/dictionary] [--out FILE.json]

Without a dictionary the embedded model is given a random one: what is compiled does not depend on what it has learned.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from vitjax.bench.rates import machine
from vitjax.models.core.network import Network
from vitjax.models.dictionaries.dictionary import Dictionary
from vitjax.models.dictionaries.form import Form
from vitjax.optimize import loop
from vitjax.optimize.recipes import choose
from vitjax.optimize.visualize import visualize
from vitjax.weights.load import load


def with_random(model: Network, width: int) -> Network:
    """The model with a dictionary of random directions of its last block but one."""
    tap = [tap for tap in model.taps() if tap.endswith(".resid_post")][-2]
    rows = np.random.default_rng(0).standard_normal((width, model.taps()[tap].shape[-1])).astype(np.float32)
    return model.with_dictionary(Dictionary(Form(tap), {"encoder": rows.T, "decoder": rows}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--dictionary")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--steps", type=int, help="of the recipe, without its stages: programs alone are of interest")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = load(args.model, dictionaries=[args.dictionary] if args.dictionary else ())
    model = model if args.dictionary else with_random(model, args.count)
    tap = model.dictionaries[0].taps[1]
    changes = {"steps": args.steps, "stages": ()} if args.steps else {}
    recipe = choose(args.recipe, **changes)
    loop.advance.clear_cache()
    clock = time.perf_counter()
    pictures = visualize(model, f"{tap}:0-{args.count - 1}", recipe, batch=args.batch)
    took = {"seconds": round(time.perf_counter() - clock, 1), "processor_seconds": round(time.process_time(), 1)}
    found = {"model": Path(args.model).name, "tap": tap, "latents": len(pictures.images), "batch": args.batch}
    found |= {"recipe": args.recipe, "steps": args.steps, "programs": loop.advance._cache_size(), **took}
    print(found)
    if args.out:
        args.out.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

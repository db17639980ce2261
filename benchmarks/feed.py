"""Times a training's input beside its step, taking turns in one run, and watches memory over the images.

    python -m benchmarks.feed --data FOLDER --model experiments/greenmim/configs/swin.json [--out FILE.json]

Printed are images/s of the input alone and of the step alone in each dtype, and how many megabytes this process holds
after each tenth of an epoch of the input. The step is that of `vitjax finetune`; that of `vitjax pretrain` is shorter.
On shared processors only ratios mean something.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from vitjax.data.files.open import open_images
from vitjax.models.core.preprocess import Input
from vitjax.train.classification import Classification
from vitjax.train.feed.feed import Feed
from vitjax.train.initial import initial
from vitjax.train.loop.mesh import mesh, on_devices
from vitjax.train.loop.step import program
from vitjax.train.settings import FINETUNE, PRODUCTS

TENTHS = 10


def held() -> float:
    """Megabytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--classes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8, help="of the input in each round; of a step there are two")
    parser.add_argument("--dtypes", nargs="+", default=["float32", PRODUCTS])
    parser.add_argument("--epochs", type=float, default=1.0, help="that memory is watched for")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    images, config = open_images(args.data), replace(initial(args.model)[0], classes=args.classes)
    settings, devices = replace(FINETUNE, batch=args.batch), mesh(args.batch)
    steps = round(args.epochs * len(images) / args.batch)
    feed = Feed(images, Input.of(config), args.batch, steps + args.rounds * args.steps + 1)
    batches = feed.begin()
    batch = {**next(batches), "labels": np.zeros(args.batch, np.int32)}
    runs = {}
    for dtype in args.dtypes:
        made = program(Classification(config), settings, dtype, len(images), devices)
        runs[dtype] = [made.advance, made.start()]
    rates: dict[str, list[float]] = {"input": [], **{dtype: [] for dtype in runs}}
    for turn in range(args.rounds + 1):  # the first compiles
        clock = time.perf_counter()
        for _ in range(args.steps if turn else 0):
            next(batches)
        if turn:
            rates["input"].append(args.steps * args.batch / (time.perf_counter() - clock))
        for dtype, run in runs.items():
            clock = time.perf_counter()
            for _ in range(2):
                run[1], told = run[0](run[1], on_devices(batch, devices))
            jax.block_until_ready(told)
            if turn:
                rates[dtype].append(2 * args.batch / (time.perf_counter() - clock))
    found = {name: round(float(np.median(some)), 1) for name, some in rates.items()}
    print("images/s: " + ", ".join(f"{name} {rate}" for name, rate in found.items()), flush=True)
    memory = [round(held())]
    for step in range(steps):
        next(batches)
        if (step + 1) % max(1, steps // TENTHS) == 0:
            memory.append(round(held()))
            print(f"after {(step + 1) * args.batch} images {memory[-1]} MB", flush=True)
    batches.close()
    if args.out:
        about = {"model": Path(args.model).name, "batch": args.batch, "images": len(images)}
        args.out.write_text(json.dumps(about | {"images_per_second": found, "megabytes": memory}, indent=1) + "\n")


if __name__ == "__main__":
    main()

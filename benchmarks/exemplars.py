"""Measures exemplars: all neurons' best images in one pass, beside the bare forward pass over the same images.

    python benchmarks/exemplars.py --model FOLDER --data images.zip [--rounds 3] [--batch 50] [--out FILE]

The two take turns in one process after both are compiled; the figure is the ratio of their times, round by round. The
bare pass reads the same files through the same pipeline and stops at the logits.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import jax

import vitjax
from vitjax.analysis.ablations.accuracy import plain
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.study.passes import Pace, over
from vitjax.data.dataset import open_dataset
from vitjax.units.units import matching


def timed(function) -> float:
    """Seconds that `function()` takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    taps = matching("blocks.*.mlp.hidden", model.taps())
    data = open_dataset(args.data, model.config, batch=args.batch, limit=args.limit)
    logits = over(model, args.batch, plain)

    def bare() -> None:
        pace = Pace()
        jax.block_until_ready([pace(logits(batch.images)) for batch in data.batches()])

    warm = open_dataset(args.data, model.config, batch=args.batch, limit=args.batch)
    logits(next(iter(warm.batches())).images)
    compiled = timed(lambda: exemplars(model, data, taps))
    rounds = [
        {"bare": timed(bare), "exemplars": timed(lambda: exemplars(model, data, taps))} for _ in range(args.rounds)
    ]
    ratios = [one["exemplars"] / one["bare"] for one in rounds]
    found = {
        "model": args.model if args.model == "demo" else Path(args.model).name,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "images": len(data.images),
        "batch": args.batch,
        "units": sum(model.taps()[tap].shape[-1] for tap in taps),
        "first_pass_s": compiled,
        "rounds": rounds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

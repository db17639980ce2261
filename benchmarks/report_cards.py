"""Report cards of one tap beside the forward passes that they take: is anything else what one waits for?

    python benchmarks/report_cards.py --model FOLDER [--tap blocks.6.mlp.hidden] [--pictures 1000] [--out FILE]

Pictures and photographs are made up: what they show costs nothing. A card takes twelve forward passes: of the picture
as it is, under ten held-out changes and, as far as the tap whose embeddings are compared, once more. `share` is what
all the rest (changes, JPEG, spectra, noise, ranks) takes, in units of the forward passes alone.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import vitjax
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grading import Finished
from vitjax.analysis.report.held_out import CHANGES
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.yardstick import middle, yardstick
from vitjax.analysis.study.passes import on_pictures
from vitjax.data.dataset import open_dataset
from vitjax.units.units import expand, matching

FORMS = 2 + len(CHANGES)  # the picture as it is, and through JPEG


def made_up(count: int, size: tuple[int, int], seed: int) -> list[Image.Image]:
    """Smooth random pictures."""
    noise = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return [Image.fromarray(some).resize(size[::-1], Image.Resampling.BICUBIC) for some in noise]


def forward(model, images, *, tap: str):
    """As far as a tap, as `passes.over` takes it."""
    return (model(images, tap)[tap].mean(axis=1),)


def seconds(call, rounds: int) -> float:
    """The fastest of several rounds, after one that compiles."""
    call()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--tap", help="default: the neurons of a middle block")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--photographs", type=int, default=500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    taps = matching(model.neurons, model.taps())
    tap = args.tap or taps[len(taps) // 2]
    size = model.config.image_size
    data = open_dataset(made_up(args.photographs, size, 0), model, batch=args.batch)
    measure = yardstick(model, data, exemplars(model, data, tap))
    units = expand(f"{tap}:*", model.taps())
    units = [units[i % len(units)] for i in range(args.pictures)]
    entries = Finished(np.stack([np.asarray(image) for image in made_up(args.pictures, size, 1)]), units)
    run = lambda tap: seconds(
        lambda: on_pictures(model, forward, entries.images, batch=args.batch, tap=tap), args.rounds
    )
    passes = FORMS * run(tap) + run(middle(model))
    graded = seconds(lambda: report_cards(model, entries, measure, batch=args.batch), args.rounds)
    found = {
        "model": args.model if args.model == "demo" else Path(args.model).name,
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "tap": tap,
        "pictures": args.pictures,
        "forward_s": passes,
        "cards_s": graded,
        "share": graded / passes - 1,
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

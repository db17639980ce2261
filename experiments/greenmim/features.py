"""Pictures of neurons of a Swin that learned from masked images, above those of one that learned classes.

    python -m experiments.greenmim.features --masked runs/green-swin/model --classes runs/supervised/model

Neurons of every block are drawn at random, the same numbers in both models. These began with different weights, so that
two neurons of a number have nothing to do with each other: what is to be compared are rows.
"""

import argparse
from pathlib import Path

import numpy as np

import vitjax
from vitjax.optimize.results.sheets import table_sheet
from vitjax.units.units import caption, expand, neurons, sample

MODELS = "masked", "classes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in MODELS:
        parser.add_argument(f"--{name}", required=True, metavar="MODEL")
    parser.add_argument("--count", type=int, default=6, help="neurons of a block")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "features.webp")
    args = parser.parse_args()
    models = {name: vitjax.load(getattr(args, name)) for name in MODELS}
    taps = neurons(models[MODELS[0]])
    chosen = [sample(expand(f"{tap}:*", models[MODELS[0]].taps()), args.count, args.seed) for tap in taps]
    rows: dict[str, list] = {name: [] for name in MODELS}
    for name, model in models.items():
        made = iter(
            vitjax.visualize(model, [unit for row in chosen for unit in row], args.recipe, seed=args.seed).images
        )
        rows[name] = [[next(made) for _ in row] for row in chosen]
    numbers = [[str(unit.index[0]) for unit in row] for row in chosen]
    labels = [f"{caption(tap).removesuffix('.mlp.hidden')}, {name}" for tap in taps for name in MODELS]
    cells: list[list[np.ndarray]] = [rows[name][i] for i in range(len(chosen)) for name in MODELS]
    captions = [numbers[i] for i in range(len(chosen)) for _ in MODELS]
    table_sheet(cells, labels, [""] * args.count, captions).save(args.out, quality=75)
    print(args.out)


if __name__ == "__main__":
    main()

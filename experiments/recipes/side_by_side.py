"""Recipes on the same random units: how often does a picture beat the best natural photograph, and at what cost?

    python experiments/recipes/side_by_side.py --model FOLDER --images images.zip --out FOLDER
        [--recipes default ghiasi] [--count 64 12] [--seed 7]

The units are MLP neurons drawn evenly over all blocks; `--count` says how many for each recipe, fewer being a part of
more. For each, the activation of its finished picture, as its bytes stand and averaged over patch tokens, is divided by
the highest activation among the photographs. Ghiasi et al. 2022 leave some neurons grey: their GELU is flat where the
optimisation starts. Pictures are kept in `--out`, a recipe a folder, and a run that was stopped goes on; Ctrl-C ends a
recipe with what is finished. Then it writes `table.json` and a contact sheet per recipe.
"""

import argparse
import contextlib
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

import vitjax
from vitjax.analysis.passes import over
from vitjax.data.images import open_images
from vitjax.data.pipeline import Batches
from vitjax.models.vit import ViT
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.pictures import append, read_record, write_sheet
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.units import Unit, expand, sample
from vitjax.optimize.visualize import paint
from vitjax.optimize.workers import Starts


def natural_maxima(model: ViT, images: Path, units: list[Unit], batch: int = 25) -> np.ndarray:
    """The highest activation of each unit, averaged over patch tokens, among the photographs: [unit]."""
    taps = sorted({unit.tap for unit in units})

    def means(model, photos):
        return {tap: value[:, model.config.prefix :].mean(axis=1) for tap, value in model(photos, taps).items()}

    run, best = over(model, batch, means), np.full(len(units), -np.inf)
    for some in tqdm(Batches(open_images(images), model.config, batch), desc="photographs", unit="batch"):
        if (there := some.place >= 0).any():
            seen = {tap: np.asarray(value)[there].max(axis=0) for tap, value in run(some.images).items()}
            best = np.maximum(best, [seen[unit.tap][unit.index] for unit in units])
    return best


def activations(
    model: ViT, name: str, recipe: Recipe, units: list[Unit], out: Path, batch: int, starts: Starts | None = None
) -> dict[str, float]:
    """Makes the pictures that `out` does not hold yet; gives {unit: activation} of all that are finished.

    `starts` gives the images that units begin with, in place of noise.
    """
    known = {row["unit"] for row in read_record(out).get("pictures", [])}
    missing = [unit for unit in units if str(unit) not in known]
    with tqdm(total=len(missing), desc=name, unit="picture") as bar, contextlib.suppress(KeyboardInterrupt):
        for pictures in paint(model, missing, recipe, batch=batch, starts=starts) if missing else ():
            append(out, pictures)
            bar.update(len(pictures))
    return {row["unit"]: row["activation"] for row in read_record(out)["pictures"]}


def summary(
    model: ViT, recipe: Recipe, units: list[Unit], reached: dict[str, float], natural: dict[Unit, float]
) -> dict:
    """Share of units whose picture beats the best photograph, the ratios' geometric mean among those, and the cost."""
    activation = np.array([reached[str(unit)] for unit in units])
    best = np.array([natural[unit] for unit in units])
    ratio, wins = activation / best, activation > best
    cost = np.mean([picture_flops(model.config, unit.tap, recipe) for unit in units])
    return {
        "units": len(units),
        "beat_best_photo": int(wins.sum()),
        "share": round(float(wins.mean()), 4),
        "geometric_mean_ratio": round(float(np.exp(np.log(ratio[wins]).mean())), 3),
        "median_ratio": round(float(np.median(ratio)), 3),
        "teraflop_per_picture": round(float(cost) / 1e12, 3),
        "ratio": {str(unit): round(float(value), 3) for unit, value in zip(units, ratio, strict=True)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", type=Path, required=True, help="folder or zip of natural photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=["default", "ghiasi"])
    parser.add_argument(
        "--count", type=int, nargs="+", default=[64], help="units of each recipe; the last for the rest"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    everything = expand("blocks.*.mlp.hidden:*", model.taps())
    drawn = sample(everything, max(args.count), args.seed)
    natural = dict(zip(drawn, natural_maxima(model, args.images, drawn), strict=True))
    table = {"seed": args.seed, "natural": {str(unit): round(float(best), 5) for unit, best in natural.items()}}
    for i, name in enumerate(args.recipes):
        recipe, folder = choose(name), args.out / name
        units = sample(everything, args.count[min(i, len(args.count) - 1)], args.seed)
        reached = activations(model, name, recipe, units, folder, args.batch)
        units = [unit for unit in units if str(unit) in reached]
        table[name] = summary(model, recipe, units, reached, natural)
        print(name, {key: value for key, value in table[name].items() if key != "ratio"})
        print("contact sheet:", write_sheet(folder))
        (args.out / "table.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()

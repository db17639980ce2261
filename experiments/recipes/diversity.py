"""Several pictures of a unit: do they differ, and is each still a good one?

    python -m experiments.recipes.diversity --model FOLDER --images images.zip --out FOLDER [--count 6] [--variants 4]

Neurons drawn evenly over all blocks (as in frontier.py) get `--variants` pictures each by the recipe
`--recipe`, once with nothing between them but their seeds, once held apart (`Recipe.diversity`). A row of the table is
a way: share of pictures that beat the unit's best photograph, the geometric mean of that ratio, verdicts, and how alike
the pictures of a unit are: mean cosine, where the report card compares pictures, of their distances from the mean
photograph. Pictures are kept in `--out`, and a run that was stopped goes on.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

import vitjax
from experiments.recipes.painting import painted
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grading import read_finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.verdicts import WORDS
from vitjax.analysis.report.yardstick import yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.dataset import open_dataset
from vitjax.optimize.recipes import RECIPES, choose
from vitjax.optimize.results.pictures import write_sheet
from vitjax.optimize.visualize import varied
from vitjax.units.units import expand, sample


def alike(embeddings: np.ndarray, centre: np.ndarray, groups: list[str]) -> float:
    """The mean cosine of two pictures of a unit, over all pairs of all units; embeddings are seen from `centre`."""
    vectors = embeddings - centre
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [(i, j) for i, j in combinations(range(len(groups)), 2) if groups[i] == groups[j]]
    return float(np.mean([vectors[i] @ vectors[j] for i, j in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    parser.add_argument("--out", type=Path, required=True, help="for the pictures")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--recipe", default="fast", choices=list(RECIPES))
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--diversity", type=float, nargs="+", default=[0.0, 0.15, 0.3])
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    units = sample(expand(f"{model.neurons}:*", model.taps()), args.count, args.seed)
    data = open_dataset(args.images, model.config, batch=25)
    measure = yardstick(model, data, exemplars(model, data, sorted({unit.tap for unit in units})))
    rows = []
    for diversity in args.diversity:
        recipe = choose(args.recipe, variants=args.variants, diversity=diversity)
        folder = args.out / f"diversity-{diversity}"
        painted(model, f"diversity {diversity}", recipe, varied(units, recipe), folder, args.variants)
        print(write_sheet(folder))
        entries, _ = read_finished(folder, model)
        graded = list(report_cards(model, entries, measure, batch=args.variants))
        ratios = np.array([card["ratio"] for card in graded])
        embeddings = measure.embed(entries.images, args.variants)
        row = {
            "diversity": diversity,
            "pictures": len(graded),
            "beat_best_photo": float((ratios > 1).mean()),
            "geometric_mean_ratio": float(np.exp(np.log(np.maximum(ratios, 0.01)).mean())),
            "alike": alike(
                embeddings, measure.photos.mean(axis=0), [str(unit).split("#")[0] for unit in entries.units]
            ),
        }
        rows.append(row | {word: sum(card["verdict"] == word for card in graded) for word in WORDS})
        print(rows[-1])
    about = settings(model, data, recipe=args.recipe, variants=args.variants, seed=args.seed)
    print(*Findings("diversity", rows, about, {}).save(args.results), sep="\n")


if __name__ == "__main__":
    main()

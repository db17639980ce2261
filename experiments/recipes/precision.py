"""Are pictures that bfloat16 painted as good as those of float32? Report cards of the same neurons, side by side.

    python -m experiments.recipes.precision --model FOLDER --images images.zip --out FOLDER [--recipe fast]
    python -m experiments.recipes.precision … --blocks 0 4 7 11 --steps 60 --batch 8

The same MLP neurons, drawn evenly over the blocks and none of those that the recipes were tuned on, are painted twice:
by a model whose weights and activations are float32, and by the same in bfloat16, with pictures, the optimizer and the
statistics of norms in float32 as always. Both are graded against the photographs by the model in float32. A row of the
table is a grade: its median in either, the median of the difference of a neuron's two pictures with its standard error
(bootstrap over neurons), and how many neurons have the higher grade in bfloat16; the rows of verdicts count pictures.
Pictures are kept in `--out`, and a run that was stopped goes on.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np

import vitjax
from experiments.recipes.frontier import Studio, median
from experiments.recipes.painting import painted
from vitjax.analysis.report.grading import read_finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.verdicts import WORDS
from vitjax.analysis.report.yardstick import yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.models.core.vocabulary import split_tap
from vitjax.optimize.recipes import choose
from vitjax.units.units import Unit

GRADES = ("activation", "ratio", "rise", "percentile", "rank", "agreement", "spectral_distance", "detail", "noise")


class Drawn(Studio):
    """A studio for neurons of some of the blocks."""

    def drawn(self, pool: list[Unit]) -> list[Unit]:
        blocks = self.args.blocks
        return super().drawn([unit for unit in pool if not blocks or split_tap(unit.tap).block in blocks])


def rows_of(single: list[dict], half: list[dict]) -> list[dict]:
    """A row for each grade and each verdict that occurs, of the same neurons' cards in float32 and in bfloat16."""
    rows = []
    for name in GRADES:
        first, second = (np.array([card[name] for card in cards], float) for cards in (single, half))
        known = np.isfinite(first) & np.isfinite(second)  # nothing is over a best photograph that reaches 0
        first, second = first[known], second[known]
        change, error = median(second - first)
        rows.append(
            {
                "grade": name,
                "float32": float(np.median(first)),
                "bfloat16": float(np.median(second)),
                "difference": change,
                "difference_error": error,
                "higher": int((second > first).sum()),
                "equal": int((second == first).sum()),
            }
        )
    for word in WORDS:
        counts = [sum(card["verdict"] == word for card in cards) for cards in (single, half)]
        if any(counts):
            same = sum(a["verdict"] == b["verdict"] == word for a, b in zip(single, half, strict=True))
            rows.append(
                {"grade": word, "float32": counts[0], "bfloat16": counts[1]}
                | {"difference": counts[1] - counts[0], "difference_error": None, "higher": None, "equal": same}
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    parser.add_argument("--out", type=Path, required=True, help="for the pictures")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--steps", type=int, help="fewer than the recipe's, which take less time")
    parser.add_argument("--blocks", type=int, nargs="+", help="whose neurons; each is compiled twice (default: all)")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=7, help="of the draw of neurons")
    parser.add_argument("--batch", type=int, default=4)
    parser.set_defaults(fresh=True)
    args = parser.parse_args()
    studio, recipe, cards = Drawn(args), choose(args.recipe), {}
    recipe = choose(recipe, steps=args.steps or recipe.steps)
    measure = yardstick(studio.model, studio.data, studio.found)
    for dtype in ("float32", "bfloat16"):
        folder = args.out / f"{args.recipe}-{recipe.steps}-{dtype}"
        painted(vitjax.load(args.model, dtype=dtype), dtype, recipe, studio.units, folder, args.batch)
        entries, _ = read_finished(folder, studio.model)
        places = {unit: i for i, unit in enumerate(entries.units)}
        entries = entries.take(places[unit] for unit in studio.units)
        cards[dtype] = report_cards(studio.model, entries, measure, tokens=recipe.tokens, batch=args.batch)
    rows = rows_of(cards["float32"], cards["bfloat16"])
    about = settings(
        studio.model, studio.data, recipe=asdict(recipe), blocks=args.blocks, count=args.count, seed=args.seed
    )
    findings = Findings(f"precision-{args.recipe}-{args.count}", rows, about)
    print(findings.csv(), *findings.save(args.results), sep="\n")


if __name__ == "__main__":
    main()

"""Recipes at several costs, graded: what does a picture's quality cost, and which recipe gives most for it?

    python experiments/recipes/frontier.py --model FOLDER --images images.zip --out FOLDER [--count 16] [--only NAME]

Every candidate of the table below is painted for the same MLP neurons, drawn evenly over all blocks (`--seed` as in
side_by_side.py), and graded by the report card against the photographs. Its cost is counted: operations of the loop's
matrix products. Pictures are kept in `--out`, a candidate a folder, and a run that was stopped goes on. A row of the
table is a candidate: cost, share of units that beat the best photograph, geometric mean of the ratios (those of dead
units count as 0.01), medians of the grades, verdicts. The figure shows grades against cost.
"""

import argparse
from pathlib import Path

import numpy as np
from side_by_side import activations

import vitjax
from vitjax.analysis.exemplars import exemplars
from vitjax.analysis.findings import Findings, settings
from vitjax.analysis.grading import read_entries
from vitjax.analysis.report_card import WORDS, cards
from vitjax.analysis.style import COLORS, panels, style
from vitjax.analysis.yardstick import yardstick
from vitjax.data.dataset import open_dataset
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.recipes import Recipe, choose
from vitjax.optimize.units import expand, sample

# Each family is one idea on top of `default`, at several costs: {family: [(name, changes of `default`)]}.
FAMILIES: dict[str, list[tuple[str, dict]]] = {
    "default": [
        ("default", {}),
        ("4 views, 80 steps", {"steps": 80}),
        ("4 views, 40 steps", {"steps": 40}),
    ],
    "fewer views": [
        ("2 views, 160 steps", {"views": 2}),
        ("2 views, 80 steps", {"views": 2, "steps": 80}),
        ("1 view, 160 steps", {"views": 1}),
        ("1 view, 320 steps", {"views": 1, "steps": 320}),
    ],
    "half the tokens": [
        ("half the tokens, 2 views, 160 steps", {"views": 2, "seen": 0.5}),
        ("half the tokens, 4 views, 160 steps", {"seen": 0.5}),
    ],
    "a quarter of the tokens": [("a quarter of the tokens, 4 views, 160 steps", {"seen": 0.25})],
    "nadam": [("nadam, 2 views, 80 steps", {"views": 2, "steps": 80, "optimizer": "nadam"})],
    "lion": [("lion, 2 views, 80 steps", {"views": 2, "steps": 80, "optimizer": "lion", "learning_rate": 0.03})],
    "sign": [("sign, 2 views, 80 steps", {"views": 2, "steps": 80, "optimizer": "sign", "learning_rate": 0.03})],
    "pyramid": [("pyramid, 2 views, 80 steps", {"views": 2, "steps": 80, "parametrization": "pyramid"})],
    "maco": [("maco, 2 views, 80 steps", {"views": 2, "steps": 80, "parametrization": "maco", "learning_rate": 0.3})],
}
GRADES = ("ratio", "rise", "percentile", "rank", "spectral_distance", "detail", "clipped", "colour", "agreement")


def candidates(only: list[str] | None) -> dict[str, tuple[str, Recipe]]:
    """The table's recipes by name, with their families, and the paper's."""
    found = {"ghiasi": ("ghiasi", choose("ghiasi"))}
    for family, rows in FAMILIES.items():
        found |= {name: (family, choose("default", **changes)) for name, changes in rows}
    return {name: value for name, value in found.items() if not only or name in only or value[0] in only}


def folder_of(out: Path, name: str) -> Path:
    """Where a candidate's pictures are."""
    return out / name.replace(" ", "-").replace(",", "")


def row(name: str, family: str, cost: float, graded: list[dict]) -> dict:
    """A candidate's line in the table."""
    ratios = np.array([card["ratio"] for card in graded])
    medians = {grade: float(np.median([card[grade] for card in graded])) for grade in GRADES}
    verdicts = {word: sum(card["verdict"] == word for card in graded) for word in WORDS}
    return {
        "recipe": name,
        "family": family,
        "teraflop": cost / 1e12,
        "units": len(graded),
        "beat_best_photo": float((ratios > 1).mean()),
        "geometric_mean_ratio": float(np.exp(np.log(np.maximum(ratios, 0.01)).mean())),
        **medians,
        **verdicts,
    }


def frontier(rows: list[dict]):
    """Three grades against the cost of a picture, a colour a family."""
    shown = {
        "geometric_mean_ratio": "activation over best photograph",
        "spectral_distance": "distance to natural spectra",
        "good": "units with a good picture",
    }
    families = list(dict.fromkeys(row["family"] for row in rows))
    markers = "osD^vP*X<>"
    with style():
        figure, axes = panels(1, len(shown))
        for place, (grade, label) in zip(axes, shown.items(), strict=True):
            for i, family in enumerate(families):
                points = sorted((row["teraflop"], row[grade]) for row in rows if row["family"] == family)
                look = {"color": COLORS[i % len(COLORS)], "marker": markers[i % len(markers)]}
                place.plot(*zip(*points, strict=True), **look, label=family)
            place.set(xlabel="TFLOP a picture", title=label, xscale="log")
        axes[-1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    parser.add_argument("--out", type=Path, required=True, help="for the pictures")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--only", nargs="+", help="names or families of candidates (default: all)")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    model = vitjax.load(args.model)
    units = sample(expand("blocks.*.mlp.hidden:*", model.taps()), args.count, args.seed)
    chosen = candidates(args.only)
    for name, (_, recipe) in chosen.items():
        activations(model, name, recipe, units, folder_of(args.out, name), args.batch)
    data = open_dataset(args.images, model.config, batch=25)
    measure = yardstick(model, data, exemplars(model, data, sorted({unit.tap for unit in units})))
    rows, pictures = [], []
    for name, (family, recipe) in chosen.items():
        entries, _ = read_entries(folder_of(args.out, name), model)
        entries = entries.take(i for i, unit in enumerate(entries.units) if unit in units)
        graded = list(cards(model, entries, measure, batch=args.batch))
        cost = np.mean([picture_flops(model.config, unit.tap, recipe) for unit in entries.units])
        rows.append(row(name, family, float(cost), graded))
        pictures += [{"recipe": name} | card for card in graded]
        print({key: value for key, value in rows[-1].items() if key in ("recipe", "teraflop", "ratio", "good")})
    about = settings(model, data, count=args.count, seed=args.seed)
    print(*Findings("frontier", rows, about, {"": frontier(rows)}).save(args.results), sep="\n")


if __name__ == "__main__":
    main()

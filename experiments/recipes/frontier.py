"""Recipes at several costs, graded: what does a picture's quality cost, and which recipe gives most for it?

    python -m experiments.recipes.frontier --model FOLDER --images images.zip --out FOLDER [--count 16] [--only NAME]
    python -m experiments.recipes.frontier … --fresh --count 24 --only fast default ghiasi

Every candidate of candidates.py is painted for the same MLP neurons, drawn evenly over all blocks (fewer are a part of
more), and graded by the report card against the photographs. Its cost is counted: operations of the loop's matrix
products. Pictures are kept in `--out`, a candidate a folder, and a run that was stopped goes on. A row of the table
`frontier-COUNT` is a candidate: cost, share of units that beat the best photograph, geometric mean of the ratios (those
of dead units count as 0.01), medians of the grades with standard errors (bootstrap over units), verdicts; and how often
its ratio is above that of the first candidate on the same unit. With `--fresh` the neurons are others than the 36 that
the recipes were tuned on, the table is `frontier-fresh-COUNT`. The figure shows grades against cost; the sheet has a
row for each candidate, a column for each of the first twelve units.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import vitjax
from experiments.recipes.candidates import CANDIDATES, NEIGHBOURS
from experiments.recipes.painting import painted
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grading import read_finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.verdicts import WORDS
from vitjax.analysis.report.yardstick import yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.style import COLORS, panels, style
from vitjax.atlas.job.attempts import from_photographs
from vitjax.data.dataset import open_dataset
from vitjax.models.core.vocabulary import split_tap
from vitjax.models.vit import ViT
from vitjax.optimize.cost import picture_flops
from vitjax.optimize.recipes import RECIPES, Recipe, choose
from vitjax.optimize.results.record import read_record
from vitjax.optimize.results.sheets import contact_sheet
from vitjax.units.units import Unit, expand, sample

TUNED = (36, 7)  # number and seed of the neurons that the recipes were tuned on
SHOWN, SMALL = 12, (80, 80)  # pictures of a row of the sheet, and their size
TICKS = (0.5, 1, 2, 4, 8)
GRADES = ("ratio", "rise", "percentile", "rank", "spectral_distance", "detail", "clipped", "colour", "agreement")


class Studio:
    """Paints candidates of one model, each after what it begins with."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.model = args, vitjax.load(args.model)
        every = expand(f"{self.model.neurons}:*", self.model.taps())
        tuned = set(sample(every, *TUNED)) if args.fresh else set()
        self.units = self.drawn([unit for unit in every if unit not in tuned])
        self.data = open_dataset(args.images, self.model.config, batch=25)
        self.found = exemplars(self.model, self.data, sorted({unit.tap for unit in self.units}))

    def drawn(self, pool: list[Unit]) -> list[Unit]:
        """The neurons that are painted, of those that may be."""
        return sample(pool, self.args.count, self.args.seed)

    def recipe(self, name: str) -> Recipe:
        """The recipe of a candidate."""
        return choose(CANDIDATES[name].base, **CANDIDATES[name].changes)

    def paint(self, name: str, units: Sequence[Unit]) -> None:
        """Makes the pictures that the candidate's folder does not hold yet."""
        begin, starts = CANDIDATES[name].begin, None
        if begin == "photograph":
            starts = from_photographs(self.found, self.data.images, self.model.config)
        elif begin == "neighbour":
            near = {unit: neighbour(self.model, unit) for unit in units}
            self.paint(NEIGHBOURS, list(near.values()))
            starts = lambda goals: self.pictures(NEIGHBOURS, [near[goal] for goal in goals])
        elif begin:
            self.paint(begin, units)
            starts = lambda goals: self.pictures(begin, goals)
        painted(self.model, name, self.recipe(name), units, self.folder(name), self.args.batch, starts)

    def folder(self, name: str) -> Path:
        """Where a candidate's pictures are."""
        return self.args.out / name.replace(" ", "-").replace(",", "")

    def pictures(self, name: str, units: Sequence[Unit]) -> np.ndarray:
        """A candidate's pictures of some units, at the model's size: [picture, h, w, 3]."""
        files = {row["unit"]: row["file"] for row in read_record(self.folder(name))["pictures"]}
        height, width = self.model.config.image_size
        opened = (Image.open(self.folder(name) / files[str(unit)]) for unit in units)
        return np.stack([np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC)) for picture in opened])

    def sheet(self, names: Sequence[str]) -> Image.Image:
        """A row of small pictures for each candidate, all of the same units."""
        units = sample(self.units, SHOWN, self.args.seed)
        images = [
            np.asarray(Image.fromarray(one).resize(SMALL)) for name in names for one in self.pictures(name, units)
        ]
        captions = [f"{part}  " for name in names for part in [*name.split(", "), *[""] * len(units)][: len(units)]]
        return contact_sheet(images, captions, len(units), least=min(SMALL))

    def cost(self, name: str, units: Sequence[Unit]) -> float:
        """Operations of a picture, in the mean over units, with those of the candidate it begins with.

        A neighbour's picture costs nothing: an atlas has it anyway.
        """
        own = np.mean([picture_flops(self.model.config, unit.tap, self.recipe(name)) for unit in units])
        begin = CANDIDATES[name].begin
        return float(own) + (self.cost(begin, units) if begin in CANDIDATES else 0)


def neighbour(model: ViT, unit: Unit) -> Unit:
    """The other neuron of the layer that reads the residual stream most alike: cosine of the weights."""
    kernel = np.asarray(model.block(split_tap(unit.tap).block).mlp.fc1.kernel[...])
    kernel = kernel / np.linalg.norm(kernel, axis=0)
    alike = kernel[:, unit.index[0]] @ kernel
    alike[unit.index[0]] = -1
    return Unit(unit.tap, (int(alike.argmax()),))


def median(values: Sequence[float]) -> tuple[float, float]:
    """The median, and its standard error by 2,000 bootstrap samples."""
    values = np.array(values)
    samples = np.random.default_rng(0).choice(values, (2000, len(values)))
    return float(np.median(values)), float(np.median(samples, axis=1).std())


def row(name: str, family: str, cost: float, graded: list[dict], first: list[dict]) -> dict:
    """A candidate's line in the table, compared with the `first` candidate's pictures of the same units."""
    ratios, others = (np.array([card["ratio"] for card in some]) for some in (graded, first))
    medians = {}
    for grade in GRADES:
        medians[grade], medians[f"{grade}_error"] = median([card[grade] for card in graded])
    verdicts = {word: sum(card["verdict"] == word for card in graded) for word in WORDS}
    return {
        "recipe": name,
        "family": family,
        "teraflop": cost / 1e12,
        "units": len(graded),
        "beat_best_photo": float((ratios > 1).mean()),
        "geometric_mean_ratio": float(np.exp(np.log(np.maximum(ratios, 0.01)).mean())),
        "above_first": float((ratios > others).mean()),
        **medians,
        **verdicts,
    }


def frontier(rows: list[dict]):
    """Three grades against the cost of a picture, a colour a family; vitjax's own recipes by their names."""
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
                several = points[-1][0] > 1.2 * points[0][0]
                place.plot(*zip(*points, strict=True), **look, label=family, linestyle="-" if several else "")
            for row in rows:
                if row["recipe"] in RECIPES:
                    place.annotate(row["recipe"], (row["teraflop"], row[grade]), (3, 4), textcoords="offset points")
            place.set(xlabel="TFLOP a picture", title=label, xscale="log")
            place.set_xticks(TICKS, labels=map(str, TICKS))
            place.set_xticks([], minor=True)
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
    parser.add_argument("--fresh", action="store_true", help="other neurons than those the recipes were tuned on")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    studio = Studio(args)
    model, data, units = studio.model, studio.data, studio.units
    chosen = [name for name, one in CANDIDATES.items() if not args.only or name in args.only or one.family in args.only]
    for name in chosen:
        studio.paint(name, units)
    measure, rows, first = yardstick(model, data, studio.found), [], None
    for name in chosen:
        entries, _ = read_finished(studio.folder(name), model)
        places = {unit: i for i, unit in enumerate(entries.units)}
        entries = entries.take(places[unit] for unit in units)
        graded = list(report_cards(model, entries, measure, batch=args.batch))
        first = first or graded
        rows.append(row(name, CANDIDATES[name].family, studio.cost(name, entries.units), graded, first))
        print({key: value for key, value in rows[-1].items() if key in ("recipe", "teraflop", "ratio", "good")})
    about = settings(model, data, count=args.count, seed=args.seed, fresh=args.fresh)
    table = f"frontier-fresh-{args.count}" if args.fresh else f"frontier-{args.count}"
    findings = Findings(table, rows, about, {"": frontier(rows)})
    print(*findings.save(args.results), sep="\n")
    shown = [row["recipe"] for row in rows if CANDIDATES[row["recipe"]].begin != "photograph"]  # it shows through
    studio.sheet(shown).save(args.results / f"{table}.webp", quality=70)


if __name__ == "__main__":
    main()

"""Can the report card tell pictures apart: of several recipes, photographs, pictures of other units, noise?

Ghiasi et al. 2022 give no measure of a picture's quality; they show pictures and say which are interpretable. The
published code leaves some units grey. Here every kind is made for the same units and gets the same grades:

    recipes             `--pictures NAME=FOLDER ...`, made by `vitjax visualize` or experiments/recipes/frontier.py
    best photograph     of each unit of the first folder; it is judged against the other photographs
    another unit's      the first folder's pictures, each given to a unit half the folder away
    uniform noise       every byte drawn at random

    python -m experiments.ghiasi.report_card --model vit_tiny_patch16_224 --data imagenet-samples/images.zip \
        --pictures default=pictures/default ghiasi=pictures/ghiasi

Here `cheap` is `ghiasi` with 2 views, 128 steps and the neuron before its activation function, and `noisy` has 2
views, 40 steps and no total variation (`vitjax visualize --recipe ghiasi --set views=2 --set steps=40 ...`): a grade
must see that these are not as clear.

A row of the table is a kind: medians of the grades, the mean reciprocal rank of the agreement, verdicts counted. Kinds
with more good pictures come first. The grades of every picture are in the second table. The paper's model is
`timm/vit_base_patch16_384.orig_in21k_ft_in1k`, the photographs ImageNet's.
"""

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np

from experiments import script
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report import grades
from vitjax.analysis.report.grades import NONE
from vitjax.analysis.report.grading import Finished, read_finished
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.report_figures import strips
from vitjax.analysis.report.verdicts import RULE, WORDS
from vitjax.analysis.report.yardstick import yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.pipeline import pixels

MEDIANS = "ratio rise percentile rank margin spectral_distance detail clipped colour agreement slope".split()


def row(kind: str, graded: list[dict]) -> dict:
    """A kind of picture: the median of each grade, and how many got which verdict."""
    values = {name: [card[name] for card in graded if card[name] is not None] for name in MEDIANS}
    medians = {name: float(np.median(found)) if found else None for name, found in values.items()}
    reciprocal = {"agreement_mrr": float(np.mean([1 / card["agreement"] for card in graded]))}
    verdicts = {word: sum(card["verdict"] == word for card in graded) for word in WORDS}
    return {"kind": kind, "pictures": len(graded), **medians, **reciprocal, **verdicts}


def main() -> None:
    parser = script.parser(__doc__, __file__, None)
    script.add_data(parser, batch=25)
    parser.add_argument("--pictures", nargs="+", required=True, metavar="NAME=FOLDER")
    args = parser.parse_args()
    model, data = script.opened(args)
    folders = dict(text.split("=", 1) for text in args.pictures)
    read = {name: read_finished(Path(folder), model) for name, folder in folders.items()}
    kinds = {name: entries for name, (entries, _) in read.items()}
    made = {name: {"seed": record["seed"], "recipe": record["recipe"]} for name, (_, record) in read.items()}
    tokens = next(iter(made.values()))["recipe"]["tokens"]
    taps = [unit.tap for entries in kinds.values() for unit in entries.units]
    found = exemplars(model, data, taps, tokens=tokens)
    measure = yardstick(model, data, found)

    first = next(iter(kinds.values()))
    best = np.array([measure.best(unit) for unit in first.units])
    kinds["best photograph"] = Finished(pixels(data.images, best, model.config), first.units, own=best)
    kinds["another unit's"] = Finished(np.roll(first.images, len(first.images) // 2, axis=0), first.units)
    noise = np.random.default_rng(0).integers(0, 256, first.images.shape, dtype=np.uint8)
    kinds["uniform noise"] = Finished(noise, first.units)

    everything = Finished(  # at once: each tap is compiled once
        np.concatenate([entries.images for entries in kinds.values()]),
        [unit for entries in kinds.values() for unit in entries.units],
        own=np.concatenate([np.full(len(e.units), NONE) if e.own is None else e.own for e in kinds.values()]),
    )
    rows = iter(report_cards(model, everything, measure, tokens=tokens, batch=args.batch))
    graded = {kind: list(islice(rows, len(entries.units))) for kind, entries in kinds.items()}
    for kind in folders:
        for card, value in zip(graded[kind], grades.slope(kinds[kind].history), strict=True):
            card["slope"] = float(value)
    kinds = sorted(graded, key=lambda kind: -np.mean([card["verdict"] == "good" for card in graded[kind]]))
    about = settings(model, data, pictures=made, rule=asdict(RULE))
    figure = strips({kind: graded[kind] for kind in kinds}, RULE.lines)
    rows = [row(kind, graded[kind]) for kind in kinds]
    pictures = [{"kind": kind} | card for kind in kinds for card in graded[kind]]
    for findings in (
        Findings("report-card-kinds", rows, about, {"": figure}),
        Findings("report-card-pictures", pictures, about),
    ):
        script.keep(args, findings)
    print(Findings("report-card-kinds", rows, about).csv())


if __name__ == "__main__":
    main()

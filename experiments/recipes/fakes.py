"""Can the verdict be fooled? Pictures forged to fool it, each with the verdict that it deserves, before and after.

    python -m experiments.recipes.fakes --model FOLDER --images images.zip --pictures FOLDER --label NAME [--limit 250]

`--pictures` are good pictures that `vitjax visualize` made; forgeries.py has what is made of them, of their units' best
photographs and of nothing. Every second photograph is the yardstick; on the others, which it never saw, is counted what
the verdict holds against them by their looks. A row of the table `fakes-NAME` is a kind: verdicts now, verdicts by the
thresholds as they were (`before`), how many are deserved, medians of the grades. The sheet has three of each kind that
holds no photograph, with verdicts.
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import vitjax
from experiments.recipes.forgeries import FAKES, Originals
from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.report.grades import NONE
from vitjax.analysis.report.grading import Finished, read_finished, visible
from vitjax.analysis.report.report_card import report_cards
from vitjax.analysis.report.verdicts import verdict
from vitjax.analysis.report.yardstick import yardstick
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.dataset import open_dataset
from vitjax.data.pipeline import pixels
from vitjax.optimize.results.sheets import contact_sheet

SHOWN, SMALL = 3, 80
MEDIANS = "rise rank agreement detail coarse noise coarse_noise contrast levels copied colour".split()
FINE = {"rise": 9.0, "rank": 1, "agreement": 1, "photo_agreement": 1, "units": 1}  # for what is judged by looks alone


def before(row: Mapping) -> str:
    """The verdict as it was when only noise of the finest frequencies was seen, and emptiness only without a rise."""
    held = {
        "dead": row["rise"] < 0.25 and row["detail"] < -4,
        "noise": row["detail"] > 2.4,
        "saturated": row["colour"] > 0.5,
        "weak": row["rise"] < 1 or row["rank"] - 1 > 0.05 * row["units"],
    }
    return next((word for word, holds in held.items() if holds), "good")


def row(kind: str, deserves: set[str], graded: Sequence[Mapping]) -> dict:
    """A kind's line in the table."""
    now, then = [card["verdict"] for card in graded], [before(card) for card in graded]
    say = lambda words: ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())
    medians = {name: float(np.median([card[name] for card in graded])) for name in MEDIANS if name in graded[0]}
    return {
        "kind": kind,
        "pictures": len(graded),
        "deserves": " or ".join(sorted(deserves)),
        "before": say(then),
        "now": say(now),
        "deserved_before": sum(word in deserves for word in then),
        "deserved_now": sum(word in deserves for word in now),
        **medians,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="default: the embedded one")
    parser.add_argument("--images", required=True, help="folder or zip of natural photographs")
    parser.add_argument("--pictures", required=True, type=Path, help="good pictures, by `vitjax visualize`")
    parser.add_argument("--label", required=True, help="names the results")
    parser.add_argument("--units", nargs="+", help="of the pictures take these (default: all)")
    parser.add_argument("--limit", type=int, help="take so many of the photographs, evenly spaced")
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    model = vitjax.load(args.model) if args.model else vitjax.load()
    whole = open_dataset(args.images, model.config, limit=args.limit, batch=args.batch)
    number = np.arange(len(whole.images.names))
    data = replace(whole, images=whole.images.take(number[::2]))
    folder, _ = read_finished(args.pictures, model)
    entries = folder.take(i for i, unit in enumerate(folder.units) if not args.units or str(unit) in args.units)
    found = exemplars(model, data, [unit.tap for unit in entries.units])
    measure = yardstick(model, data, found)
    best = [measure.best(unit) for unit in entries.units]
    originals = Originals(model, entries.units, entries.images, pixels(data.images, best, model.config))

    made = {name: fake.make(originals, np.random.default_rng(0)) for name, fake in FAKES.items()}
    made = {"good pictures": entries.images, **made}
    deserves = {"good pictures": {"good"}, **{name: fake.deserves for name, fake in FAKES.items()}}
    everything = Finished(np.concatenate(list(made.values())), list(entries.units) * len(made))
    graded = report_cards(model, everything, measure, batch=args.batch)
    count = len(entries.units)
    by_kind = {name: graded[i * count : (i + 1) * count] for i, name in enumerate(made)}
    rows = [row(name, deserves[name], by_kind[name]) for name in made]

    half = lambda start: pixels(whole.images, number[start::2], model.config)
    for kind, images, own in (
        ("all pictures of the folder, by their looks", folder.images, None),
        ("photographs of the yardstick, by their looks", half(0), np.arange(len(number[::2]))),
        ("photographs it never saw, by their looks", half(1), None),
    ):
        columns, _ = visible(model, images, measure, np.full(len(images), NONE) if own is None else own, args.batch)
        looks = [FINE | {name: float(column[i]) for name, column in columns.items()} for i in range(len(images))]
        rows.append(row(kind, {"good"}, [one | {"verdict": verdict(one)} for one in looks]))

    about = settings(model, data, pictures=str(args.pictures.name), units=[str(unit) for unit in entries.units])
    pictures = [{"kind": name, "before": before(card)} | card for name in made for card in by_kind[name]]
    print(Findings(f"fakes-{args.label}", rows, about).csv())
    for what, lines in (("", rows), ("-pictures", pictures)):
        print(*Findings(f"fakes-{args.label}{what}", lines, about).save(args.out), sep="\n")
    shown = [name for name in made if "photograph" not in name]
    images = [_small(image) for name in shown for image in made[name][:SHOWN]]
    words = {name: [card["verdict"] for card in by_kind[name]][:SHOWN] for name in shown}
    captions = [f"{'' if i else name}  {word}" for name in shown for i, word in enumerate(words[name])]
    contact_sheet(images, captions, min(SHOWN, count), least=SMALL).save(
        args.out / f"fakes-{args.label}.webp", quality=55
    )


def _small(image: np.ndarray) -> np.ndarray:
    """The picture, cut to the sheet's size from its middle, so that its pixels stay what they are."""
    top, left = ((side - min(side, 2 * SMALL)) // 2 for side in image.shape[:2])
    return image[top : top + 2 * SMALL, left : left + 2 * SMALL]


if __name__ == "__main__":
    main()

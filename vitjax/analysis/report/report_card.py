"""Makes report cards of pictures: what each does, whether it is clear, and in one word whether it is good.

Grades and their formulas are in `grades`, what photographs say in `yardstick`, the held-out changes in `held_out`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.report import grades
from vitjax.analysis.report.grading import Finished, grade, read_finished
from vitjax.analysis.report.held_out import CHANGES, QUALITY
from vitjax.analysis.report.report_figures import beside_photos, strips
from vitjax.analysis.report.yardstick import Yardstick, yardstick
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.network import Network

Row = Mapping[str, Value]
FIGURED = 16  # pictures beside their photographs


@dataclass(frozen=True)
class Rule:
    """The thresholds of `VERDICTS`.

    Those of looks lie between what they have to tell apart on ViT-Ti/16 at 224 px with every second of 300 ImageNet
    photographs; they hold on the others, and on the embedded model with Tiny ImageNet's, which helped to set `noise`,
    `dither`, `bare` and `band` (experiments/recipes/fakes.py).

    Attributes:
        noise: highest `noise` of a clear picture; one photograph of 100 has more. Nine pictures of `fast` have 2.0
            and less, under white noise of 25/255 2.8 and more, noise of any octave 2.9 and more. At 64 px photographs
            are noisier themselves, and white noise is seen from about 60/255 on.
        fine: highest `detail` of a clear picture, in nats. Pictures of `default` and `ghiasi` have 2.3 and less, as all
            photographs, noisy ones (2 views, 40 steps, no total variation) 2.6 and more, uniform noise 3.9.
        few: the most `levels` of a picture whose finest octaves do not count: dithering takes 2 to 16, print 5 to 8.
        dither: highest `coarse_noise` of those: dithered and printed ones have 3.2 and less, random dots 3.4 and more.
        bare: least `coarse` of a picture with coarse structure, in nats. Photographs and pictures have -2.7 and more,
            noise of a band -5.9 and less, gratings often.
        band: highest `noise` of a clear picture without. Gratings have less than -0.3, noise of a band 1.2 and more.
        empty: lowest `detail` of a picture that shows something, in nats. Photographs and pictures have -3.9 and more;
            what was low-passed, or grey with a perturbation of 8/255, has -4.5 and less.
        contrast: lowest `contrast` of a picture that is no strain to see. Photographs have 0.08 and more, at a tenth of
            their contrast 0.04 and less, grey with a perturbation of 8/255 0.02.
        copied: highest `copied` of a picture that is no photograph's copy; two photographs have 0.9 and less.
        colour: highest `colour` of a picture that is not saturated; 1 of 100 photographs has more than 0.45.
        best: lowest `rise` of a good picture: that of the best photograph, as Zimmermann et al. 2023 (arXiv 2307.05471,
            their code) ask of synthetic images before they show them.
        common: the share of the tap's units that a good picture may move more than its own.
        alike: photographs of a unit agree where the best of them leads back to the others within this share of the
            tap's units (`photo_agreement`); half of 64 neurons are such.
        strange: the share within which a good picture then leads back to them. Of 30 pictures of `default` 27 do, of 30
            of other units 12, of uniform noise 14: it finds half of the strangers that all else misses.
    """

    noise: float = 2.3
    fine: float = 2.4
    few: float = 16.0
    dither: float = 3.3
    bare: float = -4.0
    band: float = 0.5
    empty: float = -4.0
    contrast: float = 0.05
    copied: float = 0.95
    colour: float = 0.5
    best: float = 1.0
    common: float = 0.05
    alike: float = 0.05
    strange: float = 0.5

    @property
    def lines(self) -> dict[str, tuple[float, ...]]:
        """The thresholds by grade."""
        return {
            "rise": (self.best,),
            "detail": (self.empty, self.fine),
            "noise": (self.noise,),
            "contrast": (self.contrast,),
            "colour": (self.colour,),
        }


def _noisy(row: Row, rule: Rule) -> bool:
    if row["coarse"] < rule.bare:
        return row["noise"] > rule.band
    if row["levels"] <= rule.few:
        return row["coarse_noise"] > rule.dither
    return row["noise"] > rule.noise or row["detail"] > rule.fine


def _strange(row: Row, rule: Rule) -> bool:
    alike = row["photo_agreement"] - 1 <= rule.alike * row["units"]
    return alike and row["agreement"] - 1 > rule.strange * row["units"]


GOOD, COPY = "good", "copy"
# Asked from top to bottom: the first that holds is the verdict, and where none does the picture is good.
VERDICTS: Mapping[str, Callable[[Row, Rule], bool]] = {
    COPY: lambda row, rule: row["copied"] > rule.copied,
    "noise": _noisy,
    "dead": lambda row, rule: row["detail"] < rule.empty,
    "faint": lambda row, rule: row["contrast"] < rule.contrast,
    "saturated": lambda row, rule: row["colour"] > rule.colour,
    "weak": lambda row, rule: row["rise"] < rule.best or row["rank"] - 1 > rule.common * row["units"],
    "strange": _strange,
}
WORDS = (GOOD, *reversed(VERDICTS))
RULE = Rule()


def verdict(row: Row, rule: Rule = RULE) -> str:
    """The word for a picture with these grades, one of `WORDS`."""
    return next((word for word, holds in VERDICTS.items() if holds(row, rule)), GOOD)


def report_cards(
    model: Network,
    entries: Finished,
    measure: Yardstick,
    *,
    tokens: str = "patches",
    rule: Rule = RULE,
    batch: int = 32,
) -> list[dict[str, Value]]:
    """The grades of each picture (see `grade`), and its verdict."""
    rows = grade(model, entries, measure, tokens=tokens, batch=batch)
    return [{"unit": row.pop("unit"), "verdict": verdict(row, rule)} | row for row in rows]


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    pictures: Path,
    other_seed: Path | None = None,
    embedding: Network | None = None,
    k: int = 9,
    rule: Rule = RULE,
    found: Exemplars | None = None,
) -> Findings:
    """Grades a folder of pictures against photographs.

    Args:
        model: the one that made them.
        data: the photographs.
        pictures: a folder that `vitjax visualize` made.
        other_seed: another one, by the same recipe with another seed: are the pictures the same?
        embedding: the model that says what pictures look like, see `yardstick`.
        k: photographs that stand for a unit.
        rule: thresholds of the verdicts.
        found: the exemplars of the pictures' taps in `data`, where they are known already.

    Returns:
        A row for each picture with its verdict and its grades. Figures: pictures beside their best photographs, those
        that are not good first, and the grades of all by verdict.

    Raises:
        InputError: folders without pictures, of another model, or that do not belong together.
    """
    entries, record = read_finished(pictures, model)
    second = _second(other_seed, pictures, record, model) if other_seed else None
    tokens = record["recipe"]["tokens"]
    found = found or exemplars(model, data, [unit.tap for unit in entries.units], k=k, tokens=tokens)
    measure = yardstick(model, data, found, embedding=embedding)
    rows = report_cards(model, entries, measure, tokens=tokens, rule=rule, batch=data.batch)
    rows = [row | seeds for row, seeds in zip(rows, _stability(entries, second, measure, data.batch), strict=True)]
    options = {
        "pictures": str(pictures),
        "seed": record["seed"],
        "other_seed": str(other_seed or ""),
        "recipe": record["recipe"],
        "embedding": [embedding.card.source if embedding and embedding.card else "the model itself", measure.tap],
        "k": k,
        "changes": [*CHANGES, f"jpeg {QUALITY}"],
        "rule": asdict(rule),
    }
    shown = _shown(rows)
    photos = pixels(data.images, [measure.best(entries.units[i]) for i in shown], model.config)
    by_word = {word: [row for row in rows if row["verdict"] == word] for word in WORDS}
    figures = {
        "": beside_photos(entries.images[shown], photos, [rows[i] for i in shown]),
        "grades": strips(by_word, rule.lines),
    }
    return Findings("report-card", rows, settings(model, data, **options), figures, _summary(rows))


def _second(folder: Path, first: Path, record: Mapping, model: Network) -> Finished:
    entries, other = read_finished(folder, model)
    if other["recipe"] != record["recipe"]:
        raise InputError(f"{folder} and {first} were made by different recipes: seeds are compared within one recipe")
    if other["seed"] == record["seed"]:
        raise InputError(f"{folder} and {first} have the same seed, {record['seed']}: make one of them with another")
    return entries


def _stability(entries: Finished, second: Finished | None, measure: Yardstick, batch: int) -> list[dict[str, Value]]:
    rows = [{"seed_likeness": None, "seed_rank": None, "seed_units": None} for _ in entries.units]
    if second is None:
        return rows
    there = {str(unit): i for i, unit in enumerate(second.units)}
    pairs = [(i, there[str(unit)]) for i, unit in enumerate(entries.units) if str(unit) in there]
    if not pairs:
        raise InputError("the two folders have no unit in common: make pictures of the same units")
    ours, theirs = (list(rows) for rows in zip(*pairs, strict=True))
    likeness, rank = grades.stability(
        measure.embed(entries.images[ours], batch), measure.embed(second.images[theirs], batch)
    )
    for number, i in enumerate(ours):
        rows[i] = {"seed_likeness": float(likeness[number]), "seed_rank": int(rank[number]), "seed_units": len(pairs)}
    return rows


def _shown(rows: Sequence[Row]) -> list[int]:
    """What the figure shows: up to half of it pictures that are not good, then good ones, evenly over the folder."""
    bad = [i for i, row in enumerate(rows) if row["verdict"] != GOOD]
    good = [i for i, row in enumerate(rows) if row["verdict"] == GOOD]
    bad = sorted(_evenly(bad, max(FIGURED // 2, FIGURED - len(good))), key=lambda i: -WORDS.index(rows[i]["verdict"]))
    return bad + _evenly(good, FIGURED - len(bad))


def _evenly(items: list[int], count: int) -> list[int]:
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items


def _summary(rows: Sequence[Row]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    middle = lambda grade: float(np.median([row[grade] for row in rows]))
    return (
        f"{len(rows)} pictures: {', '.join(f'{counts[word]} {word}' for word in WORDS if counts[word])}\n"
        f"median: {middle('rise'):.2g} times the best photograph's rise under held-out changes, the own unit"
        f" {middle('rank'):g}. of {middle('units'):g}, spectral distance {middle('spectral_distance'):.2g} nats"
    )

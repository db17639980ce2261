"""Makes report cards of pictures: what each does, whether it is clear, and in one word whether it is good.

Grades and their formulas are in `grades`, the words in `verdicts`, what photographs say in `yardstick`, the held-out
changes in `held_out`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from vitjax.analysis.photographs.exemplars import Exemplars, exemplars
from vitjax.analysis.report import grades
from vitjax.analysis.report.grading import Finished, grade, read_finished
from vitjax.analysis.report.held_out import CHANGES, QUALITY
from vitjax.analysis.report.report_figures import beside_photos, strips
from vitjax.analysis.report.scored_units import negatives, unit_scores
from vitjax.analysis.report.verdicts import GOOD, RULE, WORDS, Row, Rule, verdict
from vitjax.analysis.report.yardstick import Yardstick, yardstick
from vitjax.analysis.scores.encoders import encoder_of
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.network import Network

FIGURED = 16  # pictures beside their photographs


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
        embedding: the model that says what pictures look like, see `yardstick`; with one, rows have what
            `unit_scores` gives as well.
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
    if embedding is not None:
        judge = encoder_of(model, embedding)
        scores = unit_scores(entries, found, judge, replace(data, images=found.images), negatives(pictures, model))
        rows = [row | scores[row["unit"]] for row in rows]
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

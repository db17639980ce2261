"""The analysis `scores`: how interpretable units are by an encoder's eyes, with controls; a row per tap, a table of
units."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from vitjax.analysis.photographs.exemplars import exemplars
from vitjax.analysis.scores import mis, monosemanticity
from vitjax.analysis.scores.crops import CROP, crops
from vitjax.analysis.scores.density import Density
from vitjax.analysis.scores.encoders import LAYOUT, Encoder, encoder_of, layout_of
from vitjax.analysis.scores.evidence import Evidence, Scores, score
from vitjax.analysis.scores.measured import measure
from vitjax.analysis.scores.mis import TEMPERATURE
from vitjax.analysis.scores.random_directions import with_random_directions
from vitjax.analysis.scores.score_figures import by_layer
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError
from vitjax.models.core.network import Network, provenance
from vitjax.ranges import Range
from vitjax.units.units import matching

UNITS, RANDOM, SHUFFLED = "units", "random directions", "shuffled images"
CROPS, TEMPERATURES = Range(1e-6, 1), Range(1e-6, 1e6)
TOLD = 10  # units in the summary


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    encoder: Network | None = None,
    encoder_tap: str | None = None,
    taps: list[str] | None = None,
    count: int | None = None,
    k: int = 9,
    tokens: str = "patches",
    crop: float = CROP,
    temperature: float = TEMPERATURE,
    control: bool = False,
    seed: int = 0,
) -> Findings:
    """Scores units by how alike the images are that they respond to, in the eyes of an encoder.

    Args:
        model: whose units.
        data: the images.
        encoder: the model whose embeddings say how alike images are; default `model`, which favours late units.
        encoder_tap: of the encoder, see `encoder_of`.
        taps: whose units, `*` for every block; default all neurons.
        count: units of each tap, drawn at random; redundancy is among them. Default all.
        k: best images of each unit, whose crops make clarity, redundancy and polysemanticity.
        tokens: which tokens count, as in `Recipe.tokens`.
        crop: the side of a crop in sides of the image.
        temperature: of `task_score`, see `mis`.
        control: score random directions in the same taps, the same units with shuffled images, and by colour layout.
        seed: of the draws.

    Returns:
        A row for each tap and kind ("units" and the controls) with means over units, and the table "unit-scores" with a
        row per unit. `chance` is the mean cosine of all pairs of images. `task_accuracy` and `task_score` are MIS where
        the encoder is DreamSim, see `mis`; they, and shuffled images, are of the images whose scores are all kept.

    Raises:
        InputError: unknown taps, a single image, a crop of nothing or beyond the image, or a temperature of 0 or less.
    """
    CROPS.check("crop", crop)
    TEMPERATURES.check("temperature", temperature)
    if len(data.images.names) == 1:
        raise InputError("units are scored by how alike the images are that they respond to: give more than one")
    judge, known = encoder_of(model, encoder, encoder_tap), model.taps()
    chosen = list(dict.fromkeys(tap for pattern in taps or [model.neurons] for tap in matching(pattern, known)))
    drawn = {tap: _draw(math.prod(known[tap].units), count, seed) for tap in chosen}
    scored, random = model, {}
    if control:
        scored, random = with_random_directions(model, {tap: len(some) for tap, some in drawn.items()}, seed)
    drawn |= {other: np.arange(min(len(drawn[tap]), known[tap].shape[-1])) for tap, other in random.items()}
    found = exemplars(scored, data, list(drawn), k=k, tokens=tokens)
    judges = [judge, layout_of(model)] if control else [judge]
    kept = next(iter(found.taps.values())).seen_place
    measured = measure(scored, data, judges, list(drawn), tokens, kept)
    seen = replace(data, images=found.images)
    evidence: dict[tuple[str, str], Evidence] = {}
    for one in judges:
        mine = drawn if one is judge else {tap: drawn[tap] for tap in chosen}
        cut = crops([found.taps[tap] for tap in mine], list(mine.values()), one, seen, crop)
        rows, embeddings = np.searchsorted(kept, measured.places), measured.embeddings[one.name]
        for tap, some in zip(mine, cut, strict=True):
            about = found.taps[tap], mine[tap], measured.sums[one.name][tap], some, rows, embeddings
            evidence[tap, one.name] = Evidence(*about)
    rows, tables = [], []
    for tap in chosen:
        cases = {UNITS: evidence[tap, judge.name]}
        if control:
            cases |= {RANDOM: evidence[random[tap], judge.name]} if tap in random else {}
            cases |= {SHUFFLED: cases[UNITS].shuffled(seed), LAYOUT: evidence[tap, LAYOUT]}
        for kind, case in cases.items():
            scores, nearest = score(case, temperature, seed)
            often = measured.density[case.natural.tap]
            rows.append(_row(tap, kind, LAYOUT if kind == LAYOUT else judge.name, case, often, scores))
            if kind == UNITS:
                tables.append(_table(case, often, scores, nearest))
    table = pa.concat_tables(tables)
    options = {
        "encoder": _described(judge),
        "taps": chosen,
        "count": count,
        "k": k,
        "tokens": tokens,
        "crop": crop,
        "tasks": {"count": mis.TASKS, "explaining": mis.EXPLAINING, "share": mis.SHARE, "temperature": temperature}
        | {"images": len(measured.places), "is": "MIS" if judge.dreamsim else "not MIS: the encoder is not DreamSim"},
        "control": control,
        "seed": seed,
    }
    return Findings(
        "scores",
        rows,
        settings(model, data, **options),
        {"": by_layer(rows)},
        _summary(rows, table, judge),
        {"unit-scores": table},
    )


def _draw(units: int, count: int | None, seed: int) -> np.ndarray:
    """Some of so many units, ascending."""
    if count is None or count >= units:
        return np.arange(units)
    return np.sort(np.random.default_rng(seed).choice(units, count, replace=False))


def _described(judge: Encoder) -> dict[str, object]:
    return {"name": judge.name, "tap": judge.tap, "same_as_model": judge.same, **provenance(judge.model)}


def _row(tap: str, kind: str, encoder: str, case: Evidence, often: Density, scores: Scores) -> dict[str, Value]:
    of, often = case.units, often if kind in (UNITS, RANDOM) else None  # of the same units it is the same
    means = {name: float(np.mean(some)) if len(some := column[~np.isnan(column)]) else None
             for name, column in scores.items()}  # fmt: skip
    return {
        "tap": tap,
        "kind": kind,
        "encoder": encoder,
        "units": len(of),
        "images": case.sums.images,
        "density": often and float(often.density[of].mean()),
        "dead": often and int(often.dead[of].sum()),
        "dense": often and int(often.dense[of].sum()),
        "l0": often and often.l0,
        "l0_std": often and often.l0_std,
        "chance": monosemanticity.mean_cosine(case.sums),
        **means,
    }


def _table(case: Evidence, often: Density, scores: Scores, nearest: np.ndarray) -> pa.Table:
    names = [str(case.natural.unit(number)) for number in case.units]
    column = lambda values: pa.array(values, pa.float32(), from_pandas=True)
    return pa.table(
        {
            "unit": names,
            "tap": [case.natural.tap] * len(names),
            "density": column(often.density[case.units]),
            "when_active": column(often.when_active[case.units]),
            **{name: column(values) for name, values in scores.items()},
            "redundant_with": pa.array([names[other] if other >= 0 else None for other in nearest], pa.string()),
        }
    )


def _summary(rows: Sequence[Mapping], table: pa.Table, judge: Encoder) -> str:
    return "\n".join([*_told(rows, judge), *_best(table)])


def _told(rows: Sequence[Mapping], judge: Encoder) -> Iterator[str]:
    mine = [row for row in rows if row["kind"] == UNITS]
    mean = lambda name: np.mean([row[name] for row in mine if row[name] is not None] or [np.nan])
    yield (
        f"by {judge.name} at {judge.tap}: {sum(row['units'] for row in mine)} units, monosemanticity"
        f" {mean('monosemanticity'):.3f} ({mean('above_chance'):.3f} of the way from chance to 1), clarity"
        f" {mean('clarity'):.3f}, redundancy {mean('redundancy'):.3f}, polysemanticity {mean('polysemanticity'):.3f}"
    )
    if judge.same:
        yield "the encoder is the model itself, which favours late units"


def _best(table: pa.Table) -> Iterator[str]:
    order = sorted(table.to_pylist(), key=lambda row: -(row["above_chance"] if row["above_chance"] is not None else -2))
    number = lambda value: "none" if value is None else f"{value:.3f}"
    for row in order[:TOLD]:
        words = ("monosemanticity", "clarity", "redundancy", "polysemanticity", "density")
        yield f"  {row['unit']}: " + ", ".join(f"{word} {number(row[word])}" for word in words)

"""The analysis `match`: which unit of another model each unit of a model is most like, by correlation over images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from vitjax.analysis.alignment.alignment_figures import heatmaps
from vitjax.analysis.alignment.layers import IMAGES, PLACES, SIDES, check_size, chosen, shared_grid, sides, width
from vitjax.analysis.alignment.pearson import Products, assigned, merge, mutual, pearson, products
from vitjax.analysis.scores.paired import side_by_side
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.data.dataset import Dataset
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network, provenance
from vitjax.units.units import expand

TOLD = 10  # matches in the summary
LEAST = 3  # samples: through two all correlations are 1 or -1


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    other: Network,
    taps: list[str] | None = None,
    other_taps: list[str] | None = None,
    over: str = IMAGES,
    tokens: str = "patches",
    control: bool = False,
    seed: int = 0,
) -> Findings:
    """Matches the units of two models by the Pearson correlation of their activations.

    Args:
        model: whose units are matched.
        data: the images.
        other: the model whose units they are matched with; another block, seed or epoch of the same will do.
        taps: whose units of `model`, `*` for every block; default all neurons.
        other_taps: whose units of `other`; default its neurons.
        over: "images": activations averaged over the tokens that count; or "places": those on the coarser of the two
            models' grids, which both are laid on, of images cut alike.
        tokens: which tokens count over images, as in `Recipe.tokens`.
        control: match with another image's activations of `other`, too.
        seed: of the order of those.

    Returns:
        A row for each pair of taps: mean correlation of each unit's best match, the share of matches that are mutual,
        and the mean correlation of the assignment that gives no unit twice (Hungarian); the first of the control, too.
        The table "matches" has a row per unit: its best match anywhere, and the assigned one in the tap that is its
        tap's best.

    Raises:
        InputError: unknown taps, fewer than 3 images, or so many units that all pairs do not fit in memory.
    """
    if over not in (IMAGES, PLACES):
        raise InputError(f"over is {over!r}{nearest(over, (IMAGES, PLACES))}: {IMAGES} or {PLACES}")
    models, found = (model, other), (chosen(model, taps, model.neurons, tokens),)
    found += (chosen(other, other_taps, other.neurons, tokens),)
    widths = [[width(one, tap) for tap in some] for one, some in zip(models, found, strict=True)]
    check_size(sum(widths[0]), sum(widths[1]), "units")
    grid = shared_grid(*models) if over == PLACES else None
    seen: dict[str, Products | None] = {}
    for place, values in side_by_side(sides(models, found, data, tokens, grid, seed if control else None), data):
        if not len(place):
            continue
        joined = [_joined(value) for value in values]
        for name, theirs in zip(SIDES[1:], joined[1:], strict=False):
            seen[name] = merge(seen.get(name), products(joined[0], theirs))
    if (samples := seen["other"].samples if seen else 0) < LEAST:
        raise InputError(f"units are matched by correlation, which of {samples} {over} says nothing: {LEAST} at least")
    tables = {name: pearson(one) for name, one in seen.items()}
    names = [[str(unit) for tap in some for unit in expand(f"{tap}:*", one.taps())]
             for one, some in zip(models, found, strict=True)]  # fmt: skip
    spans = [_spans(some) for some in widths]
    rows, partner = _pairs(tables, found, spans)
    options = {
        "other": provenance(other),
        "taps": found[0],
        "other_taps": found[1],
        "over": over,
        "grid": grid,
        "samples": seen["other"].samples,
        "tokens": tokens,
        "control": control,
        "seed": seed,
    }
    matrices = {
        "best match, mean r": _matrix(rows, found, "best"),
        "assigned, mean r": _matrix(rows, found, "assigned"),
        "mutual, share": _matrix(rows, found, "mutual"),
    } | ({"best match, shuffled": _matrix(rows, found, "best_shuffled")} if control else {})
    table = _table(tables, names, found, spans, partner)
    return Findings(
        "match",
        rows,
        settings(model, data, **options),
        {"": heatmaps(matrices, *found)},
        _summary(table, control),
        {"matches": table},
    )


def _joined(values: Mapping[str, np.ndarray]) -> Float[np.ndarray, "sample unit"]:
    """The units of all taps side by side; places are samples of their own."""
    return np.concatenate([value.reshape(-1, value.shape[-1]) for value in values.values()], axis=1)


def _spans(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def _pairs(
    tables: Mapping[str, np.ndarray], taps: Sequence[Sequence[str]], spans: Sequence[Sequence[slice]]
) -> tuple[list[dict[str, Value]], dict[tuple[int, int], np.ndarray]]:
    """A row for each pair of taps, and the assignment of each."""
    rows, partner = [], {}
    for i, (tap, ours) in enumerate(zip(taps[0], spans[0], strict=True)):
        for j, (other, theirs) in enumerate(zip(taps[1], spans[1], strict=True)):
            part = tables["other"][ours, theirs]
            partner[i, j] = assigned(part)
            there = np.flatnonzero(partner[i, j] >= 0)
            row = {
                "tap": tap,
                "other_tap": other,
                "best": float(part.max(1).mean()),
                "mutual": float(mutual(part).mean()),
                "assigned": float(part[there, partner[i, j][there]].mean()),
                "strong": int((part.max(1) > 0.5).sum()),
            }
            if "shuffled" in tables:
                row["best_shuffled"] = float(tables["shuffled"][ours, theirs].max(1).mean())
            rows.append(row)
    return rows, partner


def _matrix(rows: Sequence[Mapping], taps: Sequence[Sequence[str]], name: str) -> np.ndarray:
    return np.array([row[name] for row in rows]).reshape(len(taps[0]), len(taps[1]))


def _table(
    tables: Mapping[str, np.ndarray],
    names: Sequence[Sequence[str]],
    taps: Sequence[Sequence[str]],
    spans: Sequence[Sequence[slice]],
    partner: Mapping[tuple[int, int], np.ndarray],
) -> pa.Table:
    """A row per unit: its best match, whether it is mutual, and the assigned one in the tap that is its tap's best."""
    whole = tables["other"]
    best = whole.argmax(1)
    given = np.full(len(whole), -1)
    for i, ours in enumerate(spans[0]):
        parts = [whole[ours, theirs] for theirs in spans[1]]
        j = int(np.argmax([np.mean(part[np.arange(len(part)), partner[i, j]]) for j, part in enumerate(parts)]))
        given[ours] = np.where(partner[i, j] >= 0, partner[i, j] + spans[1][j].start, -1)
    known = np.where(given >= 0, whole[np.arange(len(whole)), given], np.nan)
    columns = {
        "unit": names[0],
        "tap": [tap for tap, ours in zip(taps[0], spans[0], strict=True) for _ in range(ours.stop - ours.start)],
        "match": [names[1][one] for one in best],
        "correlation": pa.array(whole.max(1), pa.float32()),
        "mutual": mutual(whole),
        "assigned": [names[1][one] if one >= 0 else None for one in given],
        "assigned_correlation": pa.array(known, pa.float32(), from_pandas=True),
    }
    if "shuffled" in tables:
        columns["correlation_shuffled"] = pa.array(tables["shuffled"].max(1), pa.float32())
    return pa.table(columns)


def _summary(table: pa.Table, control: bool) -> str:
    best = table.sort_by([("correlation", "descending")])
    mean = lambda name: float(np.mean(table[name].to_numpy()))
    shuffled = f" ({mean('correlation_shuffled'):.3f} with shuffled images)" if control else ""
    lines = [
        f"{len(table)} units: best match {mean('correlation'):.3f} in the mean{shuffled},"
        f" {np.mean(table['mutual'].to_pylist()):.0%} mutual"
    ]
    for row in best.slice(0, TOLD).to_pylist():
        lines.append(f"  {row['unit']} = {row['match']}, r {row['correlation']:.3f}{', mutual' * row['mutual']}")
    return "\n".join(lines)

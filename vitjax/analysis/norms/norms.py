"""The analysis `norms`: where tokens of huge norm stand, who attends to them, and what removing them costs.

Darcet et al. 2023 (arXiv 2309.16588) find such tokens in large ViTs and take their place by registers; patches of
little content serve there as memory. See `vitjax.analysis.photographs.outliers` for what counts as one.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from vitjax.analysis.norms.norms_cost import OUTLIERS, costs
from vitjax.analysis.norms.norms_figures import draw, marked
from vitjax.analysis.norms.norms_tokens import Standing, standing
from vitjax.analysis.perturbed.alike import weights
from vitjax.analysis.photographs.outliers import OUTLIER, check_times
from vitjax.analysis.study.blocks import after_blocks
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.analysis.study.means import estimate
from vitjax.analysis.study.passes import gather
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError
from vitjax.models.core.network import Network

SHOWN = 8  # images on which the outliers are marked
_QUANTILES = {"ratio_low": 0.05, "ratio_high": 0.95}


@analysis
def run(model: Network, data: Dataset, *, times: float = OUTLIER, control: bool = False, seed: int = 0) -> Findings:
    """Finds patch tokens whose norm after a block is many times the median of their image: where, since when, what for.

    Args:
        model: any ViT.
        data: images; with classes accuracy is measured, too.
        times: how many times the median norm such an outlier exceeds.
        control: look at a model with random weights too.
        seed: of the draw of other tokens to compare with, and of random weights.

    Returns:
        A row for each layer, means over images with standard errors: `with_outliers`, the share of images that have
        any, and their number, `outliers`; over the images that have some `ratio` (the outliers' mean norm over the
        median, and the 5 % and 95 % quantiles over tokens) and the measures of `norms_tokens.Standing`. `fixed` is the
        share of the outliers that stand on `patches`, the ones that are outliers most often, as many as an image has.
        `fair_attention` and `fair_fixed` are what their number alone would give. The table `norms-cost` says what
        removing or replacing them costs, see `norms_cost.costs`; models without a head have none.

    Raises:
        InputError: a multiple that is 1 or less, or a list of classes that does not fit.
    """
    check_times(times)
    labels, why = _labels(data, model) if model.config.classes else (None, "the model has no head")
    rows, found = [], {}
    for name, one in weights(model, control, seed).items():
        places, read = gather(one, data.named(f"{name} weights").batches(), standing, times=times)
        found.setdefault("given", (places, read))
        rows += [{"weights": name, **row} for row in layer_rows(model, read)]
    places, given = found["given"]
    any_there = bool(given.outlier.any())
    cost = (
        costs(model, data.named("what they cost"), labels, times=times, seed=seed)
        if any_there and model.config.classes
        else []
    )
    shown = np.unique(np.arange(SHOWN) * len(places) // SHOWN)
    most = int(given.outlier.sum(axis=(0, 2)).argmax())
    figures = {"": draw(rows, given.outlier[:, most].mean(axis=0).reshape(model.config.grid), cost)}
    if any_there:
        images = pixels(data.images, places[shown], model.config)
        figures["images"] = marked(images, given.outlier[shown, most], model.config)
    about = settings(model, data, times=times, control=control, seed=seed, without_classes=why)
    tables = {"norms-cost": pa.Table.from_pylist(cost)} if cost else {}
    return Findings("norms", rows, about, figures, _summary(rows, cost, times, why), tables)


def _labels(data: Dataset, model: Network) -> tuple[np.ndarray | None, str]:
    """The classes, or None and why there are none; a list of classes that was given must do."""
    try:
        return data.labels_for(model), ""
    except InputError as error:
        if data.listed is not None:
            raise
        return None, str(error)


def layer_rows(model: Network, found: Standing) -> list[dict[str, Value]]:
    """A row for each layer from what `standing` gave for all images."""
    sites, rows = model.taps(), []
    for layer, tap in enumerate(after_blocks(model)):
        outlier, ratio = found.outlier[:, layer], found.ratio[:, layer].astype(float)
        some = outlier.any(axis=1)
        row: dict[str, Value] = {"layer": layer + 1, "tap": tap, "images": len(outlier)}
        row |= estimate("with_outliers", some) | estimate("outliers", outlier.sum(axis=1))
        total, count = np.where(outlier, ratio, 0).sum(axis=1), np.maximum(outlier.sum(axis=1), 1)
        row |= estimate("ratio", np.where(some, total / count, np.nan))
        row |= {
            name: float(np.quantile(ratio[outlier], share)) if some.any() else None
            for name, share in _QUANTILES.items()
        }
        row["ordinary_highest"] = float(ratio[~outlier].max())
        for name in ("class_ratio", "class_attention", "patch_attention"):
            row |= estimate(name, getattr(found, name)[:, layer])
        row["fair_attention"] = float(outlier.sum(axis=1).mean() / sites[tap].tokens)
        for name in ("contrast", "likeness", "stay"):
            row |= estimate(name, getattr(found, name)[:, layer])
        rows.append(row | _places(outlier))
    return rows


def _places(outlier: np.ndarray) -> dict[str, Value]:
    """As many patches as an image has outliers, those that are one most often, and their share of all outliers."""
    often, count = outlier.sum(axis=0), round(outlier.sum() / len(outlier))
    most = np.sort(np.argsort(-often, kind="stable")[:count])
    return {
        "fixed": float(often[most].sum() / often.sum()) if count else None,
        "fair_fixed": count / len(often) if count else None,
        "patches": " ".join(map(str, most)),
    }


def _summary(rows: Sequence[dict], cost: Sequence[dict], times: float, why: str) -> str:
    own = [row for row in rows if row["weights"] == rows[0]["weights"]]
    images = own[0]["images"]
    if not any(row["with_outliers"] for row in own):
        highest = max(row["ordinary_highest"] for row in own)
        return (
            f"{images} images: no patch token has more than {times:g} times the median norm (the highest {highest:.1f})"
        )
    first = next((row for row in own if row["with_outliers"] >= 0.5), max(own, key=lambda row: row["with_outliers"]))
    said = (
        f"{images} images: after {first['layer']} blocks {first['outliers']:.2f} patch tokens have on average"
        f" {first['ratio']:.0f} times the median norm, after the last {own[-1]['outliers']:.2f}"
        + (f" have {own[-1]['ratio']:.0f} times" if own[-1]["ratio"] else "")
        + (f"; {first['fixed']:.0%} stand on patches {first['patches']}" if first["patches"] else "")
    )
    for row in cost:
        if row["tokens"] == OUTLIERS:
            change = (
                "" if row["change"] is None else f", top-1 {100 * row['change']:+.1f} ± {100 * row['change_error']:.1f}"
            )
            said += f"\n  {row['treatment']}: the same class for {row['same']:.1%}{change}"
    return said + (f"\nno accuracy: {why}" if why and cost else "")

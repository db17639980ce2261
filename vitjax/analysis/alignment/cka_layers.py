"""The analysis `cka`: how alike the layers of two models are, by CKA and by relative representations."""

import numpy as np

from vitjax.analysis.alignment.alignment_figures import heatmaps
from vitjax.analysis.alignment.cka import linear_cka, merge, moments, unbiased_cka
from vitjax.analysis.alignment.layers import SIDES, check_size, chosen, sides, width
from vitjax.analysis.alignment.relative_representation import agreement, relative
from vitjax.analysis.scores.paired import side_by_side
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.data.dataset import Dataset
from vitjax.models.core.network import Network, provenance
from vitjax.ranges import Range

KEPT = 1024  # images whose features are kept, for relative representations
ANCHORS = Range(2, KEPT, whole=True)


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    other: Network,
    taps: list[str] | None = None,
    other_taps: list[str] | None = None,
    tokens: str = "patches",
    anchors: int = 64,
    control: bool = False,
    seed: int = 0,
) -> Findings:
    """Compares the layers of two models.

    Args:
        model: the first.
        data: the images.
        other: the second; it may be the same.
        taps: layers of the first, `*` for every block; default the residual stream after each block.
        other_taps: of the second; likewise.
        tokens: which tokens a layer's features are the mean of, as in `Recipe.tokens`.
        anchors: images that relative representations are relative to, fewer where there are not twice as many.
        control: compare with the second model on other images, too.
        seed: of the anchors, and of the order of those images.

    Returns:
        A row for each pair of layers: linear CKA, the same by the unbiased estimator, the mean correlation of relative
        representations, and the share of images that theirs find among those of up to `KEPT` images.

    Raises:
        InputError: unknown taps, features so many that their products do not fit in memory, or too few anchors.
    """
    ANCHORS.check("anchors", anchors)
    models = (model, other)
    found = tuple(chosen(one, some, one.layers, tokens) for one, some in zip(models, (taps, other_taps), strict=True))
    asked = sides(models, found, data, tokens, shuffle=seed if control else None)
    layers = [(name, tap) for name, some in zip(SIDES[: len(asked)], (*found, found[1]), strict=False) for tap in some]
    widths = [width(model if name == SIDES[0] else other, tap) for name, tap in layers]
    check_size(sum(widths), sum(widths), "features")
    kept = np.sort(np.random.default_rng(seed).permutation(len(data.images))[:KEPT])
    seen, some = None, [[] for _ in layers]
    for place, values in side_by_side(asked, data):
        if not len(place):
            continue
        features = [value for side in values for value in side.values()]
        seen = merge(seen, moments(features))
        for one, feature in zip(some, features, strict=True):
            one.append(feature[np.isin(place, kept)])
    biased, unbiased = linear_cka(seen, widths), unbiased_cka(seen, widths)
    features = [np.concatenate(one) for one in some]
    count = min(anchors, len(features[0]) // 2)
    chosen_anchors = np.random.default_rng(seed).permutation(len(features[0]))[:count]
    relatives = [np.delete(relative(one, chosen_anchors), chosen_anchors, axis=0) for one in features]
    related = lambda i, j: agreement(relatives[i], relatives[j]) if count > 1 else (np.nan, np.nan)
    number = {layer: place for place, layer in enumerate(layers)}
    rows = []
    for tap in found[0]:
        for other_tap in found[1]:
            i, j = number["model", tap], number["other", other_tap]
            alike, retrieved = related(i, j)
            row = {"cka": biased[i, j], "cka_unbiased": unbiased[i, j], "relative": alike, "retrieved": retrieved}
            if control:
                j = number["shuffled", other_tap]
                row |= {"cka_shuffled": biased[i, j], "cka_unbiased_shuffled": unbiased[i, j]}
                row["relative_shuffled"] = related(i, j)[0]
            known = {name: None if np.isnan(value) else float(value) for name, value in row.items()}
            rows.append({"tap": tap, "other_tap": other_tap} | known)
    matrix = lambda name: np.array([row[name] for row in rows], float).reshape(len(found[0]), len(found[1]))
    titles = {"linear CKA": "cka", "unbiased": "cka_unbiased", "relative representations": "relative"}
    titles |= {"unbiased, shuffled": "cka_unbiased_shuffled"} if control else {"images found": "retrieved"}
    options = {
        "other": provenance(other),
        "taps": found[0],
        "other_taps": found[1],
        "compared": seen.images,
        "tokens": tokens,
        "anchors": count,
        "kept": len(features[0]),
        "control": control,
        "seed": seed,
    }
    best = max(rows, key=lambda row: row["cka"] or 0)
    summary = (
        f"{len(found[0])} layers against {len(found[1])} over {seen.images} images: CKA at most {best['cka']:.3f}, of"
        f" {best['tap']} and {best['other_tap']}"
        if best["cka"] is not None
        else f"all layers are the same for all of {seen.images} images"
    )
    drawn = heatmaps({title: matrix(name) for title, name in titles.items()}, *found)
    return Findings("cka", rows, settings(model, data, **options), {"": drawn}, summary)

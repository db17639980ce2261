"""The analysis `corruptions`: how often a model is wrong on images that are corrupted in fifteen ways.

Hendrycks and Dietterich 2019 (arXiv 1903.12261): the corruptions of ImageNet-C, five severities of each, and the mean
corruption error. Here images are corrupted as they stream, at the size in which the model takes them, and not written
as JPEG once more, which ImageNet-C's files are; see `vitjax.analysis.perturbed.corrupt`.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product

import numpy as np
import pyarrow as pa
from jaxtyping import Int, UInt8

from vitjax.analysis.ablations.accuracy import Outcome, judge, plain
from vitjax.analysis.perturbed.corrupt.kinds import KINDS, SEVERITIES, SMALL, corrupted
from vitjax.analysis.perturbed.corruption_figures import draw_curves, draw_sheet
from vitjax.analysis.perturbed.corruption_tables import (
    ALEXNET,
    CLEAN,
    Outcomes,
    Setting,
    rows_by_kind,
    rows_by_severity,
    wrong,
)
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, settings
from vitjax.analysis.study.passes import Pace
from vitjax.data.dataset import Dataset
from vitjax.data.pipeline import pixels
from vitjax.errors import InputError, nearest
from vitjax.models.core.network import Network, provenance
from vitjax.models.core.preprocess import Input

MODEL, BASELINE = "model", "baseline"


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    baseline: Network | None = None,
    alexnet: bool = False,
    kinds: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
) -> Findings:
    """Measures top-1 error under every kind and severity, in one pass over the data, or two with another baseline.

    Two models that take images of the same form are shown the same pixels, so each kind is made once for both.

    Args:
        model: with a head, that reads RGB.
        data: images whose classes are known.
        baseline: what errors are measured against; may take images of another size.
        alexnet: measure them against AlexNet's published errors, those that the paper's mean corruption error is of;
            for classes of ImageNet-1k, images from 120 pixels on and all five severities.
        kinds: of `vitjax.analysis.perturbed.corrupt.kinds.KINDS` (default: all).
        severities: of 1 to 5.
        seed: with an image's name and the kind it decides all that is random, for all severities alike.

    Returns:
        A row for each kind, before them one for the images as they are and after them one of means over the kinds:
        `wrong_1` … `wrong_5`, the share of images whose first class is not theirs, their mean `wrong`; against a
        baseline the corruption error `ce`, the sum over severities of the model's errors as a share of that of the
        baseline's, and `relative_ce`, the same of what corruption adds to the errors; with standard errors over images.
        The last row's `ce` is the paper's mean corruption error where there are all kinds. The table
        `corruptions-severities` has a row per kind, severity and model, as other accuracies have.

    Raises:
        InputError: unknown kinds or severities, no classes, or a baseline that does not go with them.
    """
    kinds, severities = _chosen(kinds, severities)
    if alexnet:
        _check_alexnet(model, baseline, severities)
    models = {MODEL: model} | ({BASELINE: baseline} if baseline is not None else {})
    for one in models.values():
        if (channels := Input.of(one).channels) != 3:
            raise InputError(f"corruptions are defined for RGB; this model reads {channels} channels")
    found = _outcomes(models, data, [CLEAN, *product(kinds, severities)], seed)
    errors = {name: wrong(outcomes, kinds, severities) for name, outcomes in found.items()}
    against = np.array([[ALEXNET[kind]] * len(severities) for kind in kinds]) if alexnet else None
    rows = rows_by_kind(errors[MODEL], errors.get(BASELINE, against), kinds, severities)
    first = next(place for place, name in enumerate(data.images.names) if name not in data.unreadable)
    (shown,) = pixels(data.images, [first], data.config)
    named = AGAINST if alexnet else provenance(baseline) if baseline is not None else None
    options = {"baseline": named, "kinds": kinds, "severities": severities, "seed": seed}
    options["constants"] = "Tiny ImageNet-C" if min(data.config.image_size) < SMALL else "ImageNet-C"
    return Findings(
        name="corruptions",
        rows=rows,
        settings=settings(model, data, **options),
        figures={
            "": draw_curves(errors, kinds, severities),
            "sheet": draw_sheet(shown, data.images.names[first], kinds, severities, seed),
        },
        summary=_summary(rows, alexnet),
        tables={"corruptions-severities": pa.Table.from_pylist(rows_by_severity(found))},
    )


AGAINST = "AlexNet's published errors on ImageNet-C"


def _chosen(kinds: Sequence[str] | None, severities: Sequence[int]) -> tuple[list[str], list[int]]:
    """Kinds in the order of the paper and severities in theirs, each once, if they exist."""
    kinds = list(KINDS) if kinds is None else kinds
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise InputError(f"no corruption is called {unknown[0]!r}{nearest(unknown[0], KINDS)}: {', '.join(KINDS)}")
    if strange := [severity for severity in severities if severity not in SEVERITIES]:
        raise InputError(f"severity {strange[0]}: they are 1 to 5")
    return [kind for kind in KINDS if kind in kinds], sorted(set(severities))


def _check_alexnet(model: Network, baseline: Network | None, severities: Sequence[int]) -> None:
    """Raises an InputError if AlexNet's published errors are none of what is measured."""
    if baseline is not None:
        raise InputError("errors are measured against one baseline: give a model, or take AlexNet's")
    if tuple(severities) != SEVERITIES:
        raise InputError("AlexNet's published errors are means over the severities 1 to 5: measure all of them")
    if model.config.classes != 1000 or min(model.config.image_size) < SMALL:
        height, width = model.config.image_size
        raise InputError(
            "AlexNet's published errors are of 1000 classes at 224x224, this model has"
            f" {model.config.classes} at {width}x{height}: give a baseline"
        )


def _outcomes(
    models: Mapping[str, Network], data: Dataset, chosen: Sequence[Setting], seed: int
) -> dict[str, Outcomes]:
    """How each model judges the images that all of them can read, under every setting."""
    alike = defaultdict(dict)
    for name, model in models.items():
        alike[Input.of(model)][name] = model
    found = {}
    for config, some in alike.items():
        found |= _judged(some, replace(data, config=config), chosen, seed)
    common = np.intersect1d(*(places for places, _ in found.values())) if len(found) > 1 else None
    rows = lambda places: slice(None) if common is None else np.isin(places, common)
    return {
        name: {setting: Outcome(one.rank[rows(places)], one.loss[rows(places)]) for setting, one in outcomes.items()}
        for name, (places, outcomes) in found.items()
    }


def _judged(
    models: Mapping[str, Network], data: Dataset, chosen: Sequence[Setting], seed: int
) -> dict[str, tuple[Int[np.ndarray, " image"], Outcomes]]:
    """How models that take images alike judge them, with the places of the images that are readable."""
    labels = {name: data.labels_for(model) for name, model in models.items()}
    judges = {name: judge(model, data.batch, plain) for name, model in models.items()}
    pace, places, found = Pace(), [], defaultdict(list)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for batch in data.batches():
            places.append(batch.place)
            names = [data.images.names[place] for place in batch.place]  # of rows that are left out any
            for setting, images in _versions(batch.images, names, chosen, seed, threads):
                for name, known in labels.items():
                    truth = np.where(batch.place >= 0, known[batch.place], 0)
                    found[name, setting].append(pace(judges[name](images, truth)))
    place = np.concatenate(places)
    join = lambda parts: np.concatenate([np.asarray(part) for part in parts])[place >= 0]
    outcomes = {key: Outcome(*map(join, zip(*parts, strict=True))) for key, parts in found.items()}
    return {name: (place[place >= 0], {setting: outcomes[name, setting] for setting in chosen}) for name in models}


def _versions(
    images: UInt8[np.ndarray, "image h w 3"],
    names: Sequence[str],
    chosen: Sequence[Setting],
    seed: int,
    threads: ThreadPoolExecutor,
) -> Iterator[tuple[Setting, UInt8[np.ndarray, "image h w 3"]]]:
    """The images of a batch under one setting after the other, made while the devices judge those before."""
    for kind, severity in chosen:
        one = lambda image, name, kind=kind, severity=severity: corrupted(image, kind, severity, name, seed)
        yield (kind, severity), np.stack([*threads.map(one, images, names)]) if severity else images


def _summary(rows: Sequence[Mapping], alexnet: bool) -> str:
    clean, mean = rows[0], rows[-1]
    said = f"wrong on {clean['wrong']:.1%} of {clean['images']} images as they are, on {mean['wrong']:.1%} of corrupted"
    if mean.get("ce") is not None:
        of = AGAINST if alexnet else "the baseline's"
        said += f"; mean corruption error {mean['ce']:.1%} ± {mean['ce_error']:.1%} of {of}"
    return said

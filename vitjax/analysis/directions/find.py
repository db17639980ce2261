"""The analysis `directions`: finds directions in a tap's value and keeps them in a file, whose units they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kurtosis

from vitjax.analysis.directions.components import METHODS, factors, shares
from vitjax.analysis.directions.contrasts import CONTRASTS, HELD_OUT, contrasts
from vitjax.analysis.directions.furthest import figure
from vitjax.analysis.directions.token_sample import Tokens, tokens_of
from vitjax.analysis.study.checks import analysis
from vitjax.analysis.study.findings import Findings, Value, settings
from vitjax.data.dataset import Dataset, open_dataset
from vitjax.data.files.images import checksum
from vitjax.errors import InputError, nearest, remark
from vitjax.models.core.network import Network, provenance
from vitjax.models.dictionaries.directions import Along, Directions, Made
from vitjax.units.units import check_tap
from vitjax.weights.directions import packed

FILE = "directions.npz"
_NAME = re.compile(r"\w*")
READS = {"ica": "filters", "lda": "filters", "probe": "filters"}  # of others what is read is what tokens are made of


@dataclass(frozen=True)
class Found:
    """Directions and how they were found.

    Attributes:
        directions: as a model takes them, `model.with_dictionary(found.directions)`.
        rows: of each: number, label, share of the tokens' variance along it, kurtosis of the tokens along it (0 as of a
            normal distribution), auc and images held out (of classes), and 8 digits of its vector's sha256.
        about: what its file says of it.
        tokens: that it was found in.
    """

    directions: Directions
    rows: Sequence[Mapping[str, Value]]
    about: Mapping[str, Any]
    tokens: Tokens

    @property
    def file(self) -> bytes:
        """The bytes of a file of them, as `vitjax.weights.directions` reads it."""
        return packed(self.directions, self.about)


@analysis
def directions(
    model: Network,
    data: Dataset,
    *,
    tap: str,
    method: str = "pca",
    count: int = 16,
    sample: int = 20_000,
    tokens: str = "patches",
    classes: Sequence[str] | None = None,
    against: str | Path | None = None,
    strength: float = 1.0,
    name: str | None = None,
    seed: int = 0,
) -> Found:
    """Finds directions in the value of a tap.

    Args:
        model: any.
        data: the images.
        tap: whose value it is; all axes but those of places are one of units.
        method: "pca", "ica", "nmf", "semi-nmf" or "kmeans", of tokens; "means" (differences of class means), "lda" or
            "probe" (logistic regression), of the means over each image's tokens.
        count: how many directions, for the methods of tokens.
        sample: how many tokens are taken, which is what memory holds; see `tokens_of`.
        tokens: which count, as in `Recipe.tokens`.
        classes: that have a direction, each against all other images, by name or number; default all of the data set.
        against: images that the others are told apart from, in place of classes: one direction.
        strength: of a probe's L2 penalty, on standardised values.
        name: of the set, which its tap ends with; default the method.
        seed: of the draw of tokens and of the method.

    Raises:
        InputError: unknown taps, tokens or methods, more directions than there can be, NMF where values are below 0,
            classes that nothing says or of too few images, or both classes and `against`.
    """
    check_tap(tap, model.taps())
    if method not in METHODS | CONTRASTS:
        every = [*METHODS, *CONTRASTS]
        raise InputError(f"unknown method {method!r}{nearest(method, every)}: one of {', '.join(every)}")
    if method in METHODS and (classes or against):
        given = "classes" if classes else "against"
        raise InputError(f"{given} goes with the methods of classes, {', '.join(CONTRASTS)}, not with {method}")
    if classes and against is not None:
        raise InputError("classes and against both say what is told apart: give one of them")
    if not _NAME.fullmatch(name or ""):
        raise InputError(f"name {name!r}: write letters, digits and _, as it is part of a tap's name")
    if strength <= 0:
        raise InputError(f"strength is {strength}, it must be above 0")
    opposed = None if against is None else open_dataset(against, model, batch=data.batch)
    how = {"count": sample, "tokens": tokens, "pooled": method in CONTRASTS, "seed": seed}
    taken = tokens_of(model, data, tap, **how)
    if method in METHODS:
        vectors, patterns, _, facts = factors(taken.values, count, method, tap=tap, seed=seed)
        labels, columns = [""] * len(vectors), [{"auc": None, "held_out": None}] * len(vectors)
    else:
        if opposed is None:
            numbers, chosen, labels = _classes(model, data, taken, classes)
            names = [f"class {label}" for label in labels]
        else:
            other = tokens_of(model, opposed, tap, **how)
            opposed.tell_unreadable()
            numbers = np.repeat([1, 0], [len(taken), len(other)])
            chosen, names = [1], [Path(data.images.source).name]
            labels = [f"{names[0]} against {Path(against).name}"]
            taken = replace(taken, values=np.concatenate([taken.values, other.values]))  # places are of `data` alone
        vectors, patterns, auc, held_out = contrasts(
            taken.values, numbers, chosen, method, strength=strength, names=names
        )
        facts = {"held_out": f"every {HELD_OUT}th image of each class"}
        columns = [{"auc": float(a), "held_out": int(n)} for a, n in zip(auc, held_out, strict=True)]
    form = Along(tap, model.taps()[tap].units, method if name is None else name)
    source = provenance(model)
    card = Made("", "", method, str(source.get("source", "")), str(source.get("sha256", "")), tuple(labels))
    found = Directions(form, vectors, patterns, taken.values.mean(axis=0), card)
    recipe = {"method": method, "reads": READS.get(method, "patterns"), **facts}
    recipe |= {"sample": sample, "tokens": tokens, "pooled": how["pooled"], "seed": seed}
    recipe |= {"strength": strength} if method == "probe" else {}
    photos = {**data.describe(), "names": checksum(data.images.names), "tokens": len(taken)}
    photos |= {} if opposed is None else {"against": str(against), "against_unreadable": dict(opposed.unreadable)}
    about = {
        "method": method,
        "labels": list(labels),
        "model": source,
        "image_size": list(model.config.image_size),
        "dtype": str(model.dtype),
        "data": photos,
        "recipe": recipe,
    }
    return Found(found, _rows(found, taken.values, labels, columns), about, taken)


def _rows(found: Directions, values: np.ndarray, labels: Sequence[str], columns: Sequence[dict]) -> list[dict]:
    vectors = np.asarray(found.arrays["vectors"][...], np.float64)
    along = (values - values.mean(axis=0)).astype(np.float64) @ vectors.T
    share, peaked = shares(values.astype(np.float64), vectors), kurtosis(along, axis=0)
    return [
        {"direction": i, "label": label, "share": float(share[i]), "kurtosis": float(peaked[i])}
        | column
        | {"vector": found.prints[i]}
        for i, (label, column) in enumerate(zip(labels, columns, strict=True))
    ]


def _classes(
    model: Network, data: Dataset, taken: Tokens, wanted: Sequence[str] | None
) -> tuple[np.ndarray, list[int], list[str]]:
    """The class of each image that was taken, the classes that have a direction, and what these are called."""
    numbers = dict(zip(data.images.names, data.labels_for(model).tolist(), strict=True))
    labels = np.array([numbers[taken.images.names[place]] for place in taken.place])
    names = model.class_names or data.class_names
    called = lambda number: names.shown(number) if names else str(number)
    if wanted is not None:
        given = {int(one) if str(one).isdecimal() else names.number(one): one for one in wanted}
        if missing := [one for number, one in given.items() if number not in labels]:
            raise InputError(f"there is no image of class {missing[0]} in {data.images.source}")
        chosen = list(given)
    else:
        there, sizes = np.unique(labels, return_counts=True)
        chosen = there[sizes >= HELD_OUT].tolist()
        if not chosen:
            raise InputError(
                f"no class has {HELD_OUT} images in {data.images.source}, as many as a direction needs: three to learn"
                " from and one to hold out; `against` takes other images in place of classes"
            )
        if len(chosen) < len(there):
            remark(f"{len(there) - len(chosen)} classes of fewer than {HELD_OUT} images have no direction")
    return labels, chosen, [called(one) for one in chosen]


@analysis
def run(
    model: Network,
    data: Dataset,
    *,
    tap: str,
    method: str = "pca",
    count: int = 16,
    sample: int = 20_000,
    tokens: str = "patches",
    classes: Sequence[str] | None = None,
    against: str | Path | None = None,
    strength: float = 1.0,
    name: str | None = None,
    seed: int = 0,
) -> Findings:
    """Finds directions; see `directions` for the arguments.

    Returns:
        Findings with a row for each direction, the file `directions.npz`, and a figure: where on the images the tokens
        furthest along each direction are.
    """
    found = directions(
        model, data, tap=tap, method=method, count=count, sample=sample, tokens=tokens, classes=classes,
        against=against, strength=strength, name=name, seed=seed,
    )  # fmt: skip
    drawn = figure(found.directions, found.tokens, found.rows, model.config)
    return Findings(
        "directions",
        found.rows,
        settings(model, data) | {"tap": tap, "recipe": found.about["recipe"]},
        {"": drawn},
        summary=_summary(found, method),
        files={FILE: found.file},
    )


def _summary(found: Found, method: str) -> str:
    rows, recipe = found.rows, found.about["recipe"]
    said = f"{len(rows)} directions in {found.directions.form.tap}, of {found.about['data']['tokens']} tokens"
    if method in CONTRASTS:
        auc = np.array([row["auc"] for row in rows])
        return f"{said}; on held-out images their AUC is {auc.mean():.3f} in the mean, {auc.min():.3f} at least"
    ended = "" if recipe.get("converged", True) else "; the method did not converge"
    return f"{said}; as these tell them, a relative squared error of {recipe['error']:.3f} is left{ended}"

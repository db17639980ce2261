"""Tables of how well tokens cluster by object: a row for each image, means over images, and paired differences.

The published measures take embeddings as they are. In ViTs a few patch tokens have many times the norm of the others
(see `vitjax.analysis.photographs.outliers`), and the radius of the clusters, a mean of distances, is then theirs:
beside that form stand embeddings of unit length, and those without such tokens.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Bool, Float, Int

from vitjax.analysis.clusters.measures import MEASURES, MIN_SAMPLES, clustered, kmeans_purity, measures, probe
from vitjax.analysis.photographs.outliers import outliers
from vitjax.analysis.study.findings import Value
from vitjax.analysis.study.means import estimate
from vitjax.errors import InputError

Tokens = Float[np.ndarray, "patch channel"]
# An image of a pass: its place in the data set, the class of each object, its patch tokens at each tap, and the object
# of each patch, 0 for none.
Read = tuple[int, Sequence[str], Sequence[Tokens], Int[np.ndarray, " patch"]]


def _unit(tokens: Tokens, ordinary: Bool[np.ndarray, " patch"]) -> tuple[Tokens, Bool[np.ndarray, " patch"]]:
    return tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12), ordinary | True


# {form: (tokens, which are no outliers) to (tokens, which take part)}
EMBEDDINGS: dict[str, Callable] = {
    "published": lambda tokens, ordinary: (tokens, ordinary | True),
    "unit": _unit,
    "no-outliers": lambda tokens, ordinary: (tokens, ordinary),
}
KEYS = ("weights", "grid", "embeddings", "layer", "tap")  # what a row of means is of


def image_rows(read: Iterable[Read], taps: Sequence[str], forms: Sequence[str], seed: int) -> list[dict[str, Value]]:
    """A row for each form, layer and image: `clusters.MEASURES`, and `probe`, None where there is nothing to train on.

    Images with an object of fewer than three patches are left out; without outliers, of the layers where it has fewer.

    Args:
        read: the images.
        taps: whose tokens they have, one for each layer.
        forms: of `EMBEDDINGS`.
        seed: of k-means.

    Raises:
        InputError: no image is left.
    """
    kept, rows = [], []
    for place, kinds, tokens, labels in read:
        there, named = labels > 0, len(kinds)
        if _sizes(labels, named).min() < MIN_SAMPLES:
            continue
        kinds += ("several",) * (labels.max() - named)  # numbers that claims added up to, beyond the last
        ordinary = [~np.asarray(outliers(values))[there] for values in tokens]
        tokens, labels = [values[there] for values in tokens], labels[there]
        kept.append((tokens, ordinary, labels, kinds))
        for form in forms:
            for layer, tap in enumerate(taps):
                values, among = EMBEDDINGS[form](tokens[layer], ordinary[layer])
                values, objects = values[among], labels[among]
                if _sizes(objects, named).min() < MIN_SAMPLES:
                    continue
                row = {"embeddings": form, "layer": layer + 1, "tap": tap, "image": place}
                row["objects"] = len(np.unique(objects))
                row |= {"outliers": int((~ordinary[layer]).sum()), "number": len(kept) - 1}
                row |= measures(values, objects, kinds, clustered(values, objects))
                rows.append(row | {"kmeans_purity": kmeans_purity(values, objects, seed)})
    if not rows:
        raise InputError(f"no image has {MIN_SAMPLES} patches of every object: the patches are too large for them")
    rows.sort(key=lambda row: (forms.index(row["embeddings"]), row["layer"]))
    for (form, layer), some in groupby(rows, key=lambda row: (row["embeddings"], row["layer"])):
        _probe(list(some), kept, form, layer - 1)
    return rows


def _sizes(labels: np.ndarray, objects: int) -> np.ndarray:
    """How many patches each of the named objects has."""
    return np.bincount(labels, minlength=objects + 1)[1 : objects + 1]


def _probe(rows: list[dict], kept: Sequence[tuple], form: str, layer: int) -> None:
    """Adds to the rows of a form and a layer what a linear probe finds, and the share of the most frequent class."""
    tokens, classes, images = [], [], []
    for row in rows:
        number = row.pop("number")
        all_tokens, ordinary, labels, kinds = kept[number]
        values, among = EMBEDDINGS[form](all_tokens[layer], ordinary[layer])
        tokens.append(values[among])
        classes.append(np.array(kinds)[labels[among] - 1])
        images.append(np.full(among.sum(), number))
    classes = np.concatenate(classes)
    found = probe(np.concatenate(tokens), classes, np.concatenate(images))
    majority = float(np.unique(classes, return_counts=True)[1].max() / len(classes))
    for number, row in enumerate(rows):
        row |= {"probe": None if found is None else float(found[number]), "majority": majority}


def means(rows: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """A row for each of `KEYS`: how many images and objects, and the mean and standard error of every measure."""
    found = []
    for key, some in _groups(rows).items():
        row = dict(zip(KEYS, key, strict=True)) | {"images": len(some), "objects": sum(one["objects"] for one in some)}
        row["outliers"] = float(np.mean([one["outliers"] for one in some]))
        for name in (*MEASURES, "probe"):
            row |= estimate(name, _column(some, name))
        found.append(row | {"majority": some[0]["majority"]})
    return found


def differences(rows: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """Compares rows of `means` image by image: every measure less that of the same images under one change.

    Returns:
        A row for each of `KEYS` and each of them that can be put back to what it was first: `against` says to what,
        e.g. "embeddings published", "weights given", "grid 1" or "layer 1"; `images` are those that both have.
    """
    groups = _groups(rows)
    first = next(iter(groups), ())
    found = []
    for key, some in groups.items():
        for at, name in enumerate(KEYS[:-1]):
            changed = {one[:-1]: one for one in groups}.get((*key[:at], first[at], *key[at + 1 : -1]))
            if key[at] == first[at] or changed is None:
                continue
            other = {one["image"]: one for one in groups[changed]}
            pairs = [(one, other[one["image"]]) for one in some if one["image"] in other]
            row = dict(zip(KEYS, key, strict=True)) | {"against": f"{name} {first[at]}", "images": len(pairs)}
            for measure in (*MEASURES, "probe"):
                mine, theirs = (_column(column, measure) for column in zip(*pairs, strict=True))
                row |= estimate(measure, mine - theirs)
            found.append(row)
    return found


def _groups(rows: Sequence[dict[str, Value]]) -> dict[tuple, list[dict[str, Value]]]:
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    return groups


def _column(rows: Iterable[dict], name: str) -> np.ndarray:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], float)

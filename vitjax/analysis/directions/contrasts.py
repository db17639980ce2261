"""Finds directions that tell classes apart: differences of means, linear discriminants, linear probes (CAV).

Each class against all others, by scikit-learn; how well each does is measured on images that were held out.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from vitjax.analysis.directions.components import unit_length
from vitjax.errors import InputError

HELD_OUT = 4  # every fourth image of each class is
Values = Float[np.ndarray, "image unit"]
Vector = Float[np.ndarray, " unit"]
Inside = Bool[np.ndarray, " image"]


class Contrast(NamedTuple):
    """Directions of classes.

    Attributes:
        vectors: what is read, of length 1.
        patterns: how the class differs: of means the same, else the difference of means or what Haufe et al. 2014 give
            for a linear model, the covariance times the vector.
        auc: area under the curve on held-out images: how often one of the class lies further along than another.
        held_out: how many of these are of the class.
    """

    vectors: Float[np.ndarray, "direction unit"]
    patterns: Float[np.ndarray, "direction unit"]
    auc: Float[np.ndarray, " direction"]
    held_out: Int[np.ndarray, " direction"]


def _means(values: Values, inside: Inside, strength: float) -> tuple[Vector, Vector]:
    apart = values[inside].mean(axis=0) - values[~inside].mean(axis=0)
    return apart, apart


def _lda(values: Values, inside: Inside, strength: float) -> tuple[Vector, Vector]:
    """The inverse of the covariance within classes, shrunk as Ledoit and Wolf do, times the difference of means."""
    found = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(values, inside)
    return found.coef_[0], _means(values, inside, strength)[0]


def _probe(values: Values, inside: Inside, strength: float) -> tuple[Vector, Vector]:
    """The weights of a logistic regression of standardised values, brought back to the tap's own space."""
    scale = values.std(axis=0)
    scale = np.where(scale > 1e-9 * scale.max(), scale, np.inf)
    model = LogisticRegression(C=1 / strength, max_iter=2000).fit((values - values.mean(axis=0)) / scale, inside)
    vector = model.coef_[0] / scale
    centred = values - values.mean(axis=0)
    return vector, centred.T @ (centred @ vector)


CONTRASTS: dict[str, Callable[[Values, Inside, float], tuple[Vector, Vector]]] = {
    "means": _means,
    "lda": _lda,
    "probe": _probe,
}


def contrasts(
    values: Values,
    labels: Int[np.ndarray, " image"],
    classes: Sequence[int],
    method: str,
    *,
    strength: float = 1.0,
    names: Sequence[str] | None = None,
) -> Contrast:
    """Finds a direction for each of some classes.

    Args:
        values: of images.
        labels: their classes.
        classes: those that have a direction, each against all others.
        method: of `CONTRASTS`.
        strength: of a probe's L2 penalty.
        names: what these classes are called, for messages; default their numbers.

    Raises:
        InputError: a class of too few images to hold one out, or none among all others that has enough.
    """
    kept = np.zeros(len(labels), bool)
    for label in np.unique(labels):  # in the order of the data set, within each class
        kept[np.flatnonzero(labels == label)[HELD_OUT - 1 :: HELD_OUT]] = True
    wide, found = values.astype(np.float64), []
    for one, name in zip(classes, names or [f"class {one}" for one in classes], strict=True):
        inside = labels == one
        for what, these in (("of", inside), ("beside", ~inside)):
            if not (these & kept).any():
                raise InputError(
                    f"there are {these.sum()} images {what} {name}, too few of each class: {HELD_OUT} are needed, three"
                    " to learn from and one to hold out"
                )
        vector, pattern = CONTRASTS[method](wide[~kept], inside[~kept], strength)
        if not np.linalg.norm(vector):
            raise InputError(f"{name} does not differ from the others: {method} gives a direction of zeros")
        found.append((vector, pattern, roc_auc_score(inside[kept], wide[kept] @ vector), int((inside & kept).sum())))
    vectors, patterns, auc, count = zip(*found, strict=True)
    return Contrast(unit_length(np.stack(vectors)), unit_length(np.stack(patterns)), np.array(auc), np.array(count))

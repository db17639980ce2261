"""Finds directions that activations have of themselves: principal and independent components, parts, clusters.

All by scikit-learn. A direction is a vector in the tap's own space, whatever a method scaled or whitened on the way.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import skew
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF, PCA, FastICA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from vitjax.errors import InputError, nearest, remark

Values = Float[np.ndarray, "token unit"]
Vectors = Float[np.ndarray, "direction unit"]
# Of all squared values, those below 0 that a method for values from 0 up may lose: GELU gives a few, down to -0.17.
NEGATIVE = 0.1
SPARSITY = 0.03  # weight of the codes' sum in semi-NMF, where tokens have length 1 on average


class Factors(NamedTuple):
    """What a method makes of values.

    Attributes:
        vectors: what is read: the code of a token is along them.
        patterns: what a token is made of; often the same.
        codes: how much of each pattern a token has; codes @ patterns are the tokens again.
        facts: what else is to be said.
    """

    vectors: Vectors
    patterns: Vectors
    codes: Float[np.ndarray, "token direction"]
    facts: dict[str, float | int | bool]


def _pca(values: Values, count: int, seed: int) -> Factors:
    found = PCA(count, svd_solver="covariance_eigh").fit(values)
    vectors = found.components_
    largest = np.take_along_axis(vectors, abs(vectors).argmax(axis=1)[:, None], axis=1)
    vectors = vectors * np.sign(largest)
    return Factors(vectors, vectors, values @ vectors.T, {})


def _ica(values: Values, count: int, seed: int) -> Factors:
    """Vectors are the filters, rows of the unmixing matrix; patterns the columns of the mixing one."""
    model = FastICA(count, whiten="unit-variance", whiten_solver="eigh", random_state=seed, max_iter=500, tol=1e-3)
    codes, facts = _fitted(model.fit_transform, values)
    sign = np.sign(skew(codes, axis=0))[:, None]
    return Factors(model.components_ * sign, model.mixing_.T * sign, codes * sign.T, facts)


def _nmf(values: Values, count: int, seed: int) -> Factors:
    model = NMF(count, init="nndsvda", random_state=seed, max_iter=500, tol=1e-4)
    codes, facts = _fitted(model.fit_transform, np.maximum(values, 0))
    return Factors(model.components_, model.components_, codes, facts)


def _semi_nmf(values: Values, count: int, seed: int) -> Factors:
    """Codes from 0 up, parts of either sign, with a sum of the codes that is kept small."""
    scale = np.linalg.norm(values, axis=1).mean()
    model = MiniBatchDictionaryLearning(
        count, alpha=SPARSITY, positive_code=True, fit_algorithm="cd", transform_algorithm="lasso_cd",
        random_state=seed, batch_size=min(256, len(values)), max_iter=20, max_no_improvement=None,
    )  # fmt: skip
    codes, facts = _fitted(model.fit_transform, values / scale)
    return Factors(model.components_, model.components_, scale * codes, facts)


def _kmeans(values: Values, count: int, seed: int) -> Factors:
    model = KMeans(count, n_init=4, random_state=seed).fit(values)
    return Factors(model.cluster_centers_, model.cluster_centers_, np.eye(count)[model.labels_], {})


class Method(NamedTuple):
    """A way to find directions: its function, and whether the mean is taken off first."""

    fit: Callable[[Values, int, int], Factors]
    centred: bool = True


METHODS: dict[str, Method] = {
    "pca": Method(_pca),
    "ica": Method(_ica),
    "nmf": Method(_nmf, centred=False),
    "semi-nmf": Method(_semi_nmf, centred=False),
    "kmeans": Method(_kmeans),
}
UP = ("nmf",)  # those for values from 0 up


def factors(values: Values, count: int, method: str, *, tap: str = "the tap", seed: int = 0) -> Factors:
    """Finds directions in values.

    Args:
        values: as the tap gives them.
        count: how many; a method may give fewer.
        method: of `METHODS`.
        tap: for messages.
        seed: of methods that draw.

    Returns:
        Vectors and patterns of length 1, by the variance along the vectors, the largest first; `facts` has the relative
        squared error, "error", and whether a method that goes on until it does not change came so far, "converged".

    Raises:
        InputError: more directions than there can be, or a method for values from 0 up where many are below.
    """
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}{nearest(method, METHODS)}: one of {', '.join(METHODS)}")
    most = min(values.shape) if method in ("pca", "ica") else len(values)
    if count > most:
        raise InputError(
            f"{count} directions are more than {len(values)} tokens of {values.shape[1]} units of {tap} have: at most"
            f" {most}"
        )
    wide = values.astype(np.float64)
    if method in UP:
        _check_up(wide, method, tap)
    mean = wide.mean(axis=0) if METHODS[method].centred else 0.0
    found = METHODS[method].fit(wide - mean, count, seed)
    error = ((wide - mean - found.codes @ found.patterns) ** 2).sum() / ((wide - mean) ** 2).sum()
    alive = np.linalg.norm(found.vectors, axis=1) > 1e-12 * abs(wide).max()
    if not alive.all():
        remark(f"{method}: {(~alive).sum()} of {count} directions are zero and are left out")
    vectors, patterns = (unit_length(array[alive]) for array in (found.vectors, found.patterns))
    codes = found.codes[:, alive] * np.linalg.norm(found.patterns[alive], axis=1)
    order = np.argsort(-shares(wide, vectors), kind="stable")
    facts = found.facts | {"error": float(error)}
    return Factors(vectors[order], patterns[order], codes[:, order], facts)


def unit_length(vectors: Vectors) -> Vectors:
    """Each of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def shares(values: Values, vectors: Vectors) -> Float[np.ndarray, " direction"]:
    """Which share of the variance of values lies along each of some vectors of length 1."""
    return (values @ vectors.T).var(axis=0) / values.var(axis=0).sum()


def below(values: Values) -> float:
    """Which share of the squares of values is of those below 0."""
    return float((np.minimum(values, 0) ** 2).sum() / max((values**2).sum(), 1e-300))


def _check_up(values: Values, method: str, tap: str) -> None:
    if (share := below(values)) > NEGATIVE:
        raise InputError(
            f"{method} is for values from 0 up; {tap} has {values.min():.3g}, and {100 * share:.0f} % of its squares"
            " are below 0: use semi-nmf there, or nmf at a tap after the activation function, such as mlp.hidden"
        )
    if share:
        remark(f"{method}: {100 * share:.2g} % of the squares of {tap} are below 0 and are taken as 0")


def _fitted(fit: Callable[[Values], np.ndarray], values: Values) -> tuple[np.ndarray, dict[str, bool]]:
    """The codes that a model gives, and whether it came to an end."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        codes = fit(values)
    stopped = any(issubclass(one.category, ConvergenceWarning) for one in said)
    return codes, {"converged": not stopped}

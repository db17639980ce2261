"""Measures how clear, redundant and polysemantic units are, by embeddings of their top crops, after SemanticLens.

Dreyer et al. 2025 (arXiv 2501.05398). v are the embeddings of a unit's n best crops by another model, c their mean, the
unit's concept. What the formulas say is about the encoder's eyes: name it.
"""

import warnings

import numpy as np
from jaxtyping import Float, Int

from vitjax.analysis.photographs.likeness import nearest
from vitjax.analysis.scores.monosemanticity import directions

SEED, STARTS, SAMPLES = 123, 10, 10  # of k-means, and of what stands in for a cluster of one, as in their code


def clarity(embeddings: Float[np.ndarray, "unit n channel"]) -> Float[np.ndarray, " unit"]:
    """The mean cosine of all pairs of a unit's crops, (|mean v̂|² - 1/n) n/(n - 1): -1/(n - 1) to 1, NaN for n = 1."""
    count = embeddings.shape[1]
    if count < 2:
        return np.full(len(embeddings), np.nan)
    return ((directions(embeddings).mean(axis=1) ** 2).sum(axis=1) - 1 / count) * count / (count - 1)


def redundancy(
    concepts: Float[np.ndarray, "unit channel"],
) -> tuple[Float[np.ndarray, " unit"], Int[np.ndarray, " unit"]]:
    """The cosine of each unit's concept and that of the unit most like it, max over v ≠ u of cos(c_u, c_v), and its
    number; NaN and -1 for a unit alone. A model's redundancy is the mean."""
    found = nearest(concepts, np.zeros(len(concepts), int), k=1)
    return found.likeness[:, 0].astype(np.float64), found.unit[:, 0]


def polysemanticity(embeddings: Float[np.ndarray, "unit n channel"]) -> Float[np.ndarray, " unit"]:
    """1 - cos(c₁, c₂) of the centres of two clusters of a unit's crops: 0 is one thing, 2 two opposite ones.

    Where a cluster has fewer than two crops, it is 1 minus the mean cosine of the concept with the first ten crops.
    NaN for fewer than two crops.
    """
    if embeddings.shape[1] < 2:
        return np.full(len(embeddings), np.nan)
    from sklearn.cluster import KMeans  # half a second to import
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    found = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of crops that are all the same
        for some in np.asarray(embeddings, np.float64):
            fitted = KMeans(n_clusters=2, n_init=STARTS, random_state=SEED).fit(some)
            alone = np.bincount(fitted.labels_, minlength=2).min() < 2
            first, second = (some.mean(axis=0), some[:SAMPLES]) if alone else fitted.cluster_centers_
            found.append(1 - (directions(np.atleast_2d(second)) @ directions(first[None])[0]).mean())
    return np.array(found)
